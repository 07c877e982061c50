//! How moves are planned and begun. Pure.

use std::collections::BTreeMap;

use freehold_store::{Amounts, Object, Snapshot, Transaction};
use freehold_types::agent::Facts;
use freehold_types::wire::{MigrationDestination, MigrationRequest};
use freehold_types::{ApiError, Id, Timestamp};

use crate::antiaffinity::Group;
use crate::hypervisor::Hypervisor;
use crate::instance::election::{self, Wish};
use crate::instance::{self, Instance, Moving, Stage};
use crate::pool::Pool;
use crate::volume::{Twin, Volume};
use crate::zone::Zone;
use crate::{crud, route};

/// What a machine needs of the host that it goes to.
#[derive(Debug)]
pub(super) struct Needs<'a> {
    instance: &'a Object<Instance>,
    groups: Vec<&'a Object<Group>>,
    agents: Vec<Id>,
    from: Option<&'a Facts>,
}

impl<'a> Needs<'a> {
    pub(super) fn of(instance: &'a Object<Instance>, snapshot: &'a Snapshot) -> Self {
        let of_compute = instance.spec.compute.into_iter().flat_map(|id| snapshot.referrers::<Group>(id));
        let mut reach: Option<Vec<Id>> = None;
        for volume in volumes(instance, snapshot) {
            let agents = snapshot.get::<Pool>(volume.spec.pool).map(|pool| pool.spec.agents.clone());
            let agents = agents.unwrap_or_default();
            reach = Some(match reach {
                None => agents,
                Some(known) => known.into_iter().filter(|agent| agents.contains(agent)).collect(),
            });
        }
        Self {
            instance,
            groups: snapshot.referrers::<Group>(instance.id()).chain(of_compute).collect(),
            agents: reach.unwrap_or_default(),
            from: snapshot
                .get::<Hypervisor>(instance.spec.hypervisor)
                .and_then(|host| host.spec.facts(snapshot)),
        }
    }

    pub(super) fn wish<'b>(&'b self, planned: Option<&'b BTreeMap<Id, Amounts>>) -> Wish<'b> {
        Wish {
            name: &self.instance.spec.name,
            amounts: self.instance.spec.amounts(),
            agents: Some(&self.agents),
            groups: &self.groups,
            own: Some(self.instance.id()),
            except: Some(self.instance.spec.hypervisor),
            from: self.from,
            planned,
        }
    }
}

/// The volumes of a machine, in order.
pub(super) fn volumes<'a>(
    instance: &'a Object<Instance>,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = &'a Object<Volume>> {
    instance.spec.volumes.iter().filter_map(|id| snapshot.get::<Volume>(*id))
}

/// Refuses a machine that cannot move, wherever to.
///
/// # Errors
/// 409 while it is under way or being removed, 422 otherwise.
pub(super) fn check_movable(
    instance: &Object<Instance>,
    live: bool,
    snapshot: &Snapshot,
) -> Result<(), ApiError> {
    crud::refuse_deleting(instance)?;
    let name = &instance.spec.name;
    if !instance.spec.movable {
        return Err(ApiError::invalid(format!(
            "the instance `{name}` may not move; set its `kmotion_enabled` to true first"
        )));
    }
    instance::plan::refuse_going(instance)?;
    if let Some(moving) = &instance.spec.moving {
        let host = host_name(moving.other, snapshot);
        return Err(ApiError::conflict(format!(
            "what the last move of the instance `{name}` left on the host `{host}` is still being removed; see that \
             its node is connected"
        )));
    }
    for volume in volumes(instance, snapshot) {
        crate::volume::plan::refuse_moving(volume)?;
    }
    let host = snapshot.get::<Hypervisor>(instance.spec.hypervisor);
    if !host.is_some_and(|host| host.spec.is_online(snapshot)) {
        return Err(ApiError::invalid(format!(
            "the host `{}` of the instance `{name}` is offline, so nothing can leave it; start its node first",
            host_name(instance.spec.hypervisor, snapshot)
        )));
    }
    if !live && instance::is_paused(instance, snapshot) {
        return Err(ApiError::invalid(format!(
            "the instance `{name}` is suspended, and only keeps its memory when it moves live; ask for that, or \
             resume or stop it first"
        )));
    }
    Ok(())
}

