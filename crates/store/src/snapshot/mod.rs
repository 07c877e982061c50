//! The whole state at one revision: immutable, cheap to clone, read without waiting.
//!
//! Beside the objects it holds what follows from them, so that no reader has to search: who holds a claim,
//! who names whom, what is used of whom, and the order of ranked objects. [`apply`] makes the next snapshot
//! from a transaction; [`index`] keeps what follows in step with the objects.

use std::ops::Bound;
use std::sync::Arc;

use freehold_types::Id;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::backend::Head;
use crate::entity::{Amounts, Entity, OnDelete, Reference};
use crate::object::{AnyObject, Key, Object};
use crate::registry::Registry;

mod apply;
mod index;
#[cfg(test)]
mod properties;

type Table = RedBlackTreeMapSync<Id, Arc<dyn AnyObject>>;

const FIRST_ID: Id = Id::from_bytes([0; 12]);
const LAST_ID: Id = Id::from_bytes([0xff; 12]);

/// The state at one revision.
#[derive(Debug, Clone)]
pub struct Snapshot {
    registry: Arc<Registry>,
    lineage: Id,
    revision: u64,
    tables: Vec<Table>,
    claims: HashTrieMapSync<Box<str>, Key>,
    referrers: HashTrieMapSync<Id, RedBlackTreeSetSync<Key>>,
    usage: HashTrieMapSync<Id, Amounts>,
    ranks: HashTrieMapSync<Id, RedBlackTreeSetSync<(u64, Id)>>,
}

impl Snapshot {
    pub(crate) fn empty(registry: Arc<Registry>) -> Self {
        let tables = vec![Table::new_sync(); registry.len()];
        Self {
            registry,
            lineage: FIRST_ID,
            revision: 0,
            tables,
            claims: HashTrieMapSync::new_sync(),
            referrers: HashTrieMapSync::new_sync(),
            usage: HashTrieMapSync::new_sync(),
            ranks: HashTrieMapSync::new_sync(),
        }
    }

    /// Takes over where in which history the objects stand.
    pub(crate) fn stand_at(&mut self, head: Head) {
        self.lineage = head.lineage;
        self.revision = head.revision;
    }

    /// Revision of the last commit in it.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Identity of the history; a restored backup starts a new one.
    pub const fn lineage(&self) -> Id {
        self.lineage
    }

    /// One object.
    pub fn get<E: Entity>(&self, id: Id) -> Option<&Object<E>> {
        self.table(E::KIND)?.get(&id)?.downcast()
    }

    /// One object of any kind.
    pub fn get_any(&self, key: Key) -> Option<&Arc<dyn AnyObject>> {
        self.table(key.kind)?.get(&key.id)
    }

    /// All objects of a kind, in order of creation.
    pub fn all<E: Entity>(&self) -> impl Iterator<Item = &Object<E>> {
        self.table(E::KIND)
            .into_iter()
            .flat_map(|table| table.values())
            .filter_map(|object| object.downcast())
    }

    /// All objects of every kind.
    pub fn everything(&self) -> impl Iterator<Item = &Arc<dyn AnyObject>> {
        self.tables.iter().flat_map(|table| table.values())
    }

    /// How many objects of a kind there are.
    pub fn count<E: Entity>(&self) -> usize {
        self.table(E::KIND).map_or(0, Table::size)
    }

    /// Objects of kind `E` that name `target`, in order of creation.
    pub fn referrers<E: Entity>(&self, target: Id) -> impl Iterator<Item = &Object<E>> {
        self.referrer_keys_between(target, Key::of::<E>(FIRST_ID), Key::of::<E>(LAST_ID))
            .filter_map(|key| self.get(key.id))
    }

    /// Keys of all objects that name `target`.
    pub fn referrer_keys(&self, target: Id) -> impl Iterator<Item = Key> {
        self.referrers.get(&target).into_iter().flat_map(|keys| keys.iter().copied())
    }

    /// The first object that keeps `target` from being removed.
    pub fn blocker(&self, target: Id) -> Option<&Arc<dyn AnyObject>> {
        self.blockers(target).next()
    }

    /// The objects that keep `target` from being removed.
    pub fn blockers(&self, target: Id) -> impl Iterator<Item = &Arc<dyn AnyObject>> {
        self.strong_referrers(target, move |link| link.id == target)
    }

    /// The same, where another kind may have an object of that id.
    fn blockers_of(&self, target: Key) -> impl Iterator<Item = &Arc<dyn AnyObject>> {
        self.strong_referrers(target.id, move |link| link.id == target.id && link.kind == target.kind)
    }

    fn strong_referrers(
        &self,
        target: Id,
        is_meant: impl Fn(&Reference) -> bool,
    ) -> impl Iterator<Item = &Arc<dyn AnyObject>> {
        self.referrer_keys(target).filter_map(|key| self.get_any(key)).filter(move |object| {
            object.references().iter().any(|link| link.on_delete == OnDelete::Block && is_meant(link))
        })
    }

    /// Who holds a unique key.
    pub fn claim(&self, claim: &str) -> Option<Key> {
        self.claims.get(claim).copied()
    }

    /// The object that holds a unique key, when it is of kind `E`.
    pub fn claimed<E: Entity>(&self, claim: &str) -> Option<&Object<E>> {
        self.claim(claim).filter(|key| key.kind == E::KIND).and_then(|key| self.get(key.id))
    }

    /// What is used of `target`, over all objects.
    pub fn usage(&self, target: Id) -> Amounts {
        self.usage.get(&target).copied().unwrap_or_default()
    }

    /// The members of a group with their scores, lowest first.
    pub fn ranked(&self, group: Id) -> impl Iterator<Item = (u64, Id)> {
        self.ranks.get(&group).into_iter().flat_map(|members| members.iter().copied())
    }

    fn table(&self, kind: &str) -> Option<&Table> {
        self.registry.index(kind).and_then(|index| self.tables.get(index))
    }

    fn referrer_keys_between(&self, target: Id, first: Key, last: Key) -> impl Iterator<Item = Key> {
        self.referrers
            .get(&target)
            .into_iter()
            .flat_map(move |keys| keys.range((Bound::Included(first), Bound::Included(last))).copied())
    }
}
