//! Keeps claims, references, usage and ranks in step with the objects.
//!
//! Each of them is a function of the objects: inserting and removing one changes exactly what that object
//! contributes, in any order. Only [`super::apply`] and the load of a store call this.

use std::sync::Arc;

use freehold_types::Id;
use rpds::RedBlackTreeSetSync;

use super::{Snapshot, Table};
use crate::conflict::Conflict;
use crate::entity::Amounts;
use crate::object::{AnyObject, Key};

impl Snapshot {
    /// Adds an object, which must not be there yet.
    pub(crate) fn insert(&mut self, object: Arc<dyn AnyObject>) -> Result<(), Conflict> {
        let key = object.key();
        for claim in object.claims() {
            match self.claims.get(claim.as_str()) {
                Some(owner) if *owner != key => return Err(Conflict::Claimed { claim, owner: *owner }),
                // The object names the claim twice.
                Some(_) => {}
                None => self.claims.insert_mut(claim.into_boxed_str(), key),
            }
        }
        for link in object.references() {
            if let Some(keys) = self.referrers.get_mut(&link.id) {
                keys.insert_mut(key);
            } else {
                self.referrers.insert_mut(link.id, RedBlackTreeSetSync::new_sync().insert(key));
            }
        }
        for (target, amounts) in object.usage() {
            let used = self.usage(target);
            let sum =
                used.checked_plus(amounts).map_err(|resource| Conflict::Exhausted { target, resource })?;
            self.set_usage(target, used, sum);
        }
        if let Some(rank) = object.rank(&self.usage(key.id)) {
            self.insert_rank(rank, key.id);
        }
        self.replace(object);
        Ok(())
    }

    /// Removes an object that is there.
    pub(super) fn remove(&mut self, object: &dyn AnyObject) {
        let key = object.key();
        if let Some(table) = self.table_mut(key.kind) {
            table.remove_mut(&key.id);
        }
        if let Some(rank) = object.rank(&self.usage(key.id)) {
            self.remove_rank(rank, key.id);
        }
        for claim in object.claims() {
            self.claims.remove_mut(claim.as_str());
        }
        for link in object.references() {
            self.remove_referrer(link.id, &key);
        }
        for (target, amounts) in object.usage() {
            let used = self.usage(target);
            self.set_usage(target, used, used.minus(amounts));
        }
    }

    /// Puts an object in the place of one from which the same follows.
    pub(super) fn replace(&mut self, object: Arc<dyn AnyObject>) {
        let key = object.key();
        if let Some(table) = self.table_mut(key.kind) {
            table.insert_mut(key.id, object);
        }
    }

    fn table_mut(&mut self, kind: &str) -> Option<&mut Table> {
        self.registry.index(kind).and_then(|index| self.tables.get_mut(index))
    }

    fn remove_referrer(&mut self, target: Id, key: &Key) {
        let Some(keys) = self.referrers.get_mut(&target) else { return };
        keys.remove_mut(key);
        if keys.is_empty() {
            self.referrers.remove_mut(&target);
        }
    }

    /// Changes what is used of a target, and with it the target's rank.
    fn set_usage(&mut self, target: Id, before: Amounts, after: Amounts) {
        if before == after {
            return;
        }
        let ranked: Vec<_> = self
            .registry
            .ranked()
            .filter_map(|index| self.tables.get(index)?.get(&target))
            .cloned()
            .collect();
        for object in &ranked {
            if let Some(rank) = object.rank(&before) {
                self.remove_rank(rank, target);
            }
        }
        if after == Amounts::default() {
            self.usage.remove_mut(&target);
        } else {
            self.usage.insert_mut(target, after);
        }
        for object in &ranked {
            if let Some(rank) = object.rank(&after) {
                self.insert_rank(rank, target);
            }
        }
    }

    fn insert_rank(&mut self, (group, score): (Id, u64), id: Id) {
        if let Some(members) = self.ranks.get_mut(&group) {
            members.insert_mut((score, id));
        } else {
            self.ranks.insert_mut(group, RedBlackTreeSetSync::new_sync().insert((score, id)));
        }
    }

    fn remove_rank(&mut self, (group, score): (Id, u64), id: Id) {
        let Some(members) = self.ranks.get_mut(&group) else { return };
        members.remove_mut(&(score, id));
        if members.is_empty() {
            self.ranks.remove_mut(&group);
        }
    }
}
