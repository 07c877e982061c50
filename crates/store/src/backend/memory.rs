//! Keeps everything in memory, for tests and simulations. Survives being opened again when shared.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_types::{Id, Timestamp};

use super::{Backend, BackendError, Loaded, LogEntry, LogQuery, Record, log_entries};
use crate::watch::Commit;

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
        let content = Content { lineage: Id::generate(), revision: 0, records: BTreeMap::new(), log: Vec::new() };
        Self(Arc::new(Mutex::new(content)))
    }
}

impl Backend for Memory {
    fn load(&mut self) -> Result<Loaded, BackendError> {
        let content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let records = content.records.values().cloned().collect();
        Ok(Loaded { lineage: content.lineage, revision: content.revision, records })
    }

    fn persist(&mut self, commits: &[Arc<Commit>]) -> Result<(), BackendError> {
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for commit in commits {
            for change in &commit.changes {
                let key = (change.key.kind.to_owned(), change.key.id);
                if let Some(object) = &change.after {
                    let record = Record {
                        kind: key.0.clone(),
                        id: key.1,
                        revision: commit.revision,
                        schema: object.schema(),
                        document: object.document()?,
                    };
                    content.records.insert(key, record);
                } else {
                    content.records.remove(&key);
                }
            }
            content.log.extend(log_entries(commit));
            content.revision = commit.revision;
        }
        Ok(())
    }

    fn log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BackendError> {
        let content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = if query.limit == 0 { 100 } else { query.limit };
        Ok(content
            .log
            .iter()
            .rev()
            .filter(|entry| query.id.is_none_or(|id| id == entry.id))
            .filter(|entry| query.before.is_none_or(|revision| entry.revision < revision))
            .filter(|entry| !query.without_status || entry.action != "status")
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .cloned()
            .collect())
    }

    fn trim_log(&mut self, before: Timestamp) -> Result<(), BackendError> {
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        content.log.retain(|entry| entry.at >= before);
        Ok(())
    }
}
