//! What follows from what nodes tell of a move. Pure.
//!
//! *Expected flow:* called for each changed instance and volume that has to do with a move, and now and then while
//! there are any, since hosts that say nothing at all end a move too.

use std::time::Duration;

use freehold_store::{Change, Entity, Key, Object, Snapshot, Transaction};
use freehold_types::agent::{Detail, Outcome, Power, PowerTarget};
use freehold_types::{Id, Timestamp};

use super::{is_expected, plan};
use crate::agent;
use crate::hypervisor::Hypervisor;
use crate::instance::{Instance, Moved, Moving, Stage};
use crate::placed::PlacedStatus;
use crate::volume::{Twin, Volume};

/// How long the target may take to make ready, images included.
pub const PREPARATION: Duration = Duration::from_mins(30);

/// The objects of a change that a move may go on with.
pub fn affected(change: &Change, snapshot: &Snapshot) -> Vec<Key> {
    let key = match change.key.kind {
        Instance::KIND | Volume::KIND => change.key,
        _ => return Vec::new(),
    };
    // A machine that is gone leaves the second halves of its volumes alone.
    let left = match (&change.before, &change.after) {
        (Some(before), None) => before.references(),
        _ => Vec::new(),
    };
    let volumes = left.into_iter().filter(|link| link.kind == Volume::KIND);
    let keys = volumes.map(|link| Key { kind: link.kind, id: link.id }).chain([key]);
    keys.filter(|key| is_under_way(*key, snapshot)).collect()
}

/// Whether an object has to do with a move.
pub fn is_under_way(key: Key, snapshot: &Snapshot) -> bool {
    let object = snapshot.get_any(key);
    object.is_some_and(|object| {
        let instance = object.downcast::<Instance>().is_some_and(|instance| instance.spec.moving.is_some());
        instance || object.downcast::<Volume>().is_some_and(|volume| volume.spec.twin.is_some())
    })
}

/// The next step of an object's move, when it can be made now.
pub fn step(key: Key, snapshot: &Snapshot, now: Timestamp) -> Option<Transaction> {
    let object = snapshot.get_any(key)?;
    if object.meta().deleting.is_some() {
        return None;
    }
    if let Some(volume) = object.downcast::<Volume>() {
        return volume_step(volume, snapshot);
    }
    let instance = object.downcast::<Instance>()?;
    let moving = instance.spec.moving.as_ref()?;
    match moving.stage {
        Stage::Going { since, .. } => {
            let (source, target) = (instance.spec.hypervisor, moving.other);
            let outcome = outcome(instance, snapshot).or_else(|| overdue(instance, since, snapshot, now))?;
            let mut transaction = Transaction::default();
            end(instance, (source, target), outcome, (snapshot, now), &mut transaction);
            Some(transaction)
        }
        Stage::Cleaning => {
            let other = snapshot.get::<Hypervisor>(moving.other).and_then(|host| host.spec.agent());
            let gone = other
                .is_none_or(|agent| is_gone(&instance.status, agent, instance.meta.generation, snapshot));
            gone.then(|| {
                let mut transaction = Transaction::default();
                transaction.update(instance, Instance { moving: None, ..instance.spec.clone() });
                transaction
            })
        }
    }
}

/// A second half that nobody comes for goes; when it is gone, it is forgotten.
fn volume_step(volume: &Object<Volume>, snapshot: &Snapshot) -> Option<Transaction> {
    let twin = volume.spec.twin.clone()?;
    let comes = snapshot.referrers::<Instance>(volume.id()).any(|machine| machine.spec.going_to().is_some());
    let next = match twin.wanted {
        true if comes => return None,
        true => Some(Twin { wanted: false, ..twin }),
        false if is_gone(&volume.status, twin.agent, volume.meta.generation, snapshot) => None,
        false => return None,
    };
    let mut transaction = Transaction::default();
    transaction.update(volume, Volume { twin: next, ..volume.spec.clone() });
    Some(transaction)
}

fn is_gone(status: &PlacedStatus, agent: Id, generation: u64, snapshot: &Snapshot) -> bool {
    // A node that never connected has nothing to remove.
    !agent::has_connected(agent, snapshot) || status.is_gone(agent, generation)
}

/// What the source told of this very move.
fn outcome(instance: &Object<Instance>, snapshot: &Snapshot) -> Option<Outcome> {
    let Some(Moving { stage: Stage::Going { id, .. }, .. }) = &instance.spec.moving else { return None };
    match &instance.status.on(instance.spec.agent(snapshot))?.detail {
        Some(Detail::Machine(detail)) => {
            let departure = detail.departure.as_ref().filter(|departure| departure.id == *id)?;
            Some(departure.outcome.clone())
        }
        _ => None,
    }
}

/// A target that does not make ready ends the move.
fn overdue(
    instance: &Object<Instance>,
    since: Timestamp,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Option<Outcome> {
    if now < since + PREPARATION || is_expected(instance, snapshot) {
        return None;
    }
    let target = instance.spec.going_to()?;
    let agent = snapshot.get::<Hypervisor>(target).and_then(|host| host.spec.agent());
    let told = instance.status.on(agent).map(|state| state.message.as_str()).filter(|text| !text.is_empty());
    Some(Outcome::Stayed {
        reason: format!(
            "the host `{}` did not make ready within {} minutes: {}",
            plan::host_name(target, snapshot),
            PREPARATION.as_secs() / 60,
            told.unwrap_or("its node told nothing; see that it is connected"),
        ),
    })
}

/// Ends a move: the machine is on one host, and the other is to remove what it has of it.
fn end(
    instance: &Object<Instance>,
    (source, target): (Id, Id),
    outcome: Outcome,
    (snapshot, now): (&Snapshot, Timestamp),
    transaction: &mut Transaction,
) {
    let Some(Moving { stage: Stage::Going { live, restart, .. }, .. }) = instance.spec.moving else { return };
    let left = outcome == Outcome::Left;
    let failure = match outcome {
        Outcome::Left => None,
        Outcome::Stayed { reason } => Some(reason),
    };
    let mut spec = instance.spec.clone();
    spec.moved = Some(Moved { source, target, live, at: now, failure });
    spec.moving = Some(Moving { other: if left { source } else { target }, stage: Stage::Cleaning });
    if left {
        spec.hypervisor = target;
        spec.zone = snapshot.get::<Hypervisor>(target).map_or(spec.zone, |host| host.spec.zone);
        // What was off stays off; the other node would take the target for a new one.
        let runs = matches!(spec.power.target, PowerTarget::Running | PowerTarget::Paused);
        if runs && !restart {
            spec.power = Power { serial: spec.power.serial + 1, target: PowerTarget::Off };
        }
    }
    transaction.update(instance, spec);
    for volume in plan::volumes(instance, snapshot) {
        let Some(twin) = volume.spec.twin.clone() else { continue };
        let (agent, other) =
            if left { (twin.agent, volume.spec.agent) } else { (volume.spec.agent, twin.agent) };
        let twin = Some(Twin { agent: other, wanted: false });
        transaction.update(volume, Volume { agent, twin, ..volume.spec.clone() });
    }
}
