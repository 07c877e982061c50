//! What the objects ask of a node: all of it, or what one change asks.

use std::sync::Arc;

use freehold_store::{AnyObject, Change, Entity, Key, Object, Snapshot, Transaction};
use freehold_types::Id;
use freehold_types::agent::{Desired, ObjectKind, Observed, Phase};

use crate::adapter::Adapter;
use crate::agent::Agent;
use crate::environment::Environment;
use crate::hypervisor::Hypervisor;
use crate::image::Image;
use crate::instance::Instance;
use crate::network::Network;
use crate::placed::{self, NodeState, Placed};
use crate::pool::Pool;
use crate::project::Project;
use crate::region::Region;
use crate::subnet::Subnet;
use crate::volume::Volume;
use crate::zone::Zone;

/// Everything that a node must make true.
pub fn full(agent: Id, snapshot: &Snapshot, environment: &Environment) -> Vec<Desired> {
    let mut objects = Vec::new();
    // All of them, since a node may still hold what is no longer assigned to it.
    for pool in snapshot.all::<Pool>() {
        objects.extend(placed::desired(pool, agent, snapshot, environment));
    }
    for image in snapshot.all::<Image>() {
        objects.extend(placed::desired(image, agent, snapshot, environment));
    }
    for volume in snapshot.referrers::<Volume>(agent) {
        objects.extend(placed::desired(volume, agent, snapshot, environment));
    }
    for network in snapshot.all::<Network>() {
        objects.extend(placed::desired(network, agent, snapshot, environment));
    }
    for host in snapshot.referrers::<Hypervisor>(agent).filter(|host| host.spec.agent() == Some(agent)) {
        for instance in snapshot.referrers::<Instance>(host.id()) {
            objects.extend(placed::desired(instance, agent, snapshot, environment));
        }
    }
    objects
}

/// What a node must make of one object; `None` when it is nothing to this node.
pub fn one(key: Key, agent: Id, snapshot: &Snapshot, environment: &Environment) -> Option<Desired> {
    fn desired<K: Placed>(
        id: Id,
        agent: Id,
        snapshot: &Snapshot,
        environment: &Environment,
    ) -> Option<Desired> {
        placed::desired(snapshot.get::<K>(id)?, agent, snapshot, environment)
    }
    match key.kind {
        Pool::KIND => desired::<Pool>(key.id, agent, snapshot, environment),
        Image::KIND => desired::<Image>(key.id, agent, snapshot, environment),
        Volume::KIND => desired::<Volume>(key.id, agent, snapshot, environment),
        Network::KIND => desired::<Network>(key.id, agent, snapshot, environment),
        Instance::KIND => desired::<Instance>(key.id, agent, snapshot, environment),
        _ => None,
    }
}

/// The agents to whom an object matters.
pub fn holders(key: Key, snapshot: &Snapshot) -> Vec<Id> {
    fn of<K: Placed>(id: Id, snapshot: &Snapshot) -> Vec<Id> {
        snapshot.get::<K>(id).map(|object| placed::holders(object, snapshot)).unwrap_or_default()
    }
    match key.kind {
        Pool::KIND => of::<Pool>(key.id, snapshot),
        Image::KIND => of::<Image>(key.id, snapshot),
        Volume::KIND => of::<Volume>(key.id, snapshot),
        Network::KIND => of::<Network>(key.id, snapshot),
        Instance::KIND => of::<Instance>(key.id, snapshot),
        _ => Vec::new(),
    }
}

/// The objects on nodes that a change may have changed: itself, and those made of it.
pub fn affected(change: &Change, snapshot: &Snapshot) -> Vec<Key> {
    // An observation changes nothing that is wanted, but that what is gone may be forgotten.
    if !is_new_spec(change) && !is_now_absent(change) && !has_new_facts(change) {
        return Vec::new();
    }
    let id = change.key.id;
    let instances_of =
        |adapter: Id| snapshot.referrers::<Instance>(adapter).map(Object::key).collect::<Vec<_>>();
    match change.key.kind {
        Instance::KIND => {
            // Its networks come and go with it, also those of adapters that it has given up.
            let objects = change.before.iter().chain(&change.after);
            let networks = objects.filter_map(|object| object.downcast::<Instance>()).flat_map(|instance| {
                instance.spec.adapters.iter().filter_map(|adapter| network_of(*adapter, snapshot))
            });
            std::iter::once(change.key).chain(networks).collect()
        }
        Pool::KIND => {
            std::iter::once(change.key).chain(snapshot.referrers::<Image>(id).map(Object::key)).collect()
        }
        Image::KIND | Volume::KIND => vec![change.key],
        Network::KIND => {
            let subnets = snapshot.referrers::<Subnet>(id);
            let adapters = subnets.flat_map(|subnet| snapshot.referrers::<Adapter>(subnet.id()));
            std::iter::once(change.key)
                .chain(adapters.flat_map(|adapter| instances_of(adapter.id())))
                .collect()
        }
        Subnet::KIND => {
            let object = change.after.as_ref().or(change.before.as_ref());
            let subnet = object.and_then(|object| object.downcast::<Subnet>());
            let network = subnet.map(|subnet| Key::of::<Network>(subnet.spec.network));
            let adapters = snapshot.referrers::<Adapter>(id);
            network.into_iter().chain(adapters.flat_map(|adapter| instances_of(adapter.id()))).collect()
        }
        Adapter::KIND => instances_of(id).into_iter().chain(network_of(id, snapshot)).collect(),
        // Peers reach each other by the addresses that nodes tell.
        Agent::KIND => snapshot.all::<Network>().map(Object::key).collect(),
        // Their names are in the seeds of machines.
        Project::KIND | Region::KIND | Zone::KIND | Hypervisor::KIND => {
            snapshot.referrers::<Instance>(id).map(Object::key).collect()
        }
        _ => Vec::new(),
    }
}

