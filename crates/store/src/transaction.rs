//! A set of writes that happen together or not at all.

use std::sync::Arc;

use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::entity::{Amounts, Entity};
use crate::object::{AnyObject, Key, Meta, Object};

/// Who writes, from where and why; kept in the change log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Account, agent or part of the controller, such as `user alice` or `controller finalizer`.
    pub who: String,
    /// Peer address; empty for the controller itself.
    pub from: String,
    /// Request id and operation, or the reconciler's reason.
    pub why: String,
}

impl Actor {
    /// A part of the controller itself.
    pub fn internal(part: &str, why: &str) -> Self {
        Self { who: format!("controller {part}"), from: String::new(), why: why.to_owned() }
    }
}

/// One write.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) key: Key,
    /// Revision of the object on which it was decided; `None`: it must not exist.
    pub(crate) expected: Option<u64>,
    /// The new object; `None` removes it.
    pub(crate) object: Option<Arc<dyn AnyObject>>,
}

/// Writes, with all that must hold for them.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    pub(crate) writes: Vec<Write>,
    pub(crate) expectations: Vec<(Key, Option<u64>)>,
    pub(crate) limits: Vec<(Id, Amounts)>,
}

impl Transaction {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Adds a new object.
    pub fn create<E: Entity>(&mut self, id: Id, spec: E, now: Timestamp) {
        self.push(Key::of::<E>(id), None, Some(Arc::new(Object::new(id, spec, now))));
    }

    /// Writes an object that was read and changed, or made with [`Object::new`].
    pub fn put<E: Entity>(&mut self, object: Object<E>) {
        self.push(object.key(), expected(&object.meta), Some(Arc::new(object)));
    }

    /// Replaces the specification of an object.
    pub fn update<E: Entity>(&mut self, object: &Object<E>, spec: E) {
        let pending = self.pending(object);
        self.put(Object { spec, ..pending });
    }

    /// Replaces the observed half of an object.
    pub fn observe<E: Entity>(&mut self, object: &Object<E>, status: E::Status) {
        let pending = self.pending(object);
        self.put(Object { status, ..pending });
    }

    /// Marks an object as being removed; it stays until its reconciler has finished.
    pub fn mark_deleting<E: Entity>(&mut self, object: &Object<E>, now: Timestamp) {
        let mut pending = self.pending(object);
        pending.meta.deleting.get_or_insert(now);
        self.put(pending);
    }

    /// Removes an object.
    pub fn delete<E: Entity>(&mut self, object: &Object<E>) {
        self.push(object.key(), expected(&object.meta), None);
    }

    /// Removes an object of any kind.
    pub fn delete_any(&mut self, object: &dyn AnyObject) {
        self.push(object.key(), expected(object.meta()), None);
    }

    /// Demands that an object which is only read is unchanged.
    pub fn expect<E: Entity>(&mut self, object: &Object<E>) {
        self.expectations.push((object.key(), expected(&object.meta)));
    }

    /// Demands that what is used of `target` is within `limit` after this transaction.
    pub fn limit(&mut self, target: Id, limit: Amounts) {
        self.limits.push((target, limit));
    }

    /// Takes over the writes and demands of another.
    pub fn merge(&mut self, other: Self) {
        for write in other.writes {
            self.push(write.key, write.expected, write.object);
        }
        self.expectations.extend(other.expectations);
        self.limits.extend(other.limits);
    }

    /// The object as this transaction would leave it.
    fn pending<E: Entity>(&self, object: &Object<E>) -> Object<E> {
        self.writes
            .iter()
            .find(|write| write.key == object.key())
            .and_then(|write| write.object.as_deref()?.downcast::<E>())
            .unwrap_or(object)
            .clone()
    }

    /// A later write of one object replaces the earlier; what either expects must hold.
    fn push(&mut self, key: Key, expected: Option<u64>, object: Option<Arc<dyn AnyObject>>) {
        if let Some(write) = self.writes.iter_mut().find(|write| write.key == key) {
            write.object = object;
            if write.expected != expected {
                self.expectations.push((key, expected));
            }
        } else {
            self.writes.push(Write { key, expected, object });
        }
    }
}

/// The revision at which an object was read; `None` when it is not stored yet.
fn expected(meta: &Meta) -> Option<u64> {
    (meta.revision != 0).then_some(meta.revision)
}
