//! Evacuation: every machine of a host in maintenance is moved elsewhere, a few at a time. Pure.
//!
//! *Guarantees:* what it does follows from the state alone, so that it goes on after a restart of the controller; a
//! machine that cannot move stays as it is, and the reason is told.

use std::collections::BTreeMap;
use std::time::Duration;

use freehold_store::{Amounts, Object, Snapshot, Transaction};
use freehold_types::wire::{self, EvacuationObstacle, MigrationPlan};
use freehold_types::{ApiError, Id, Timestamp};
use serde::{Deserialize, Serialize};

use super::plan::{self, Needs};
use crate::hypervisor::Hypervisor;
use crate::instance::{Instance, Stage};

/// How many machines leave a host at a time.
const PARALLEL: usize = 2;
/// How long a machine that could not be moved is left alone.
const PAUSE: Duration = Duration::from_mins(1);
/// The time that an evacuation has when none is given.
pub(crate) const USUAL: Duration = Duration::from_hours(24);
/// The longest time that an evacuation may be given.
pub(crate) const LONGEST: Duration = Duration::from_hours(7 * 24);

/// The wish that a host be emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub live: bool,
    /// After this no machine is sent away any more.
    pub until: Timestamp,
}

/// Whether a host is being emptied.
pub fn is_active(host: &Object<Hypervisor>, snapshot: &Snapshot, now: Timestamp) -> bool {
    host.spec.evacuation.as_ref().is_some_and(|wish| now < wish.until) && on(host, snapshot).next().is_some()
}

/// The machines that are on a host, or still on their way from it.
fn on<'a>(host: &Object<Hypervisor>, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Object<Instance>> {
    let id = host.id();
    let machines = snapshot.referrers::<Instance>(id);
    machines.filter(move |instance| instance.spec.hypervisor == id && !instance.is_deleting())
}

/// What is done, and what would be done next, for each machine of a host.
pub(super) fn outlook(
    host: &Object<Hypervisor>,
    live: bool,
    snapshot: &Snapshot,
    now: Timestamp,
) -> wire::Evacuation {
    let wish = host.spec.evacuation.as_ref();
    let mut answer = wire::Evacuation {
        active: is_active(host, snapshot, now),
        deadline: wish.map(|wish| wish.until.as_seconds()),
        ..wire::Evacuation::default()
    };
    let mut planned = BTreeMap::new();
    for instance in on(host, snapshot) {
        let under_way = match &instance.spec.moving {
            Some(moving) => match moving.stage {
                Stage::Going { live, .. } => Some((moving.other, live)),
                Stage::Cleaning => None,
            },
            None => None,
        };
        let place = under_way.map_or_else(
            || choose(instance, live, Some(&planned), snapshot).map(|target| (target.id(), live)),
            Ok,
        );
        match place {
            Ok((target, live)) => {
                if under_way.is_none() {
                    let taken: &mut Amounts = planned.entry(target).or_default();
                    *taken = taken.plus(instance.spec.amounts());
                }
                answer.moves.push(MigrationPlan {
                    id: None,
                    instance: instance.id(),
                    source: host.id(),
                    target,
                    live,
                });
            }
            Err(error) => answer.stuck.push(EvacuationObstacle {
                instance: instance.id(),
                name: instance.spec.name.clone(),
                reason: error.reason,
            }),
        }
    }
    answer
}

/// The host that a machine would go to: one of its zone, if there is one.
fn choose<'a>(
    instance: &Object<Instance>,
    live: bool,
    planned: Option<&BTreeMap<Id, Amounts>>,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<Hypervisor>, ApiError> {
    plan::check_movable(instance, live, snapshot)?;
    let needs = Needs::of(instance, snapshot);
    let wish = needs.wish(planned);
    let near = crate::instance::election::elect(instance.spec.zone, &wish, snapshot);
    near.or_else(|_| plan::anywhere(instance.spec.region, &wish, snapshot))
}

/// Sends the next machine of a host away; nothing when there is none to be sent now.
pub fn next(host: Id, snapshot: &Snapshot, now: Timestamp) -> Option<Transaction> {
    let host = snapshot.get::<Hypervisor>(host)?;
    let wish = host.spec.evacuation.as_ref()?;
    if !is_active(host, snapshot, now) {
        return None;
    }
    let under_way = on(host, snapshot).filter(|instance| instance.spec.going_to().is_some()).count();
    if under_way >= PARALLEL {
        return None;
    }
    let has_rested = |instance: &&Object<Instance>| {
        let failed = instance.spec.moved.as_ref().filter(|moved| moved.failure.is_some());
        failed.is_none_or(|moved| now >= moved.at + PAUSE)
    };
    on(host, snapshot).filter(has_rested).find_map(|instance| {
        let target = choose(instance, wish.live, None, snapshot).ok()?;
        let mut transaction = Transaction::default();
        plan::begin(instance, target, wish.live, (snapshot, now), &mut transaction);
        Some(transaction)
    })
}
