//! SQLite in WAL mode with `synchronous=FULL`: one file, one process, a group of commits per fsync.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use freehold_types::{Id, Timestamp};
use fs4::fs_std::FileExt;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Backend, BackendError, Loaded, LogEntry, LogQuery, Record, log_entries};
use crate::seal::Sealer;
use crate::watch::{Change, Commit};

/// Version of the tables, not of the documents in them.
const FORMAT: u32 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS head (
    one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, lineage TEXT NOT NULL, revision INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, id BLOB NOT NULL, revision INTEGER NOT NULL, schema INTEGER NOT NULL,
    sealed INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
    revision INTEGER NOT NULL, position INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, origin TEXT NOT NULL,
    why TEXT NOT NULL, kind TEXT NOT NULL, id BLOB NOT NULL, label TEXT NOT NULL, action TEXT NOT NULL,
    PRIMARY KEY (revision, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS log_by_id ON log (id, revision);
";

/// A store in one file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    connection: Connection,
    sealer: Sealer,
    /// Held while the store is open, so that two controllers never share one file.
    _lock: File,
}

impl Sqlite {
    /// Opens or creates the file. Beside it lie SQLite's own `-wal` and `-shm`, and a `.lock`.
    ///
    /// # Errors
    /// [`BackendError::Locked`] when another process has it; else what the medium says.
    pub fn open(path: &Path, sealer: Sealer) -> Result<Self, BackendError> {
        let lock = lock(path)?;
        let connection = connect(path)?;
        let failed = |action| move |source| BackendError::Sqlite { path: path.to_owned(), action, source };
        connection.execute_batch(TABLES).map_err(failed("prepared"))?;
        let found: Option<u32> = connection
            .query_row("SELECT format FROM head", [], |row| row.get(0))
            .optional()
            .map_err(failed("read"))?;
        match found {
            Some(FORMAT) => {}
            Some(found) => return Err(BackendError::Format { path: path.to_owned(), found, known: FORMAT }),
            None => set_lineage(&connection, Id::generate()).map_err(failed("prepared"))?,
        }
        Ok(Self { path: path.to_owned(), connection, sealer, _lock: lock })
    }

    fn failed(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> BackendError {
        move |source| BackendError::Sqlite { path: self.path.clone(), action, source }
    }

    fn write(&self, commits: &[Arc<Commit>]) -> Result<(), BackendError> {
        let failed = self.failed("written");
        let mut put = self
            .connection
            .prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            .map_err(&failed)?;
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM records WHERE kind = ?1 AND id = ?2")
            .map_err(&failed)?;
        let mut log = self
            .connection
            .prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")
            .map_err(&failed)?;
        for commit in commits {
            for Change { key, after, .. } in &commit.changes {
                let id = key.id.as_bytes();
                let Some(object) = after else {
                    delete.execute(params![key.kind, id]).map_err(&failed)?;
                    continue;
                };
                let document = object.document()?;
                let document = if object.sealed() {
                    self.sealer.seal(&document, &key.to_string()).map_err(|source| BackendError::Seal {
                        kind: key.kind.to_owned(),
                        id: key.id,
                        source,
                    })?
                } else {
                    document.into_bytes()
                };
                put.execute(params![key.kind, id, commit.revision, object.schema(), object.sealed(), document])
                    .map_err(&failed)?;
            }
            for (position, entry) in log_entries(commit).enumerate() {
                let LogEntry { revision, at, who, from, why, kind, id, label, action } = entry;
                let (at, id) = (at.as_millis(), id.as_bytes());
                log.execute(params![revision, position, at, who, from, why, kind, id, label, action])
                    .map_err(&failed)?;
            }
        }
        if let Some(last) = commits.last() {
            self.connection.execute("UPDATE head SET revision = ?1", [last.revision]).map_err(&failed)?;
        }
        Ok(())
    }
}

impl Backend for Sqlite {
    fn load(&mut self) -> Result<Loaded, BackendError> {
        let failed = self.failed("read");
        let (lineage, revision) = self
            .connection
            .query_row("SELECT lineage, revision FROM head", [], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
            .map_err(&failed)?;
        let lineage = lineage.parse().map_err(|_| failed(rusqlite::Error::InvalidQuery))?;
        let mut statement = self
            .connection
            .prepare("SELECT kind, id, revision, schema, sealed, document FROM records ORDER BY kind, id")
            .map_err(&failed)?;
        let mut rows = statement.query([]).map_err(&failed)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(&failed)? {
            records.push(record(row, &self.sealer, &failed)?);
        }
        Ok(Loaded { lineage, revision, records })
    }

    fn persist(&mut self, commits: &[Arc<Commit>]) -> Result<(), BackendError> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(self.failed("written"))?;
        let written = self
            .write(commits)
            .and_then(|()| self.connection.execute_batch("COMMIT").map_err(self.failed("written")));
        if written.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").map_err(self.failed("rolled back"))?;
        }
        written
    }

    fn log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BackendError> {
        let failed = self.failed("read");
        let limit = if query.limit == 0 { 100 } else { query.limit };
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT revision, at, who, origin, why, kind, id, label, action FROM log
                 WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR revision < ?2) AND (NOT ?3 OR action <> 'status')
                 ORDER BY revision DESC, position DESC LIMIT ?4",
            )
            .map_err(&failed)?;
        let id = query.id.map(|id| *id.as_bytes());
        let rows = statement
            .query_map(params![id, query.before, query.without_status, limit], log_entry)
            .map_err(&failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    fn trim_log(&mut self, before: Timestamp) -> Result<(), BackendError> {
        self.connection
            .execute("DELETE FROM log WHERE at < ?1", [before.as_millis()])
            .map(drop)
            .map_err(self.failed("trimmed"))
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }
}

fn lock(path: &Path) -> Result<File, BackendError> {
    let failed = |source| BackendError::Io { path: path.to_owned(), action: "locked", source };
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.with_extension("lock"))
        .map_err(failed)?;
    match lock.try_lock_exclusive() {
        Ok(true) => Ok(lock),
        Ok(false) => Err(BackendError::Locked { path: path.to_owned() }),
        Err(source) => Err(failed(source)),
    }
}

