//! Where commits are made durable. A backend persists and reads back; it decides nothing.

pub mod memory;
pub mod sqlite;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::object::{AnyObject, Key};
use crate::watch::Commit;

/// A document at rest, opened but not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub kind: String,
    pub id: Id,
    pub revision: u64,
    pub schema: u32,
    pub document: String,
}

/// What is at rest beside the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Identity of the history.
    pub lineage: Id,
    /// Revision of the last commit.
    pub revision: u64,
}

/// Why a backend failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error("the store at {path} is used by another process; stop that one first")]
    Locked { path: PathBuf },
    #[error("the store at {path} has format {found}, this version reads {known}")]
    Format { path: PathBuf, found: u32, known: u32 },
    #[error("the document of {kind} {id} is sealed")]
    Seal { kind: String, id: Id, source: crate::seal::SealError },
    #[error("the store at {path} cannot be {action}")]
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    #[error("the store at {path} cannot be {action}")]
    Sqlite { path: PathBuf, action: &'static str, source: rusqlite::Error },
    #[error("the document of {kind} {id} has no JSON form")]
    Document { kind: String, id: Id, source: serde_json::Error },
    #[error("the store is kept in memory only: there is nothing to back up")]
    Unsupported,
}

/// A line of the change log: one object in one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub revision: u64,
    pub at: Timestamp,
    pub who: String,
    pub from: String,
    pub why: String,
    pub kind: String,
    pub id: Id,
    pub label: String,
    /// `create`, `update`, `status`, `deleting` or `delete`.
    pub action: String,
}

/// Which lines of the change log are wanted, newest first.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Only this object.
    pub id: Option<Id>,
    /// Only commits before this revision (for paging).
    pub before: Option<u64>,
    /// How many lines make a page; zero is 100. A page ends with a whole commit, so that the next one can go
    /// on before its revision; it may be longer for that.
    pub limit: u32,
    /// Leave out what reconcilers only observed.
    pub without_status: bool,
}

/// Makes commits durable.
pub trait Backend: Send + 'static {
    /// Reads everything: hands over one record after the other, in any order, for as long as they are wanted.
    ///
    /// # Errors
    /// When the medium fails, or a document does not open with the seal key.
    fn load(&mut self, take: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<Head, BackendError>;

    /// Makes commits durable, all or none; when it returns they survive a power cut.
    ///
    /// # Errors
    /// When the medium fails; nothing was written.
    fn persist(&mut self, commits: &[Arc<Commit>]) -> Result<(), BackendError>;

    /// Reads the change log.
    ///
    /// # Errors
    /// When the medium fails.
    fn log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BackendError>;

    /// Forgets a piece of the change log before a time, small enough for writers to wait for. True when
    /// there is more of it.
    ///
    /// # Errors
    /// When the medium fails.
    fn trim_log(&mut self, before: Timestamp) -> Result<bool, BackendError>;

    /// Where the store lies, when it is a file.
    fn path(&self) -> Option<PathBuf> {
        None
    }
}

impl<B: Backend + ?Sized> Backend for Box<B> {
    fn load(&mut self, take: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<Head, BackendError> {
        (**self).load(take)
    }

    fn persist(&mut self, commits: &[Arc<Commit>]) -> Result<(), BackendError> {
        (**self).persist(commits)
    }

    fn log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BackendError> {
        (**self).log(query)
    }

    fn trim_log(&mut self, before: Timestamp) -> Result<bool, BackendError> {
        (**self).trim_log(before)
    }

    fn path(&self) -> Option<PathBuf> {
        (**self).path()
    }
}

/// The document of an object as JSON text.
pub(crate) fn document(object: &dyn AnyObject) -> Result<String, BackendError> {
    object.document().map_err(|source| {
        let Key { kind, id } = object.key();
        BackendError::Document { kind: kind.to_owned(), id, source }
    })
}

/// Takes lines, newest first, until a page is full and its last commit whole.
pub(crate) fn page<E>(
    query: &LogQuery,
    lines: impl Iterator<Item = Result<LogEntry, E>>,
) -> Result<Vec<LogEntry>, E> {
    let limit = if query.limit == 0 { 100 } else { usize::try_from(query.limit).unwrap_or(usize::MAX) };
    let mut page: Vec<LogEntry> = Vec::new();
    for line in lines {
        let line = line?;
        if page.len() >= limit && page.last().is_some_and(|last| last.revision != line.revision) {
            break;
        }
        page.push(line);
    }
    Ok(page)
}

/// The log lines of a commit.
pub(crate) fn log_entries(commit: &Commit) -> impl Iterator<Item = LogEntry> {
    commit.changes.iter().map(|change| {
        let object = change.after.as_ref().or(change.before.as_ref());
        LogEntry {
            revision: commit.revision,
            at: commit.at,
            who: commit.actor.who.clone(),
            from: commit.actor.from.clone(),
            why: commit.actor.why.clone(),
            kind: change.key.kind.to_owned(),
            id: change.key.id,
            label: object.and_then(|object| object.label()).unwrap_or_default().to_owned(),
            action: change.action().to_owned(),
        }
    })
}
