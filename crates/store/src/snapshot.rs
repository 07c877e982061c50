//! The whole state at one revision, immutable and cheap to clone; and how a transaction changes it.

use std::ops::Bound;
use std::sync::Arc;

use freehold_types::{Id, Timestamp};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::conflict::Conflict;
use crate::entity::{Amounts, Entity, OnDelete};
use crate::object::{AnyObject, Key, Meta, Object};
use crate::registry::Registry;
use crate::transaction::{Actor, Transaction, Write};
use crate::watch::{Change, Commit};

type Table = RedBlackTreeMapSync<Id, Arc<dyn AnyObject>>;

const LAST_ID: Id = Id::from_u64(u64::MAX);

/// The state at one revision.
#[derive(Debug, Clone)]
pub struct Snapshot {
    registry: Arc<Registry>,
    lineage: Id,
    revision: u64,
    tables: Vec<Table>,
    claims: HashTrieMapSync<String, Key>,
    referrers: HashTrieMapSync<Id, RedBlackTreeSetSync<Key>>,
    usage: HashTrieMapSync<Id, Amounts>,
    ranks: HashTrieMapSync<Id, RedBlackTreeSetSync<(u64, Id)>>,
}

impl Snapshot {
    pub(crate) fn empty(registry: Arc<Registry>, lineage: Id, revision: u64) -> Self {
        let tables = vec![Table::new_sync(); registry.len()];
        Self {
            registry,
            lineage,
            revision,
            tables,
            claims: HashTrieMapSync::new_sync(),
            referrers: HashTrieMapSync::new_sync(),
            usage: HashTrieMapSync::new_sync(),
            ranks: HashTrieMapSync::new_sync(),
        }
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
        self.table(E::KIND).into_iter().flat_map(|table| table.values()).filter_map(|object| object.downcast())
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
        self.referrer_keys_between(target, Key::of::<E>(Id::from_u64(0)), Key::of::<E>(LAST_ID))
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
        self.referrer_keys(target).filter_map(|key| self.get_any(key)).filter(move |object| {
            object.references().iter().any(|link| link.id == target && link.on_delete == OnDelete::Block)
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

    /// Applies a transaction: the next snapshot and the commit, or what stands against it. Pure.
    pub(crate) fn apply(
        &self,
        transaction: &Transaction,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(Self, Commit), Conflict> {
        let revision = self.revision + 1;
        let mut next = self.clone();
        next.revision = revision;
        let changes = self.changes(transaction, revision, now)?;
        for (key, expected) in &transaction.expectations {
            self.check_revision(*key, *expected)?;
        }
        // Claims move from one owner to another within a transaction, so all are released first.
        for change in &changes {
            next.unindex(change);
        }
        for change in &changes {
            next.index(change)?;
        }
        for change in &changes {
            next.check_references(self, change)?;
        }
        for (target, limit) in &transaction.limits {
            if let Some(resource) = next.usage(*target).exceeds(limit) {
                return Err(Conflict::Exhausted { target: *target, resource });
            }
        }
        Ok((next, Commit { revision, at: now, actor: actor.clone(), changes }))
    }

    /// The writes that change something, with the metadata that the store assigns.
    fn changes(&self, transaction: &Transaction, revision: u64, now: Timestamp) -> Result<Vec<Change>, Conflict> {
        let mut changes = Vec::with_capacity(transaction.writes.len());
        for Write { key, expected, object } in &transaction.writes {
            self.check_revision(*key, *expected)?;
            let before = self.get_any(*key).cloned();
            let after = match (object, &before) {
                (Some(object), Some(before)) if object.same(before.as_ref()) => continue,
                (Some(object), Some(before)) => {
                    let same_spec = object.same_spec(before.as_ref());
                    let generation = before.meta().generation + u64::from(!same_spec);
                    let updated_at = if same_spec { before.meta().updated_at } else { now };
                    let deleting = object.meta().deleting;
                    Some(object.with_meta(Meta { revision, generation, updated_at, deleting, ..*before.meta() }))
                }
                (Some(object), None) => Some(object.with_meta(Meta { revision, ..*object.meta() })),
                (None, _) => None,
            };
            changes.push(Change { key: *key, before, after });
        }
        Ok(changes)
    }

    fn check_revision(&self, key: Key, expected: Option<u64>) -> Result<(), Conflict> {
        let found = self.get_any(key).map(|object| object.meta().revision);
        if found == expected { Ok(()) } else { Err(Conflict::Stale(key)) }
    }

    /// Adds an object that is known to be consistent (at load).
    pub(crate) fn insert(&mut self, object: Arc<dyn AnyObject>) -> Result<(), Conflict> {
        let key = object.key();
        self.index(&Change { key, before: None, after: Some(object) })
    }

    fn unindex(&mut self, change: &Change) {
        let Some(before) = &change.before else { return };
        let key = change.key;
        if let Some(rank) = before.rank(&self.usage(key.id)) {
            self.remove_rank(rank, key.id);
        }
        if let Some(table) = self.registry.index(key.kind).and_then(|index| self.tables.get_mut(index)) {
            table.remove_mut(&key.id);
        }
        for claim in before.claims() {
            self.claims.remove_mut(&claim);
        }
        for link in before.references() {
            if let Some(keys) = self.referrers.get_mut(&link.id) {
                keys.remove_mut(&key);
                if keys.is_empty() {
                    self.referrers.remove_mut(&link.id);
                }
            }
        }
        for (target, amounts) in before.usage() {
            self.change_usage(target, |used| used.minus(amounts));
        }
    }

    fn index(&mut self, change: &Change) -> Result<(), Conflict> {
        let Some(after) = &change.after else { return Ok(()) };
        let key = change.key;
        for claim in after.claims() {
            if let Some(owner) = self.claims.get(&claim) {
                return Err(Conflict::Claimed { claim, owner: *owner });
            }
            self.claims.insert_mut(claim, key);
        }
        for link in after.references() {
            if let Some(keys) = self.referrers.get_mut(&link.id) {
                keys.insert_mut(key);
            } else {
                self.referrers.insert_mut(link.id, RedBlackTreeSetSync::new_sync().insert(key));
            }
        }
        for (target, amounts) in after.usage() {
            self.change_usage(target, |used| used.plus(amounts));
        }
        if let Some(table) = self.registry.index(key.kind).and_then(|index| self.tables.get_mut(index)) {
            table.insert_mut(key.id, Arc::clone(after));
        }
        if let Some(rank) = after.rank(&self.usage(key.id)) {
            self.insert_rank(rank, key.id);
        }
        Ok(())
    }

    /// Changes what is used of a target, and with it the target's rank.
    fn change_usage(&mut self, target: Id, change: impl Fn(Amounts) -> Amounts) {
        let before = self.usage(target);
        let after = change(before);
        let ranked = self.ranking(target);
        if let Some(rank) = ranked.as_ref().and_then(|object| object.rank(&before)) {
            self.remove_rank(rank, target);
        }
        if after == Amounts::default() {
            self.usage.remove_mut(&target);
        } else {
            self.usage.insert_mut(target, after);
        }
        if let Some(rank) = ranked.and_then(|object| object.rank(&after)) {
            self.insert_rank(rank, target);
        }
    }

    /// The object with this id whose kind ranks its objects, if any.
    fn ranking(&self, id: Id) -> Option<Arc<dyn AnyObject>> {
        self.registry.ranked().find_map(|index| self.tables.get(index)?.get(&id)).cloned()
    }

    fn insert_rank(&mut self, (group, score): (Id, u64), id: Id) {
        if let Some(members) = self.ranks.get_mut(&group) {
            members.insert_mut((score, id));
        } else {
            self.ranks.insert_mut(group, RedBlackTreeSetSync::new_sync().insert((score, id)));
        }
    }

    fn remove_rank(&mut self, (group, score): (Id, u64), id: Id) {
        if let Some(members) = self.ranks.get_mut(&group) {
            members.remove_mut(&(score, id));
            if members.is_empty() {
                self.ranks.remove_mut(&group);
            }
        }
    }

    /// What is named exists and stays; what goes is named by nobody.
    fn check_references(&self, before: &Self, change: &Change) -> Result<(), Conflict> {
        let Some(after) = &change.after else {
            return match self.blocker(change.key.id) {
                Some(blocker) => Err(Conflict::Referenced(change.key, blocker.key())),
                None => Ok(()),
            };
        };
        for link in after.references().into_iter().filter(|link| link.on_delete == OnDelete::Block) {
            let to = Key { kind: link.kind, id: link.id };
            let Some(target) = self.get_any(to) else {
                return Err(Conflict::Missing { from: change.key, kind: link.kind, id: link.id });
            };
            let is_new = before
                .get_any(change.key)
                .is_none_or(|object| object.references().iter().all(|known| known.id != link.id));
            if is_new && target.meta().deleting.is_some() {
                return Err(Conflict::Deleting { from: change.key, to });
            }
        }
        Ok(())
    }
}
