//! The file of a store: who may read it, who has it, and whether it is one.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use freehold_types::Id;
use rusqlite::{Connection, OpenFlags, Transaction, params};

use crate::backend::BackendError;

/// Version of the tables, not of the documents in them.
pub(super) const FORMAT: u32 = 1;

/// Marks the file as ours in SQLite's header, so that no other database is taken for a store: `FHst`.
const APPLICATION: i64 = 0x4648_7374;

/// The write-ahead log is cut to this size once it has been copied back.
const WAL_BYTES: i64 = 16 << 20;

const TABLES: &str = "
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, lineage TEXT NOT NULL, revision INTEGER NOT NULL
) STRICT;
CREATE TABLE records (
    kind TEXT NOT NULL, id BLOB NOT NULL, revision INTEGER NOT NULL, schema INTEGER NOT NULL,
    sealed INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE log (
    revision INTEGER NOT NULL, position INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, origin TEXT NOT NULL,
    why TEXT NOT NULL, kind TEXT NOT NULL, id BLOB NOT NULL, label TEXT NOT NULL, action TEXT NOT NULL,
    PRIMARY KEY (revision, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_by_id ON log (id);
CREATE INDEX log_by_time ON log (at);
CREATE INDEX log_without_status ON log (revision) WHERE action <> 'status';
";

/// The path with more at its end; unlike an exchanged extension it never meets another store's file.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Held while a store is open, so that two controllers never share one file.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone does not release it while a process that is just being started still has a copy of
        // the descriptor. An error leaves it to the closing.
        let _ = self.0.unlock();
    }
}

/// Takes the store for this process. Makes its directory, readable by nobody else, when it is missing.
pub(super) fn lock(path: &Path) -> std::result::Result<Lock, BackendError> {
    let failed = |source| BackendError::Io { path: path.to_owned(), action: "locked", source };
    DirBuilder::new().recursive(true).mode(0o700).create(directory(path)).map_err(failed)?;
    let lock = private().truncate(false).open(beside(path, ".lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(BackendError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes the file, or an existing one, readable by its owner only. What SQLite puts beside it follows suit.
pub(super) fn make_private(path: &Path) -> Result<()> {
    let file = private().truncate(false).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Makes a file and its name survive a power cut.
pub(super) fn sync(path: &Path) -> Result<()> {
    File::open(path)?.sync_all()?;
    File::open(directory(path))?.sync_all()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn refuse_existing(path: &Path) -> std::result::Result<(), BackendError> {
    if path.symlink_metadata().is_ok() {
        let source = Error::new(ErrorKind::AlreadyExists, "the file exists; move it away first");
        return Err(BackendError::Io { path: path.to_owned(), action: "written", source });
    }
    Ok(())
}

/// Connects to a store, or to an empty file that is to become one.
pub(super) fn connect(path: &Path) -> std::result::Result<Connection, BackendError> {
    let failed = |source| BackendError::Sqlite { path: path.to_owned(), action: "opened", source };
    make_private(path).map_err(|source| BackendError::Io {
        path: path.to_owned(),
        action: "opened",
        source,
    })?;
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    if is_empty(&connection).map_err(failed)? {
        create(connection.transaction().map_err(failed)?).map_err(failed)?;
    }
    check(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

/// Refuses a database that is no store, or one of another format.
pub(super) fn check(connection: &Connection, path: &Path) -> std::result::Result<(), BackendError> {
    let failed = |source| BackendError::Sqlite { path: path.to_owned(), action: "read", source };
    let application: i64 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION {
        let source =
            Error::new(ErrorKind::InvalidData, "it is a database of another program; name another file");
        return Err(BackendError::Io { path: path.to_owned(), action: "opened", source });
    }
    let found: u32 = connection.query_row("SELECT format FROM head", [], |row| row.get(0)).map_err(failed)?;
    if found != FORMAT {
        return Err(BackendError::Format { path: path.to_owned(), found, known: FORMAT });
    }
    Ok(())
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Makes the tables, all or none.
fn create(transaction: Transaction<'_>) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.execute_batch(TABLES)?;
    transaction
        .execute("INSERT INTO head VALUES (1, ?1, ?2, 0)", params![FORMAT, Id::generate().to_string()])?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_descriptor_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let first = lock(&path).unwrap();
        assert!(matches!(lock(&path), Err(BackendError::Locked { .. })));
        let copy = first.0.try_clone().unwrap();
        drop(first);
        lock(&path).unwrap();
        drop(copy);
    }
}
