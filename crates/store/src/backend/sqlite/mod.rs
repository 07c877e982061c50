//! SQLite in WAL mode with `synchronous=FULL`: one file, one process, a group of commits per fsync.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freehold_types::{Id, Timestamp};
use rusqlite::{Connection, Row, params};

use super::{Backend, BackendError, Head, LogEntry, LogQuery, Record, document, log_entries, page};
use crate::object::AnyObject;
use crate::seal::{SealError, Sealer};
use crate::watch::{Change, Commit};

mod copy;
mod file;
#[cfg(test)]
mod tests;

pub use copy::{backup, restore};

/// How many lines of the change log are forgotten at once, while writers wait.
const PIECE: usize = 500;

/// A store in one file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    connection: Connection,
    sealer: Sealer,
    /// Released last, when the connection is closed.
    _lock: file::Lock,
}

impl Sqlite {
    /// Opens or creates the file, for its owner only. Beside it lie SQLite's own `-wal` and `-shm`, and a
    /// `.lock`.
    ///
    /// # Errors
    /// [`BackendError::Locked`] when another process has it; else what the medium says.
    pub fn open(path: &Path, sealer: Sealer) -> Result<Self, BackendError> {
        let lock = file::lock(path)?;
        let connection = file::connect(path)?;
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
                let document = self.at_rest(object.as_ref())?;
                put.execute(params![
                    key.kind,
                    id,
                    commit.revision,
                    object.schema(),
                    object.sealed(),
                    document
                ])
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

impl Sqlite {
    /// The document as it is stored.
    fn at_rest(&self, object: &dyn AnyObject) -> Result<Vec<u8>, BackendError> {
        let document = document(object)?;
        if !object.sealed() {
            return Ok(document.into_bytes());
        }
        let key = object.key();
        self.sealer.seal(&document, &key.to_string()).map_err(|source| BackendError::Seal {
            kind: key.kind.to_owned(),
            id: key.id,
            source,
        })
    }

    /// Gives up a transaction that could not be finished.
    fn roll_back(&self) -> Result<(), BackendError> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK").map_err(self.failed("rolled back"))
    }
}

impl Backend for Sqlite {
    fn load(&mut self, take: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<Head, BackendError> {
        let failed = self.failed("read");
        let (lineage, revision) = self
            .connection
            .query_row("SELECT lineage, revision FROM head", [], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?))
            })
            .map_err(&failed)?;
        let lineage = lineage.parse().map_err(|_| failed(rusqlite::Error::InvalidQuery))?;
        let mut statement = self
            .connection
            .prepare("SELECT kind, id, revision, schema, sealed, document FROM records")
            .map_err(&failed)?;
        let mut rows = statement.query([]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            if take(record(row, &self.sealer, &failed)?).is_break() {
                break;
            }
        }
        Ok(Head { lineage, revision })
    }

    fn persist(&mut self, commits: &[Arc<Commit>]) -> Result<(), BackendError> {
        // What an earlier failure may have left open, if even giving it up failed then.
        self.roll_back()?;
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(self.failed("written"))?;
        let written = self
            .write(commits)
            .and_then(|()| self.connection.execute_batch("COMMIT").map_err(self.failed("written")));
        if written.is_err() {
            self.roll_back()?;
        }
        written
    }

    fn log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BackendError> {
        let failed = self.failed("read");
        let mut statement = self.connection.prepare_cached(&log_statement(query)).map_err(&failed)?;
        let id = query.id.map(|id| *id.as_bytes());
        let lines =
            statement.query_map(params![id, query.before.unwrap_or(NEVER)], log_entry).map_err(&failed)?;
        page(query, lines).map_err(failed)
    }

    fn trim_log(&mut self, before: Timestamp) -> Result<bool, BackendError> {
        let trimmed = self
            .connection
            .prepare_cached(
                "DELETE FROM log WHERE (revision, position) IN
                 (SELECT revision, position FROM log WHERE at < ?1 ORDER BY at LIMIT ?2)",
            )
            .and_then(|mut statement| statement.execute(params![before.as_millis(), PIECE]))
            .map_err(self.failed("trimmed"))?;
        Ok(trimmed == PIECE)
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }
}

/// After every revision that SQLite can count.
const NEVER: u64 = i64::MAX.unsigned_abs();

/// One statement for each combination, as only then each runs along an index and stops at the page's end.
fn log_statement(query: &LogQuery) -> String {
    let of_object = if query.id.is_some() { "id = ?1 AND" } else { "?1 IS NULL AND" };
    let without_status = if query.without_status { "AND action <> 'status'" } else { "" };
    format!(
        "SELECT revision, at, who, origin, why, kind, id, label, action FROM log
         WHERE {of_object} revision < ?2 {without_status} ORDER BY revision DESC, position DESC"
    )
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
        String::from_utf8(document).map_err(|_| SealError)
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
