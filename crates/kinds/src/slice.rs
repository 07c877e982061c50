//! What the objects ask of a node: all of it, or what one change asks.

use std::sync::Arc;

use freehold_store::{AnyObject, Change, Entity, Key, Object, Snapshot, Transaction};
use freehold_types::Id;
use freehold_types::agent::{Desired, ObjectKind, Observed, Phase};

use crate::adapter::Adapter;
use crate::agent::Agent;
use crate::balancer::Balancer;
use crate::domain::{self, Domain};
use crate::edge::Edge;
use crate::environment::Environment;
use crate::file_backend::FileBackend;
use crate::file_share::FileShare;
use crate::gateway::Gateway;
use crate::hypervisor::Hypervisor;
use crate::image::Image;
use crate::instance::Instance;
use crate::ipsec::Connection;
use crate::migration;
use crate::network::Network;
use crate::placed::{self, NodeState, Row};
use crate::pool::Pool;
use crate::project::Project;
use crate::record::Record;
use crate::region::Region;
use crate::service;
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
        for gateway in snapshot.referrers::<Gateway>(host.id()) {
            objects.extend(placed::desired(gateway, agent, snapshot, environment));
        }
        for share in snapshot.referrers::<FileShare>(host.id()) {
            objects.extend(placed::desired(share, agent, snapshot, environment));
        }
        for balancer in snapshot.referrers::<Balancer>(host.id()) {
            objects.extend(placed::desired(balancer, agent, snapshot, environment));
        }
    }
    for domain in snapshot.all::<Domain>() {
        objects.extend(placed::desired(domain, agent, snapshot, environment));
    }
    objects
}

/// The kinds that nodes make.
const ROWS: &[Row] = &[
    Row::of::<Pool>(),
    Row::of::<Image>(),
    Row::of::<Volume>(),
    Row::of::<Network>(),
    Row::of::<Instance>(),
    Row::of::<Gateway>(),
    Row::of::<Balancer>(),
    Row::of::<FileShare>(),
    Row::of::<Domain>(),
];

/// The row of a kind; `None` for kinds that nodes do not know.
pub fn row(kind: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.kind == kind)
}

/// An object that nodes make, with the row of its kind.
fn find(key: Key, snapshot: &Snapshot) -> Option<(&'static Row, &dyn AnyObject)> {
    Some((row(key.kind)?, snapshot.get_any(key)?.as_ref()))
}

/// What a node must make of one object; `None` when it is nothing to this node.
pub fn one(key: Key, agent: Id, snapshot: &Snapshot, environment: &Environment) -> Option<Desired> {
    let (row, object) = find(key, snapshot)?;
    (row.desired)(object, agent, snapshot, environment)
}

/// The agents to whom an object matters.
pub fn holders(key: Key, snapshot: &Snapshot) -> Vec<Id> {
    find(key, snapshot).map(|(row, object)| (row.holders)(object, snapshot)).unwrap_or_default()
}

/// The objects on nodes that a change may have changed: itself, and those made of it.
pub fn affected(change: &Change, snapshot: &Snapshot) -> Vec<Key> {
    // An observation changes nothing that is wanted, but that what is gone may be forgotten.
    let nothing_new = !is_new_spec(change) && !is_now_absent(change) && !has_new_facts(change);
    if nothing_new && !is_now_expected(change, snapshot) {
        return Vec::new();
    }
    let id = change.key.id;
    // What it was matters too: what it has given up follows.
    let both = || change.before.iter().chain(&change.after);
    let own = std::iter::once(change.key);
    match change.key.kind {
        Instance::KIND => {
            // Its networks come and go with it, also those of adapters that it has given up.
            let instances = both().filter_map(|object| object.downcast::<Instance>());
            let around = instances.flat_map(|instance| {
                let adapters = instance.spec.adapters.iter();
                let networks = adapters.filter_map(|adapter| network_of(*adapter, snapshot));
                networks.chain(names_of(instance, snapshot)).collect::<Vec<_>>()
            });
            own.chain(around).collect()
        }
        Pool::KIND => own.chain(keys::<Image>(id, snapshot)).collect(),
        Image::KIND | Volume::KIND | Domain::KIND => vec![change.key],
        Record::KIND => {
            let records = both().filter_map(|object| object.downcast::<Record>());
            records.filter_map(|record| domain::of(record.spec.parent.id(), snapshot)).collect()
        }
        Edge::KIND => all::<Domain>(snapshot).chain(all::<Gateway>(snapshot)).collect(),
        Network::KIND => {
            let subnets = snapshot.referrers::<Subnet>(id);
            let adapters = subnets.flat_map(|subnet| snapshot.referrers::<Adapter>(subnet.id()));
            own.chain(adapters.flat_map(|adapter| keys::<Instance>(adapter.id(), snapshot))).collect()
        }
        Subnet::KIND => {
            let object = change.after.as_ref().or(change.before.as_ref());
            let subnet = object.and_then(|object| object.downcast::<Subnet>());
            let network = subnet.map(|subnet| Key::of::<Network>(subnet.spec.network));
            let adapters = snapshot.referrers::<Adapter>(id);
            let machines = adapters.flat_map(|adapter| keys::<Instance>(adapter.id(), snapshot));
            network.into_iter().chain(machines).chain(services(id, snapshot)).collect()
        }
        Adapter::KIND => {
            let adapters = both().filter_map(|object| object.downcast::<Adapter>());
            let leases = adapters.flat_map(|adapter| keys::<Gateway>(adapter.spec.subnet, snapshot));
            let machines = snapshot.referrers::<Instance>(id);
            let names = machines.filter_map(|machine| domain::of(machine.spec.project, snapshot));
            let around = keys::<Instance>(id, snapshot).chain(network_of(id, snapshot));
            around.chain(leases).chain(names).collect()
        }
        // Peers reach each other by the addresses that nodes tell; gateways ask edges by theirs.
        Agent::KIND => all::<Network>(snapshot).chain(all::<Gateway>(snapshot)).collect(),
        Gateway::KIND => {
            let gateways = both().filter_map(|object| object.downcast::<Gateway>());
            let networks = gateways.flat_map(|gateway| service::networks(gateway.spec.subnets(), snapshot));
            let project = both().find_map(|object| Some(object.downcast::<Gateway>()?.spec.project));
            // Machines leave through it from when it is there.
            let moved = change.before.is_none() || change.after.is_none();
            let behind = project
                .filter(|_| moved)
                .into_iter()
                .flat_map(|project| keys::<Instance>(project, snapshot).chain(services(project, snapshot)));
            own.chain(networks).chain(behind).collect()
        }
        Balancer::KIND => {
            let balancers = both().filter_map(|object| object.downcast::<Balancer>());
            let subnets = balancers.map(|balancer| balancer.spec.subnet);
            own.chain(service::networks(subnets, snapshot)).collect()
        }
        FileBackend::KIND => keys::<FileShare>(id, snapshot).collect(),
        FileShare::KIND => {
            let shares = both().filter_map(|object| object.downcast::<FileShare>());
            own.chain(service::networks(shares.map(|share| share.spec.subnet), snapshot)).collect()
        }
        Connection::KIND => {
            let connections = both().filter_map(|object| object.downcast::<Connection>());
            connections.map(|connection| Key::of::<Gateway>(connection.spec.gateway)).collect()
        }
        // Their names are in the seeds of machines; hosts have agents that make services.
        Project::KIND | Region::KIND | Zone::KIND | Hypervisor::KIND => {
            keys::<Instance>(id, snapshot).chain(services(id, snapshot)).collect()
        }
        _ => Vec::new(),
    }
}

