//! What remains to be done by the controller itself: objects on their way out go when nothing is left of
//! them on any node and nobody names them.
//!
//! *Expected flow:* called for each changed object and its neighbours, and for everything at a start.
//! *Guarantees:* level-triggered and idempotent; the transaction it gives is refused by the store when
//! anything has changed since.

use freehold_store::{AnyObject, Change, Key, Snapshot, Transaction};

use crate::compute::Compute;
use crate::slice;

/// The removal of an object, when it may go now.
pub fn removal(key: Key, snapshot: &Snapshot) -> Option<Transaction> {
    let object = snapshot.get_any(key)?.as_ref();
    object.meta().deleting?;
    if !may_go(object, snapshot) {
        return None;
    }
    let mut transaction = Transaction::default();
    transaction.delete_any(object);
    Some(transaction)
}

fn may_go(object: &dyn AnyObject, snapshot: &Snapshot) -> bool {
    if let Some(row) = slice::row(object.key().kind) {
        (row.may_go)(object, snapshot)
    } else if let Some(compute) = object.downcast::<Compute>() {
        let parts = object.references().into_iter().filter(|link| link.id != compute.spec.project);
        parts.into_iter().all(|link| snapshot.get_any(Key { kind: link.kind, id: link.id }).is_none())
    } else {
        snapshot.blocker(object.key().id).is_none()
    }
}

/// The objects whose removal a change may have made possible: itself, what it named, and who names it.
pub fn affected(change: &Change, snapshot: &Snapshot) -> Vec<Key> {
    let mut keys = Vec::new();
    if change.after.as_ref().is_some_and(|object| object.meta().deleting.is_some()) {
        keys.push(change.key);
    }
    if let (Some(before), None) = (&change.before, &change.after) {
        keys.extend(before.references().into_iter().map(|link| Key { kind: link.kind, id: link.id }));
        keys.extend(snapshot.referrer_keys(change.key.id));
        keys.retain(|key| snapshot.get_any(*key).is_some_and(|object| object.meta().deleting.is_some()));
    }
    keys
}
