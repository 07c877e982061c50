//! Backup and restore. A copy appears under its name when it is whole and durable, or not at all.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

use freehold_types::Id;
use rusqlite::{Connection, OpenFlags};

use super::file::{beside, check, lock, make_private, refuse_existing, sync};
use crate::backend::BackendError;

/// Copies a store that may be in use to a new file, as it is at one moment. Writers are not held up.
///
/// # Errors
/// When the target exists, the source is no store, or the medium fails; no half copy is left.
pub fn backup(from: &Path, to: &Path) -> Result<(), BackendError> {
    copy(from, to, |_| Ok(()))
}

/// Puts a backup in the place of a store. It starts a new history, so that nodes accept its revisions.
///
/// # Errors
/// When the store is in use or exists, when the backup is damaged, or the medium fails.
pub fn restore(backup_file: &Path, path: &Path) -> Result<(), BackendError> {
    let _lock = lock(path)?;
    // SQLite would take what a former store left beside it for the last writes of this one.
    for suffix in ["-wal", "-shm", "-journal"] {
        refuse_existing(&beside(path, suffix))?;
    }
    copy(backup_file, path, |copied| {
        copied.execute("UPDATE head SET lineage = ?1", [Id::generate().to_string()]).map(drop)
    })
}

fn copy(
    from: &Path,
    to: &Path,
    adapt: impl Fn(&Connection) -> rusqlite::Result<()>,
) -> Result<(), BackendError> {
    refuse_existing(to)?;
    let partial = beside(to, ".partial");
    let copied = fill(from, &partial, adapt).and_then(|()| {
        let failed = |source| BackendError::Io { path: to.to_owned(), action: "written", source };
        sync(&partial).map_err(failed)?;
        std::fs::rename(&partial, to).map_err(failed)?;
        sync(to).map_err(failed)
    });
    if copied.is_err() {
        // The error to tell is the first one; what is left is overwritten by the next copy.
        let _ = std::fs::remove_file(&partial);
    }
    copied
}

/// Fills a file with the content of a store, and sees whether it can be read.
fn fill(
    from: &Path,
    partial: &Path,
    adapt: impl Fn(&Connection) -> rusqlite::Result<()>,
) -> Result<(), BackendError> {
    let unreadable = |source| BackendError::Sqlite { path: from.to_owned(), action: "copied", source };
    let unwritable = |source| BackendError::Sqlite { path: partial.to_owned(), action: "written", source };
    let io = |source| BackendError::Io { path: partial.to_owned(), action: "written", source };
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unreadable)?;
    source.busy_timeout(Duration::from_secs(10)).map_err(unreadable)?;
    check(&source, from)?;
    match std::fs::remove_file(partial) {
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(io(source)),
        Ok(()) | Err(_) => {}
    }
    make_private(partial).map_err(io)?;
    let name = partial
        .to_str()
        .ok_or_else(|| io(Error::new(ErrorKind::InvalidFilename, "the name is not UTF-8; choose another")))?;
    source.execute("VACUUM INTO ?1", [name]).map_err(unreadable)?;
    let copied =
        Connection::open_with_flags(partial, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unwritable)?;
    // The file counts only when it is whole, so it needs no journal that a kill could leave behind.
    copied.pragma_update(None, "journal_mode", "MEMORY").map_err(unwritable)?;
    let verdict: String =
        copied.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unwritable)?;
    if verdict != "ok" {
        return Err(io(Error::new(ErrorKind::InvalidData, verdict)));
    }
    adapt(&copied).map_err(unwritable)?;
    copied.close().map_err(|(_, source)| unwritable(source))
}
