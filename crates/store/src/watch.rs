//! What happened, in order, for those who keep something derived from the state.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
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
            .map(|object| Change {
                key: object.key(),
                before: Some(Arc::clone(&object)),
                after: Some(object),
            })
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
const RETAINED_COMMITS: usize = 4_096;

/// How many changes these commits may hold together, as each keeps the object that it replaced.
const RETAINED_CHANGES: usize = 16_384;

/// The last commits, for resuming.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    commits: VecDeque<Arc<Commit>>,
    changes: usize,
}

impl Recent {
    pub(crate) fn push(&mut self, commit: Arc<Commit>) {
        self.changes += commit.changes.len();
        self.commits.push_back(commit);
        while self.commits.len() > RETAINED_COMMITS || self.changes > RETAINED_CHANGES {
            let Some(oldest) = self.commits.pop_front() else { return };
            self.changes -= oldest.changes.len();
        }
    }

    /// The commits after a revision; `None` when some of them are no longer kept.
    pub(crate) fn after(&self, revision: u64, head: u64) -> Option<impl Iterator<Item = &Arc<Commit>>> {
        let missing = usize::try_from(head.checked_sub(revision)?).ok()?;
        let known = self.commits.len().checked_sub(missing)?;
        Some(self.commits.range(known..))
    }
}

type Message = (Arc<Commit>, Arc<Snapshot>);

/// A stream of events. Never skips one: a watcher that falls behind is told to start over.
#[derive(Debug)]
pub struct Watch {
    pending: VecDeque<Event>,
    receiver: broadcast::Receiver<Message>,
    current: Arc<ArcSwap<Snapshot>>,
    seen: u64,
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
                    // The rest of the backlog is in the state already. A state taken after the subscription
                    // has all that was sent before it.
                    self.receiver = self.receiver.resubscribe();
                    let snapshot = self.current.load_full();
                    self.seen = snapshot.revision();
                    return Some(Event::Reset(snapshot));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// How many commits a watcher may be behind before it has to start over.
const BACKLOG: usize = 1_024;

/// Where the writer publishes, and readers and watchers look.
#[derive(Debug)]
pub(crate) struct Board {
    current: Arc<ArcSwap<Snapshot>>,
    recent: Mutex<Recent>,
    /// The writer holds the other end: when it ends, so does every watch.
    events: broadcast::WeakSender<Message>,
}

/// The writer's end of the board.
#[derive(Debug)]
pub(crate) struct Publisher {
    board: Arc<Board>,
    events: broadcast::Sender<Message>,
}

impl Board {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> (Arc<Self>, Publisher) {
        let events = broadcast::channel(BACKLOG).0;
        let board = Arc::new(Self {
            current: Arc::new(ArcSwap::new(snapshot)),
            recent: Mutex::default(),
            events: events.downgrade(),
        });
        (Arc::clone(&board), Publisher { board, events })
    }

    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn watch(&self, from: Option<u64>) -> Watch {
        // Holding `recent` keeps the writer from publishing between the subscription and the look at the past.
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = match self.events.upgrade() {
            Some(events) => events.subscribe(),
            // The store has closed: what is known is told, then the stream ends.
            None => broadcast::channel(1).1,
        };
        let snapshot = self.current.load_full();
        let seen = snapshot.revision();
        let pending = match from.and_then(|revision| recent.after(revision, seen)) {
            Some(commits) => {
                commits.map(|commit| Event::Commit(Arc::clone(commit), Arc::clone(&snapshot))).collect()
            }
            None => VecDeque::from([Event::Reset(snapshot)]),
        };
        Watch { pending, receiver, current: Arc::clone(&self.current), seen }
    }
}

impl Publisher {
    /// Makes commits visible, oldest first, each with the state after it. Whoever sees one of them can no
    /// longer read a state without it.
    pub(crate) fn publish(&self, commits: Vec<Message>) {
        let Some((_, last)) = commits.last() else { return };
        let mut recent = self.board.recent.lock().unwrap_or_else(PoisonError::into_inner);
        self.board.current.store(Arc::clone(last));
        for (commit, snapshot) in commits {
            recent.push(Arc::clone(&commit));
            // An error means that nobody watches.
            let _ = self.events.send((commit, snapshot));
        }
    }
}

#[cfg(test)]
mod tests {
    use freehold_types::Id;

    use super::*;

    fn commit(revision: u64, changes: usize) -> Arc<Commit> {
        let change = Change { key: Key { kind: "thing", id: Id::from_u64(1) }, before: None, after: None };
        let changes = vec![change; changes];
        Arc::new(Commit { revision, at: Timestamp::default(), actor: Actor::internal("test", ""), changes })
    }

    fn after(recent: &Recent, revision: u64, head: u64) -> Option<Vec<u64>> {
        recent.after(revision, head).map(|commits| commits.map(|commit| commit.revision).collect())
    }

    #[test]
    fn resumes_only_where_nothing_is_missing() {
        let mut recent = Recent::default();
        assert_eq!(after(&recent, 7, 7), Some(vec![]));
        assert_eq!(after(&recent, 6, 7), None);
        for revision in 8..=10 {
            recent.push(commit(revision, 1));
        }
        assert_eq!(after(&recent, 10, 10), Some(vec![]));
        assert_eq!(after(&recent, 8, 10), Some(vec![9, 10]));
        assert_eq!(after(&recent, 7, 10), Some(vec![8, 9, 10]));
        assert_eq!(after(&recent, 6, 10), None);
        assert_eq!(after(&recent, 11, 10), None);
    }

    #[test]
    fn keeps_a_bounded_number_of_commits_and_changes() {
        let mut recent = Recent::default();
        let many = RETAINED_COMMITS as u64 + 10;
        for revision in 1..=many {
            recent.push(commit(revision, 1));
        }
        assert_eq!((recent.commits.len(), recent.changes), (RETAINED_COMMITS, RETAINED_COMMITS));
        recent.push(commit(many + 1, RETAINED_CHANGES));
        assert_eq!(after(&recent, many, many + 1), Some(vec![many + 1]));
        recent.push(commit(many + 2, RETAINED_CHANGES + 1));
        assert_eq!(after(&recent, many + 1, many + 2), None);
        assert_eq!(recent.changes, 0);
    }
}