fn is_new_spec(change: &Change) -> bool {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => !before.same_spec(after.as_ref()),
        _ => true,
    }
}

/// Whether a node told of another address or other abilities.
fn has_new_facts(change: &Change) -> bool {
    let facts = |object: &Option<Arc<dyn AnyObject>>| {
        let facts = object.as_deref()?.downcast::<Agent>()?.status.facts.as_ref()?;
        Some((facts.address, facts.features.clone()))
    };
    change.key.kind == Agent::KIND && facts(&change.before) != facts(&change.after)
}

/// Whether a node newly told that something is gone.
fn is_now_absent(change: &Change) -> bool {
    let count = |object: &Option<Arc<dyn AnyObject>>| object.as_deref().map_or(0, absences);
    count(&change.after) > count(&change.before)
}

fn absences(object: &dyn AnyObject) -> usize {
    fn of<K: Placed>(object: &dyn AnyObject) -> Option<usize> {
        let nodes = &object.downcast::<K>()?.status.nodes;
        Some(nodes.values().filter(|state| state.phase == Phase::Absent).count())
    }
    of::<Instance>(object)
        .or_else(|| of::<Volume>(object))
        .or_else(|| of::<Image>(object))
        .or_else(|| of::<Network>(object))
        .or_else(|| of::<Pool>(object))
        .unwrap_or_default()
}

fn network_of(adapter: Id, snapshot: &Snapshot) -> Option<Key> {
    let subnet = snapshot.get::<Adapter>(adapter)?.spec.subnet;
    Some(Key::of::<Network>(snapshot.get::<Subnet>(subnet)?.spec.network))
}

/// What an object of a kind is on a node; `None` for kinds that nodes do not know.
pub fn object_kind(kind: &str) -> Option<ObjectKind> {
    match kind {
        Pool::KIND => Some(ObjectKind::Pool),
        Image::KIND => Some(ObjectKind::Image),
        Volume::KIND => Some(ObjectKind::Volume),
        Network::KIND => Some(ObjectKind::Segment),
        Instance::KIND => Some(ObjectKind::Machine),
        _ => None,
    }
}

/// The agents that an object of the past was assigned to, so that those it has left are told.
pub fn named_agents(object: &dyn AnyObject, snapshot: &Snapshot) -> Vec<Id> {
    fn of<K: Placed>(object: &dyn AnyObject, snapshot: &Snapshot) -> Option<Vec<Id>> {
        Some(placed::holders(object.downcast::<K>()?, snapshot))
    }
    of::<Instance>(object, snapshot)
        .or_else(|| of::<Volume>(object, snapshot))
        .or_else(|| of::<Image>(object, snapshot))
        .or_else(|| of::<Network>(object, snapshot))
        .or_else(|| of::<Pool>(object, snapshot))
        .unwrap_or_default()
}

/// Notes what a node found of an object. `false` when there is no such object any more.
pub fn observe(agent: Id, observed: &Observed, snapshot: &Snapshot, transaction: &mut Transaction) -> bool {
    fn note<K: Placed>(
        agent: Id,
        observed: &Observed,
        snapshot: &Snapshot,
        transaction: &mut Transaction,
    ) -> bool {
        let object = snapshot.get::<K>(observed.key.id);
        if let Some(object) = object {
            placed::observe(object, agent, observed, transaction);
        }
        object.is_some()
    }
    match observed.key.kind {
        ObjectKind::Pool => note::<Pool>(agent, observed, snapshot, transaction),
        ObjectKind::Image => note::<Image>(agent, observed, snapshot, transaction),
        ObjectKind::Volume => note::<Volume>(agent, observed, snapshot, transaction),
        ObjectKind::Segment => note::<Network>(agent, observed, snapshot, transaction),
        ObjectKind::Machine => note::<Instance>(agent, observed, snapshot, transaction),
    }
}

/// What nodes told of an object.
pub fn states(key: Key, snapshot: &Snapshot) -> Vec<NodeState> {
    fn of<K: Placed>(id: Id, snapshot: &Snapshot) -> Vec<NodeState> {
        snapshot
            .get::<K>(id)
            .map(|object| object.status.nodes.values().cloned().collect())
            .unwrap_or_default()
    }
    match key.kind {
        Pool::KIND => of::<Pool>(key.id, snapshot),
        Image::KIND => of::<Image>(key.id, snapshot),
        Volume::KIND => of::<Volume>(key.id, snapshot),
        Network::KIND => of::<Network>(key.id, snapshot),
        Instance::KIND => of::<Instance>(key.id, snapshot),
        _ => Vec::new(),
    }
}

/// Whether an object is what it should be on each of its nodes.
pub fn is_settled(key: Key, snapshot: &Snapshot) -> bool {
    fn settled<K: Placed>(id: Id, snapshot: &Snapshot) -> bool {
        snapshot.get::<K>(id).is_some_and(|object| {
            object.status.is_ready(&K::agents(object, snapshot), object.meta.generation)
        })
    }
    match key.kind {
        Pool::KIND => settled::<Pool>(key.id, snapshot),
        Image::KIND => settled::<Image>(key.id, snapshot),
        Volume::KIND => settled::<Volume>(key.id, snapshot),
        Network::KIND => settled::<Network>(key.id, snapshot),
        Instance::KIND => settled::<Instance>(key.id, snapshot),
        _ => true,
    }
}