/// The name of a host, for people.
pub(super) fn host_name(id: Id, snapshot: &Snapshot) -> String {
    snapshot.get::<Hypervisor>(id).map_or_else(|| id.to_string(), |host| host.spec.name.clone())
}

/// The host that a machine would go to.
///
/// # Errors
/// 404 for an unknown host, 422 when none can take it.
pub(super) fn target<'a>(
    instance: &Object<Instance>,
    request: &MigrationRequest,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<Hypervisor>, ApiError> {
    let needs = Needs::of(instance, snapshot);
    let wish = needs.wish(None);
    match (request.destination, request.kaktus) {
        (MigrationDestination::Manual, Some(id)) => {
            let host = snapshot.get::<Hypervisor>(id).ok_or_else(|| route::not_found::<Hypervisor>(id))?;
            check_region(instance, host, snapshot)?;
            election::check(host, &wish, snapshot).map(|()| host)
        }
        (MigrationDestination::Manual, None) => {
            Err(ApiError::invalid("the destination is `manual`; name the host to go to with `kaktus`"))
        }
        (_, Some(_)) => Err(ApiError::invalid("`kaktus` names a host; set the destination to `manual`")),
        (MigrationDestination::Zone, None) => election::elect(instance.spec.zone, &wish, snapshot),
        (MigrationDestination::Region | MigrationDestination::Auto, None) => {
            anywhere(instance.spec.region, &wish, snapshot)
        }
    }
}

fn check_region(
    instance: &Object<Instance>,
    host: &Object<Hypervisor>,
    snapshot: &Snapshot,
) -> Result<(), ApiError> {
    let zone = snapshot.get::<Zone>(host.spec.zone);
    if zone.is_some_and(|zone| zone.spec.region == instance.spec.region) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "the host `{}` is in another region than the instance `{}`; choose one of its own",
        host.spec.name, instance.spec.name
    )))
}

/// The least loaded host of all zones that can take it.
pub(super) fn anywhere<'a>(
    region: Id,
    wish: &Wish<'_>,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<Hypervisor>, ApiError> {
    let zones = snapshot.referrers::<Zone>(region);
    let (hosts, refusals): (Vec<_>, Vec<_>) =
        zones.map(|zone| election::elect(zone.id(), wish, snapshot)).partition(Result::is_ok);
    let best = hosts.into_iter().flatten().min_by_key(|host| Hypervisor::score(&snapshot.usage(host.id())));
    best.ok_or_else(|| {
        let reasons: Vec<String> =
            refusals.into_iter().filter_map(|refusal| Some(refusal.err()?.reason)).collect();
        election::nowhere(&reasons)
    })
}

/// Sends a machine on its way. The target keeps room for it from now on.
pub(super) fn begin(
    instance: &Object<Instance>,
    target: &Object<Hypervisor>,
    live: bool,
    (snapshot, now): (&Snapshot, Timestamp),
    transaction: &mut Transaction,
) {
    let restart = instance::is_running(instance, snapshot) || instance::is_paused(instance, snapshot);
    let stage = Stage::Going { id: Id::generate(), live, restart, since: now };
    let moving = Some(Moving { other: target.id(), stage });
    transaction.update(instance, Instance { moving, ..instance.spec.clone() });
    for volume in volumes(instance, snapshot) {
        let is_local = snapshot.get::<Pool>(volume.spec.pool).is_some_and(|pool| pool.spec.is_local());
        if let Some(agent) = target.spec.agent().filter(|_| is_local) {
            let twin = Some(Twin { agent, wanted: true });
            transaction.update(volume, Volume { twin, ..volume.spec.clone() });
        }
    }
    instance::plan::reserve(target, snapshot, transaction);
}