/// Those of a kind that name an object.
fn keys<K: Entity>(target: Id, snapshot: &Snapshot) -> impl Iterator<Item = Key> {
    snapshot.referrers::<K>(target).map(Object::key)
}

/// All of a kind.
fn all<K: Entity>(snapshot: &Snapshot) -> impl Iterator<Item = Key> {
    snapshot.all::<K>().map(Object::key)
}

/// The network services that name an object.
fn services(target: Id, snapshot: &Snapshot) -> impl Iterator<Item = Key> {
    let shares = keys::<FileShare>(target, snapshot);
    keys::<Gateway>(target, snapshot).chain(keys::<Balancer>(target, snapshot)).chain(shares)
}

/// Where the name of a machine is told: its domain, and the gateways that give it its address.
fn names_of(instance: &Object<Instance>, snapshot: &Snapshot) -> impl Iterator<Item = Key> {
    let project = instance.spec.project;
    domain::of(project, snapshot).into_iter().chain(keys::<Gateway>(project, snapshot))
}

fn is_new_spec(change: &Change) -> bool {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => !before.same_spec(after.as_ref()),
        _ => true,
    }
}

/// Whether a node newly told that it is ready for a machine that comes to it, so that the machine may go.
fn is_now_expected(change: &Change, snapshot: &Snapshot) -> bool {
    let expected = |object: &Option<Arc<dyn AnyObject>>| {
        let instance = object.as_deref().and_then(|object| object.downcast::<Instance>());
        instance.is_some_and(|instance| migration::is_expected(instance, snapshot))
    };
    change.key.kind == Instance::KIND && expected(&change.after) && !expected(&change.before)
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
    row(object.key().kind)
        .and_then(|row| (row.status)(object))
        .map_or(0, |status| status.nodes.values().filter(|state| state.phase == Phase::Absent).count())
}

fn network_of(adapter: Id, snapshot: &Snapshot) -> Option<Key> {
    let subnet = snapshot.get::<Adapter>(adapter)?.spec.subnet;
    Some(Key::of::<Network>(snapshot.get::<Subnet>(subnet)?.spec.network))
}

/// What an object of a kind is on a node; `None` for kinds that nodes do not know.
pub fn object_kind(kind: &str) -> Option<ObjectKind> {
    row(kind).map(|row| row.object)
}

/// The agents that an object of the past was assigned to, so that those it has left are told.
pub fn named_agents(object: &dyn AnyObject, snapshot: &Snapshot) -> Vec<Id> {
    row(object.key().kind).map(|row| (row.holders)(object, snapshot)).unwrap_or_default()
}

/// Notes what a node found of an object. `false` when there is no such object any more.
pub fn observe(agent: Id, observed: &Observed, snapshot: &Snapshot, transaction: &mut Transaction) -> bool {
    let row = ROWS.iter().find(|row| row.object == observed.key.kind);
    let found = row.and_then(|row| find(Key { kind: row.kind, id: observed.key.id }, snapshot));
    if let Some((row, object)) = found {
        (row.observe)(object, agent, observed, transaction);
    }
    found.is_some()
}

/// What nodes told of an object.
pub fn states(key: Key, snapshot: &Snapshot) -> Vec<NodeState> {
    find(key, snapshot)
        .and_then(|(row, object)| (row.status)(object))
        .map(|status| status.nodes.values().cloned().collect())
        .unwrap_or_default()
}

/// Whether an object is what it should be on each of its nodes. Kinds that nodes do not know always are.
pub fn is_settled(key: Key, snapshot: &Snapshot) -> bool {
    row(key.kind).is_none_or(|row| {
        snapshot.get_any(key).is_some_and(|object| (row.is_settled)(object.as_ref(), snapshot))
    })
}
