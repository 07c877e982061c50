//! What happened, in order, for those who keep something derived from the state.

use std::collections::VecDeque;
use std::sync::Arc;

use freehold_types::Timestamp;
use tokio::sync::broadcast;

use crate::object::{AnyObject, Key};
use crate::snapshot::Snapshot;
use crate::transaction::Actor;

/// One object before and after.
#[derive(Debug, Clone)]
pub struct Change {
    pub key: Key,
    pub before: Option<Arc<dyn AnyObject>>,
    pub after: Option<Arc<dyn AnyObject>>,
}

impl Change {
    /// What happened, in a word.
    pub(crate) fn action(&self) -> &'static str {
        match (&self.before, &self.after) {
            (_, None) => "delete",
            (None, Some(_)) => "create",
            (Some(before), Some(after)) if before.meta().deleting != after.meta().deleting => "deleting",
            (Some(before), Some(after)) if before.same_spec(after.as_ref()) => "status",
            (Some(_), Some(_)) => "update",
        }
    }
}

/// A committed transaction.
#[derive(Debug)]
pub struct Commit {
    pub revision: u64,
    pub at: Timestamp,
    pub actor: Actor,
    pub changes: Vec<Change>,
}

impl Commit {
    /// Documents rewritten in their newest shape.
    pub(crate) fn upgrade(revision: u64, objects: Vec<Arc<dyn AnyObject>>) -> Self {
        let changes = objects
            .into_iter()
            .map(|object| Change { key: object.key(), before: Some(Arc::clone(&object)), after: Some(object) })
            .collect();
        let actor = Actor::internal("store", "upgrade of the schema");
        Self { revision, at: Timestamp::now(), actor, changes }
    }
}

/// What a watcher gets.
#[derive(Debug, Clone)]
pub enum Event {
    /// Start over from this state: it is the first event, or the watcher fell behind.
    Reset(Arc<Snapshot>),
    /// The next commit, and the state after it (or after a later one).
    Commit(Arc<Commit>, Arc<Snapshot>),
}

/// How many commits are kept in memory for watchers that resume.
pub(crate) const RETAINED: usize = 4_096;

/// The last commits, for resuming.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<Arc<Commit>>);

impl Recent {
    pub(crate) fn push(&mut self, commit: Arc<Commit>) {
        if self.0.len() == RETAINED {
            self.0.pop_front();
        }
        self.0.push_back(commit);
    }

    /// The commits after a revision; `None` when some of them are no longer kept.
    pub(crate) fn after(&self, revision: u64, head: u64) -> Option<Vec<Arc<Commit>>> {
        if revision == head {
            return Some(Vec::new());
        }
        let oldest = self.0.front()?.revision;
        (revision < head && revision + 1 >= oldest)
            .then(|| self.0.iter().filter(|commit| commit.revision > revision).cloned().collect())
    }
}

/// A stream of events. Never skips one: a watcher that falls behind is told to start over.
#[derive(Debug)]
pub struct Watch {
    pub(crate) pending: VecDeque<Event>,
    pub(crate) receiver: broadcast::Receiver<(Arc<Commit>, Arc<Snapshot>)>,
    pub(crate) current: Arc<arc_swap::ArcSwap<Snapshot>>,
    pub(crate) seen: u64,
}

impl Watch {
    /// The next event; `None` when the store has closed.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.pending.pop_front() {
            return Some(event);
        }
        loop {
            match self.receiver.recv().await {
                Ok((commit, _)) if commit.revision <= self.seen => {}
                Ok((commit, snapshot)) => {
                    self.seen = commit.revision;
                    return Some(Event::Commit(commit, snapshot));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let snapshot = self.current.load_full();
                    self.seen = snapshot.revision();
                    return Some(Event::Reset(snapshot));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
