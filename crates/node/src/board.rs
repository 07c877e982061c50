//! What is known of the node right now: every object as found, the slice held, the link to the controller.
//!
//! The converge loop writes, the session and the status read. Later values replace earlier ones, so a
//! reader that is slow or away costs nothing; whoever reads sees the latest. The lock is never held
//! across an await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_types::agent::{ObjectKey, Observation, Observed};
use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The link to the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The node was started without one.
    None,
    /// Being dialled for the first time.
    Dialling,
    Connected {
        since: Timestamp,
    },
    /// Broken or refused; dialled again at `next`.
    Broken {
        reason: String,
        next: Timestamp,
    },
}

/// A node as it is now. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub agent: Id,
    /// Version of the node.
    pub version: String,
    /// Process that wrote this.
    pub process: u32,
    pub written: Timestamp,
    pub link: Link,
    /// Lineage and revision of the slice held.
    pub held: Option<(Id, u64)>,
    /// Why the ledger cannot be written; nothing is begun while that is so.
    pub ledger_fault: Option<String>,
    /// Nothing is being worked on or waits for its turn; objects may still wait for others or for a retry.
    pub idle: bool,
    pub objects: Vec<Observed>,
}

#[derive(Debug)]
struct Content {
    objects: BTreeMap<ObjectKey, Observed>,
    /// Not told to the controller yet.
    changed: BTreeSet<ObjectKey>,
    held: Option<(Id, u64)>,
    held_changed: bool,
    link: Link,
    ledger_fault: Option<String>,
    idle: bool,
}

/// The shared state of a node.
#[derive(Debug)]
pub(crate) struct Board {
    agent: Id,
    content: Mutex<Content>,
    version: watch::Sender<u64>,
}

impl Board {
    pub(crate) fn new(agent: Id, link: Link) -> Self {
        let content = Content {
            objects: BTreeMap::new(),
            changed: BTreeSet::new(),
            held: None,
            held_changed: false,
            link,
            ledger_fault: None,
            idle: false,
        };
        Self { agent, content: Mutex::new(content), version: watch::Sender::new(0) }
    }

    /// Tells when anything changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn publish(&self, observed: Observed) {
        self.change(|content| {
            if content.objects.get(&observed.key) == Some(&observed) {
                return false;
            }
            content.changed.insert(observed.key);
            content.objects.insert(observed.key, observed);
            true
        });
    }

    pub(crate) fn remove(&self, key: ObjectKey) {
        self.change(|content| {
            content.changed.remove(&key);
            content.objects.remove(&key).is_some()
        });
    }

    pub(crate) fn set_held(&self, held: Option<(Id, u64)>) {
        self.change(|content| {
            (content.held, content.held_changed) = (held, true);
            true
        });
    }

    pub(crate) fn set_link(&self, link: Link) {
        self.change(|content| std::mem::replace(&mut content.link, link) != content.link);
    }

    pub(crate) fn set_ledger_fault(&self, fault: Option<String>) {
        self.change(|content| std::mem::replace(&mut content.ledger_fault, fault) != content.ledger_fault);
    }

    pub(crate) fn set_idle(&self, idle: bool) {
        self.change(|content| std::mem::replace(&mut content.idle, idle) != idle);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.lock().idle
    }

    /// Everything, for the start of a session; counts as told.
    pub(crate) fn take_all(&self) -> Observation {
        let mut content = self.lock();
        content.changed.clear();
        content.held_changed = false;
        Observation { held: content.held, full: true, objects: content.objects.values().cloned().collect() }
    }

    /// What changed since the last take, if anything did; counts as told.
    pub(crate) fn take_changes(&self) -> Option<Observation> {
        let mut content = self.lock();
        let changed = std::mem::take(&mut content.changed);
        let held_changed = std::mem::take(&mut content.held_changed);
        if changed.is_empty() && !held_changed {
            return None;
        }
        let objects = changed.iter().filter_map(|key| content.objects.get(key).cloned()).collect();
        Some(Observation { held: content.held, full: false, objects })
    }

    pub(crate) fn status(&self) -> Status {
        let content = self.lock();
        Status {
            agent: self.agent,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            written: Timestamp::now(),
            link: content.link.clone(),
            held: content.held,
            ledger_fault: content.ledger_fault.clone(),
            idle: content.idle,
            objects: content.objects.values().cloned().collect(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Content) -> bool) {
        if change(&mut self.lock()) {
            self.version.send_modify(|version| *version += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use freehold_types::agent::{ObjectKind, Phase};

    use super::*;

    fn observed(id: u64, phase: Phase) -> Observed {
        let key = ObjectKey { kind: ObjectKind::Pool, id: Id::from_u64(id) };
        Observed { key, generation: 1, phase, message: String::new(), detail: None }
    }

    #[test]
    fn the_latest_value_of_each_object_is_told_once() {
        let board = Board::new(Id::from_u64(1), Link::None);
        board.publish(observed(1, Phase::Working));
        board.publish(observed(1, Phase::Ready));
        board.publish(observed(2, Phase::Working));
        let told = board.take_changes().unwrap();
        assert_eq!(told.objects, [observed(1, Phase::Ready), observed(2, Phase::Working)]);
        assert_eq!(board.take_changes(), None);
        board.publish(observed(1, Phase::Ready));
        assert_eq!(board.take_changes(), None, "nothing changed");
        board.remove(observed(2, Phase::Working).key);
        assert_eq!(board.take_all().objects, [observed(1, Phase::Ready)]);
        board.set_held(Some((Id::from_u64(9), 4)));
        assert_eq!(board.take_changes().unwrap().held, Some((Id::from_u64(9), 4)), "an acknowledgement");
    }
}