fn connect(path: &Path) -> Result<Connection, BackendError> {
    let failed = |source| BackendError::Sqlite { path: path.to_owned(), action: "opened", source };
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

fn set_lineage(connection: &Connection, lineage: Id) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO head VALUES (1, ?1, ?2, 0) ON CONFLICT (one) DO UPDATE SET lineage = ?2",
            params![FORMAT, lineage.to_string()],
        )
        .map(drop)
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Id> {
    Ok(Id::from_bytes(row.get(column)?))
}

fn record(
    row: &Row<'_>,
    sealer: &Sealer,
    failed: impl Fn(rusqlite::Error) -> BackendError,
) -> Result<Record, BackendError> {
    let kind: String = row.get(0).map_err(&failed)?;
    let id = id(row, 1).map_err(&failed)?;
    let (revision, schema, sealed): (u64, u32, bool) =
        (row.get(2).map_err(&failed)?, row.get(3).map_err(&failed)?, row.get(4).map_err(&failed)?);
    let document: Vec<u8> = row.get(5).map_err(&failed)?;
    let opened = if sealed {
        sealer.open(&document, &format!("{kind} {id}"))
    } else {
        String::from_utf8(document).map_err(|_| crate::seal::SealError)
    };
    match opened {
        Ok(document) => Ok(Record { kind, id, revision, schema, document }),
        Err(source) => Err(BackendError::Seal { kind, id, source }),
    }
}

fn log_entry(row: &Row<'_>) -> rusqlite::Result<LogEntry> {
    Ok(LogEntry {
        revision: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        who: row.get(2)?,
        from: row.get(3)?,
        why: row.get(4)?,
        kind: row.get(5)?,
        id: id(row, 6)?,
        label: row.get(7)?,
        action: row.get(8)?,
    })
}

/// Copies a store that may be in use to a new file.
///
/// # Errors
/// When the target exists, or the medium fails; no half copy is left.
pub fn backup(from: &Path, to: &Path) -> Result<(), BackendError> {
    refuse_existing(to)?;
    let partial = to.with_extension("partial");
    let failed = |source| BackendError::Sqlite { path: from.to_owned(), action: "backed up", source };
    let source = Connection::open_with_flags(from, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let io = |source| BackendError::Io { path: partial.clone(), action: "written", source };
    if partial.exists() {
        std::fs::remove_file(&partial).map_err(io)?;
    }
    {
        let mut target = Connection::open(&partial).map_err(failed)?;
        let copy = rusqlite::backup::Backup::new(&source, &mut target).map_err(failed)?;
        copy.run_to_completion(256, Duration::from_millis(5), None).map_err(failed)?;
    }
    File::open(&partial).and_then(|file| file.sync_all()).map_err(io)?;
    std::fs::rename(&partial, to).map_err(io)
}

/// Puts a backup in the place of a store. It starts a new history, so that nodes accept its revisions.
///
/// # Errors
/// When the store is in use or exists, when the backup is damaged, or the medium fails.
pub fn restore(backup_file: &Path, path: &Path) -> Result<(), BackendError> {
    let _lock = lock(path)?;
    refuse_existing(path)?;
    let failed = |source| BackendError::Sqlite { path: backup_file.to_owned(), action: "restored", source };
    let check = Connection::open_with_flags(backup_file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    check.query_row("SELECT revision FROM head", [], |row| row.get::<_, u64>(0)).map_err(failed)?;
    drop(check);
    backup(backup_file, path)?;
    let restored = connect(path)?;
    set_lineage(&restored, Id::generate()).map_err(failed)
}

fn refuse_existing(path: &Path) -> Result<(), BackendError> {
    if path.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "the file exists; move it away first");
        return Err(BackendError::Io { path: path.to_owned(), action: "written", source });
    }
    Ok(())
}
