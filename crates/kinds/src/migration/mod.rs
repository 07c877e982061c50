//! Moves of machines between hosts: planned, then committed; and the evacuation of hosts, which is many of them.
//!
//! *Expected flow:* a plan ([`plan`]) is stored and committed once. The commit gives the instance a second host
//! ([`Moving`](crate::instance::Moving)) and each volume of a local pool a twin there. The target makes ready; when
//! it has said so, the source is told to let the machine go ([`motion`]); what it answers ends the move
//! ([`follow`]), one way or the other, and the host that the machine is not on removes what it has of it.
//!
//! *Guarantees:* the machine has one host at any time, the source until the source itself says that it left. Every
//! step is a transaction that follows from the state alone, so that a controller that restarts goes on.

pub mod evacuation;
pub mod follow;
mod plan;
mod routes;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::agent::{Motion, Outgoing, Phase};
use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::hypervisor::Hypervisor;
use crate::instance::election;
use crate::instance::{Instance, Stage};
use crate::volume::Volume;

pub use routes::ROWS;

/// A move that may be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub instance: Id,
    pub source: Id,
    pub target: Id,
    pub live: bool,
    pub expires_at: Timestamp,
}

impl Entity for Plan {
    const KIND: &'static str = "migration";
    type Status = ();

    /// Weak: a plan keeps nothing from going.
    fn references(&self) -> Vec<Reference> {
        vec![
            Reference::weak::<Instance>(self.instance),
            Reference::weak::<Hypervisor>(self.source),
            Reference::weak::<Hypervisor>(self.target),
        ]
    }
}

/// Whether the host that a machine goes to has made ready for it.
pub(crate) fn is_expected(instance: &Object<Instance>, snapshot: &Snapshot) -> bool {
    let target = instance.spec.going_to().and_then(|host| snapshot.get::<Hypervisor>(host)?.spec.agent());
    instance
        .status
        .on(target)
        .is_some_and(|state| state.phase == Phase::Ready && state.generation >= instance.meta.generation)
}

/// The part of an agent's node in the move of a machine.
pub(crate) fn motion(instance: &Object<Instance>, agent: Id, snapshot: &Snapshot) -> Option<Motion> {
    let spec = &instance.spec;
    let moving = spec.moving.as_ref()?;
    let Stage::Going { id, live, restart, .. } = moving.stage else { return None };
    let target = snapshot.get::<Hypervisor>(moving.other)?;
    if target.spec.agent() == Some(agent) {
        return Some(Motion::Incoming);
    }
    if spec.agent(snapshot) != Some(agent) || !is_expected(instance, snapshot) {
        return None;
    }
    let twins = spec.volumes.iter().filter(|id| {
        let twin = snapshot.get::<Volume>(**id).and_then(|volume| volume.spec.twin.as_ref());
        twin.is_some_and(|twin| twin.wanted)
    });
    let landing = election::landing_of(target, snapshot)?.clone();
    Some(Motion::Outgoing(Outgoing { id, live, restart, copies: twins.copied().collect(), landing }))
}
