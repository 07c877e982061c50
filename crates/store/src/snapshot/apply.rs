//! How a transaction changes the state: checked against the snapshot, pure, all or nothing.

use std::sync::Arc;

use freehold_types::Timestamp;

use super::Snapshot;
use crate::conflict::Conflict;
use crate::entity::{OnDelete, Reference};
use crate::object::{AnyObject, Key, Meta};
use crate::transaction::{Actor, Transaction, Write};
use crate::watch::{Change, Commit};

/// A write that changes something.
struct Step {
    change: Change,
    /// Whether claims, references, usage and rank may differ; a new status leaves them as they are.
    respecified: bool,
}

impl Snapshot {
    /// Applies a transaction: the next snapshot and the commit, or what stands against it. A transaction
    /// that changes nothing gives a commit without changes, which is not to be made.
    pub(crate) fn apply(
        &self,
        transaction: Transaction,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(Self, Commit), Conflict> {
        let Transaction { writes, expectations, limits } = transaction;
        for (key, expected) in expectations {
            self.check_revision(key, expected)?;
        }
        let revision = self.revision() + 1;
        let steps = self.steps(writes, revision, now)?;
        let mut next = self.clone();
        next.revision = revision;
        // Claims move from one owner to another within a transaction, so all are released first.
        for step in steps.iter().filter(|step| step.respecified) {
            if let Some(before) = &step.change.before {
                next.remove(before.as_ref());
            }
        }
        for Step { change, respecified } in &steps {
            match &change.after {
                Some(after) if *respecified => next.insert(Arc::clone(after))?,
                Some(after) => next.replace(Arc::clone(after)),
                None => {}
            }
        }
        for step in steps.iter().filter(|step| step.respecified) {
            next.check_references(&step.change)?;
        }
        for (target, limit) in limits {
            if let Some(resource) = next.usage(target).exceeds(&limit) {
                return Err(Conflict::Exhausted { target, resource });
            }
        }
        let changes = steps.into_iter().map(|step| step.change).collect();
        Ok((next, Commit { revision, at: now, actor, changes }))
    }

    /// The writes that change something, with the metadata that the store assigns.
    fn steps(&self, writes: Vec<Write>, revision: u64, now: Timestamp) -> Result<Vec<Step>, Conflict> {
        let mut steps = Vec::with_capacity(writes.len());
        for Write { key, expected, object } in writes {
            self.check_revision(key, expected)?;
            let before = self.get_any(key).cloned();
            let (after, respecified) = match (object, &before) {
                (None, None) => continue,
                (Some(object), Some(before)) if object.same(before.as_ref()) => continue,
                (Some(object), Some(before)) => {
                    let respecified = !object.same_spec(before.as_ref());
                    let known = before.meta();
                    let meta = Meta {
                        revision,
                        generation: known.generation + u64::from(respecified),
                        updated_at: if respecified { now.max(known.updated_at) } else { known.updated_at },
                        deleting: object.meta().deleting,
                        ..*known
                    };
                    (Some(with_meta(object, meta)), respecified)
                }
                (Some(object), None) => {
                    let meta = Meta { revision, ..*object.meta() };
                    (Some(with_meta(object, meta)), true)
                }
                (None, Some(_)) => (None, true),
            };
            steps.push(Step { change: Change { key, before, after }, respecified });
        }
        Ok(steps)
    }

    fn check_revision(&self, key: Key, expected: Option<u64>) -> Result<(), Conflict> {
        if self.table(key.kind).is_none() {
            return Err(Conflict::Unregistered(key));
        }
        let found = self.get_any(key).map(|object| object.meta().revision);
        if found == expected { Ok(()) } else { Err(Conflict::Stale(key)) }
    }

    /// What is named exists and stays; what goes is named by nobody.
    fn check_references(&self, change: &Change) -> Result<(), Conflict> {
        let Some(after) = &change.after else {
            return match self.blockers_of(change.key).next() {
                Some(blocker) => Err(Conflict::Referenced(change.key, blocker.key())),
                None => Ok(()),
            };
        };
        let known = change.before.as_ref().map_or_else(Vec::new, |before| strong_references(before.as_ref()));
        for link in strong_references(after.as_ref()) {
            let to = Key { kind: link.kind, id: link.id };
            let Some(target) = self.get_any(to) else {
                return Err(Conflict::Missing { from: change.key, kind: link.kind, id: link.id });
            };
            if target.meta().deleting.is_some() && !known.contains(&link) {
                return Err(Conflict::Deleting { from: change.key, to });
            }
        }
        Ok(())
    }
}

fn strong_references(object: &dyn AnyObject) -> Vec<Reference> {
    let mut links = object.references();
    links.retain(|link| link.on_delete == OnDelete::Block);
    links
}

/// The object with this metadata; copied only when somebody else holds it too.
fn with_meta(mut object: Arc<dyn AnyObject>, meta: Meta) -> Arc<dyn AnyObject> {
    match Arc::get_mut(&mut object) {
        Some(owned) => {
            owned.set_meta(meta);
            object
        }
        None => object.with_meta(meta),
    }
}
