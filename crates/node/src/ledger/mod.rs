//! What the node holds: the desired objects, and what was done for them.
//!
//! [`State`] is pure: it judges a slice and applies changes. [`Ledger`] keeps a state and its journal
//! together, so that a change counts only once it is durable. From the ledger alone a node brings its
//! host back after a power cut, with no controller in reach.
//!
//! It must never lose an accepted change, and must never stop the node: see [`journal`] for what
//! happens to a damaged file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use freehold_types::Id;
use freehold_types::agent::{Desired, ObjectKey, Slice, Specification, State as Wanted};
use serde::{Deserialize, Serialize};

use crate::converge::needs;
use crate::host::MachineMemory;

pub(crate) mod journal;

pub use journal::LedgerError;
use journal::{Journal, Opened};

/// One object in the ledger.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) desired: Arc<Desired>,
    /// Of machines only; others keep the default.
    pub(crate) memory: MachineMemory,
    /// What earlier specifications referred to and the host may still use, until the object is settled.
    lingering: BTreeSet<ObjectKey>,
}

/// A durable change of the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// The whole state; the first record of every journal.
    Snapshot(Snapshot),
    /// An accepted slice, reduced to what differs from what is held.
    Update(Update),
    /// What was done for machines.
    Memories(Vec<(Id, MachineMemory)>),
}

/// A whole state as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    format: u32,
    held: Option<(Id, u64)>,
    entries: Vec<Stored>,
}

/// An [`Entry`] as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    desired: Arc<Desired>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<MachineMemory>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    lingering: BTreeSet<ObjectKey>,
}

/// The difference that a slice makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Update {
    pub(crate) held: (Id, u64),
    pub(crate) put: Vec<Arc<Desired>>,
    /// Dropped from the ledger; the host is left as it is.
    pub(crate) dropped: Vec<ObjectKey>,
}

/// A slice that a node must not follow: older than what it holds, or partial without the base for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revision {revision} of lineage {lineage} cannot follow the revision {held} held; send a full slice")]
pub struct Refused {
    pub lineage: Id,
    pub revision: u64,
    /// Revision held, of whichever lineage; 0 when nothing is held.
    pub held: u64,
}

/// The desired objects at a revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    held: Option<(Id, u64)>,
    entries: BTreeMap<ObjectKey, Entry>,
    /// For each object those that refer to it, by what they are or by what they were.
    referrers: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
}

/// Version of the written form.
const FORMAT: u32 = 1;

impl State {
    /// Lineage and revision of the last accepted slice.
    pub(crate) const fn held(&self) -> Option<(Id, u64)> {
        self.held
    }

    pub(crate) fn get(&self, key: ObjectKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        self.entries.keys().copied()
    }

    pub(crate) fn referrers(&self, key: ObjectKey) -> impl Iterator<Item = ObjectKey> {
        self.referrers.get(&key).into_iter().flatten().copied()
    }

    /// What a slice changes.
    ///
    /// # Errors
    /// When the slice is older than what is held, or completes a history that the node does not hold.
    pub(crate) fn judge(&self, slice: Slice) -> Result<Update, Refused> {
        let refused = |held| Err(Refused { lineage: slice.lineage, revision: slice.revision, held });
        match self.held {
            Some((lineage, held)) if lineage == slice.lineage && slice.revision < held => {
                return refused(held);
            }
            Some((lineage, held)) if lineage != slice.lineage && !slice.full => return refused(held),
            None if !slice.full => return refused(0),
            Some(_) | None => {}
        }
        let mut dropped: BTreeSet<ObjectKey> = slice.forget.into_iter().collect();
        if slice.full {
            let named: BTreeSet<ObjectKey> = slice.objects.iter().map(|object| object.key).collect();
            dropped.extend(self.keys().filter(|key| !named.contains(key)));
        }
        dropped.retain(|key| self.entries.contains_key(key));
        let put = slice
            .objects
            .into_iter()
            .filter(|object| {
                dropped.contains(&object.key)
                    || self.get(object.key).is_none_or(|entry| *entry.desired != *object)
            })
            .map(Arc::new)
            .collect();
        Ok(Update { held: (slice.lineage, slice.revision), put, dropped: dropped.into_iter().collect() })
    }

