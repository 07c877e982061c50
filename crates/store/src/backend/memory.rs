//! Keeps everything in memory, for tests and simulations. Survives being opened again when shared.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_types::{Id, Timestamp};

use super::{Backend, BackendError, Head, LogEntry, LogQuery, Record, document, log_entries, page};
use crate::object::{AnyObject, Key};
use crate::watch::{Change, Commit};

#[derive(Debug)]
struct Content {
    lineage: Id,
    revision: u64,
    records: BTreeMap<(String, Id), Record>,
    log: Vec<LogEntry>,
}

/// A store without a medium. Clones share their content, so that a test can "restart" on it.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Mutex<Content>>);

impl Default for Memory {
    fn default() -> Self {
        let content =
            Content { lineage: Id::generate(), revision: 0, records: BTreeMap::new(), log: Vec::new() };
        Self(Arc::new(Mutex::new(content)))
    }
}

impl Backend for Memory {
    fn load(&mut self, take: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<Head, BackendError> {
        let content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether all were wanted is the caller's to know.
        let _ = content.records.values().cloned().try_for_each(take);
        Ok(Head { lineage: content.lineage, revision: content.revision })
    }

    fn persist(&mut self, commits: &[Arc<Commit>]) -> Result<(), BackendError> {
        // Whatever can fail comes before the first change.
        let mut writes = Vec::new();
        for commit in commits {
            for Change { key, after, .. } in &commit.changes {
                let record = after.as_deref().map(|object| record(commit.revision, object)).transpose()?;
                writes.push(((key.kind.to_owned(), key.id), record));
            }
        }
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, record) in writes {
            match record {
                Some(record) => drop(content.records.insert(key, record)),
                None => drop(content.records.remove(&key)),
            }
        }
        for commit in commits {
            content.log.extend(log_entries(commit));
            content.revision = commit.revision;
        }
        Ok(())
    }

    fn log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BackendError> {
        let content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = content
            .log
            .iter()
            .rev()
            .filter(|entry| query.id.is_none_or(|id| id == entry.id))
            .filter(|entry| query.before.is_none_or(|revision| entry.revision < revision))
            .filter(|entry| !query.without_status || entry.action != "status");
        page(query, lines.cloned().map(Ok))
    }

    fn trim_log(&mut self, before: Timestamp) -> Result<bool, BackendError> {
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        content.log.retain(|entry| entry.at >= before);
        Ok(false)
    }
}

fn record(revision: u64, object: &dyn AnyObject) -> Result<Record, BackendError> {
    let Key { kind, id } = object.key();
    let document = document(object)?;
    Ok(Record { kind: kind.to_owned(), id, revision, schema: object.schema(), document })
}