    /// Applies a change. The same changes in the same order always give the same state.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Snapshot(snapshot) => self.restore(snapshot),
            Change::Update(update) => {
                self.held = Some(update.held);
                for key in update.dropped {
                    self.remove(key);
                }
                for desired in update.put {
                    self.put(desired);
                }
            }
            Change::Memories(memories) => {
                for (id, memory) in memories {
                    let key = ObjectKey { kind: freehold_types::agent::ObjectKind::Machine, id };
                    if let Some(entry) = self.entries.get_mut(&key) {
                        entry.memory = memory;
                    }
                }
            }
        }
    }

    /// The host is known to use only what the object's present specification refers to. Returns what it
    /// does not use any more.
    pub(crate) fn settle(&mut self, key: ObjectKey) -> Vec<ObjectKey> {
        let Some(entry) = self.entries.get_mut(&key) else { return Vec::new() };
        if entry.lingering.is_empty() {
            return Vec::new();
        }
        let lingering = std::mem::take(&mut entry.lingering);
        let current = needs(entry.desired.state.specification());
        let loose: Vec<ObjectKey> =
            lingering.into_iter().filter(|target| !current.contains(target)).collect();
        for target in &loose {
            self.unlink(key, *target);
        }
        loose
    }

    /// The whole state, to start a journal with.
    pub(crate) fn snapshot(&self) -> Change {
        let entries = self.entries.values().map(|entry| Stored {
            desired: Arc::clone(&entry.desired),
            memory: matches!(entry.desired.state.specification(), Specification::Machine(_))
                .then(|| entry.memory.clone()),
            lingering: entry.lingering.clone(),
        });
        Change::Snapshot(Snapshot { format: FORMAT, held: self.held, entries: entries.collect() })
    }

    fn restore(&mut self, snapshot: Snapshot) {
        *self = Self { held: snapshot.held, ..Self::default() };
        for Stored { desired, memory, lingering } in snapshot.entries {
            let key = desired.key;
            for target in &lingering {
                self.link(key, *target);
            }
            for target in needs(desired.state.specification()) {
                self.link(key, target);
            }
            let memory = memory.unwrap_or_default();
            self.entries.insert(key, Entry { desired, memory, lingering });
        }
    }

    fn put(&mut self, desired: Arc<Desired>) {
        let key = desired.key;
        for target in needs(desired.state.specification()) {
            self.link(key, target);
        }
        let entry = match self.entries.remove(&key) {
            None => Entry { memory: first_memory(&desired), desired, lingering: BTreeSet::new() },
            Some(mut entry) => {
                entry.lingering.extend(needs(entry.desired.state.specification()));
                if matches!((&entry.desired.state, &desired.state), (Wanted::Absent(_), Wanted::Present(_))) {
                    entry.memory = first_memory(&desired);
                }
                entry.desired = desired;
                entry
            }
        };
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: ObjectKey) {
        if let Some(entry) = self.entries.remove(&key) {
            for target in needs(entry.desired.state.specification()).into_iter().chain(entry.lingering) {
                self.unlink(key, target);
            }
        }
    }

    fn link(&mut self, from: ObjectKey, to: ObjectKey) {
        self.referrers.entry(to).or_default().insert(from);
    }

    fn unlink(&mut self, from: ObjectKey, to: ObjectKey) {
        if let Some(set) = self.referrers.get_mut(&to) {
            set.remove(&from);
            if set.is_empty() {
                self.referrers.remove(&to);
            }
        }
    }
}

/// What is taken as done for a machine that was not held: its past verbs, but not its power target.
fn first_memory(desired: &Desired) -> MachineMemory {
    match desired.state.specification() {
        Specification::Machine(machine) => {
            MachineMemory { reboots: machine.reboots, resets: machine.resets, ..MachineMemory::default() }
        }
        Specification::Pool(_)
        | Specification::Image(_)
        | Specification::Volume(_)
        | Specification::Segment(_)
        | Specification::Gateway(_)
        | Specification::Balancer(_)
        | Specification::Share(_)
        | Specification::DnsZone(_) => MachineMemory::default(),
    }
}

/// A state whose changes are durable before they count.
#[derive(Debug)]
pub(crate) struct Ledger {
    state: State,
    journal: Journal,
}

impl Ledger {
    /// A ledger that lasts as long as the process; for simulated nodes.
    pub(crate) fn in_memory() -> Self {
        Self { state: State::default(), journal: Journal::Memory }
    }

    /// Opens the ledger in a directory, or makes it. A damaged one is set aside.
    ///
    /// # Errors
    /// When the directory cannot be used at all, or another node uses it.
    pub(crate) fn open(directory: &Path) -> Result<Self, LedgerError> {
        let Opened { state, journal } = journal::open(directory)?;
        Ok(Self { state, journal })
    }

    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// Makes a change durable, then applies it. On failure nothing changed, and it can be tried again.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(crate) async fn commit(&mut self, change: &Change) -> Result<(), LedgerError> {
        self.journal.append(&self.state, change).await?;
        self.state.apply(change.clone());
        self.journal.compact_if_due(&self.state).await;
        Ok(())
    }

    /// Makes the next write fail, as on a full disk.
    #[cfg(test)]
    pub(crate) fn break_file(&mut self) {
        self.journal.break_file();
    }

    /// See [`State::settle`]. Not written: a journal read again only makes the node more careful.
    pub(crate) fn settle(&mut self, key: ObjectKey) -> Vec<ObjectKey> {
        self.state.settle(key)
    }
}

#[cfg(test)]
mod tests;
