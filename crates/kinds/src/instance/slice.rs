//! What an instance asks of its node.

use std::net::Ipv4Addr;

use freehold_store::{Object, Snapshot};
use freehold_types::Id;
use freehold_types::agent::{Machine, Nic, ObjectKind, Seed, Specification};
use freehold_types::wire::{OperatingSystem, VolumeType};

use super::seed::{self, Interface, Route, Variables};
use super::{Instance, metadata};
use crate::adapter::Adapter;
use crate::environment::Environment;
use crate::gateway::Gateway;
use crate::hypervisor::Hypervisor;
use crate::migration;
use crate::network::Network;
use crate::placed::Placed;
use crate::project::{self, Project};
use crate::region::Region;
use crate::service;
use crate::subnet::Subnet;
use crate::volume::Volume;
use crate::zone::Zone;

/// Metrics of default routes: a public card's way out is preferred to the private one's.
const PUBLIC_METRIC: u32 = 100;
const PRIVATE_METRIC: u32 = 200;

/// Number of the first network card in its name, as guests of the contract know it.
const FIRST_CARD: usize = 3;

impl Placed for Instance {
    const OBJECT: ObjectKind = ObjectKind::Machine;

    fn agents(object: &Object<Self>, snapshot: &Snapshot) -> Vec<Id> {
        let hosts = object.spec.hosts().filter_map(|id| snapshot.get::<Hypervisor>(id));
        hosts.filter_map(|host| host.spec.agent()).collect()
    }

    fn is_wanted(object: &Object<Self>, agent: Id, snapshot: &Snapshot) -> bool {
        let spec = &object.spec;
        let hosts = std::iter::once(spec.hypervisor).chain(spec.going_to());
        let mut agents = hosts.filter_map(|id| snapshot.get::<Hypervisor>(id)?.spec.agent());
        !object.is_deleting() && agents.any(|wanted| wanted == agent)
    }

    /// A machine that goes elsewhere is not where it should be; leftovers do not count.
    fn is_settled(object: &Object<Self>, snapshot: &Snapshot) -> bool {
        let agents: Vec<Id> = object.spec.agent(snapshot).into_iter().collect();
        object.spec.going_to().is_none() && object.status.is_ready(&agents, object.meta.generation)
    }

    fn specification(
        object: &Object<Self>,
        agent: Id,
        snapshot: &Snapshot,
        environment: &Environment,
    ) -> Option<Specification> {
        let spec = &object.spec;
        let cards = cards(spec, snapshot);
        let seed = seed(object, &cards, snapshot, environment)?;
        Some(Specification::Machine(Box::new(Machine {
            name: spec.name.clone(),
            description: spec.description.clone().unwrap_or_default(),
            os: spec.os,
            vcpus: spec.vcpus,
            memory: spec.memory,
            firmware: spec.firmware,
            disks: disks(spec, snapshot),
            nics: cards
                .iter()
                .map(|card| Nic {
                    segment: card.network.id(),
                    mac: card.adapter.spec.mac,
                    addresses: card.adapter.spec.addresses.clone(),
                })
                .collect(),
            seed,
            power: spec.power,
            reboots: spec.reboots,
            resets: spec.resets,
            motion: migration::motion(object, agent, snapshot),
        })))
    }
}

/// An adapter with what it stands on.
pub(super) struct Card<'a> {
    pub(super) adapter: &'a Object<Adapter>,
    pub(super) subnet: &'a Object<Subnet>,
    pub(super) network: &'a Object<Network>,
}

/// The network cards in the order in which the guest sees them: the public one first.
pub(super) fn cards<'a>(spec: &Instance, snapshot: &'a Snapshot) -> Vec<Card<'a>> {
    let mut cards: Vec<Card<'a>> = spec
        .adapters
        .iter()
        .filter_map(|id| {
            let adapter = snapshot.get::<Adapter>(*id)?;
            let subnet = snapshot.get::<Subnet>(adapter.spec.subnet)?;
            Some(Card { adapter, subnet, network: snapshot.get::<Network>(subnet.spec.network)? })
        })
        .collect();
    cards.sort_by_key(|card| card.network.spec.private);
    cards
}

/// The disks in order: the one with the operating system first.
fn disks(spec: &Instance, snapshot: &Snapshot) -> Vec<Id> {
    let mut disks = spec.volumes.clone();
    disks.sort_by_key(|id| {
        snapshot.get::<Volume>(*id).is_none_or(|volume| volume.spec.content != VolumeType::Os)
    });
    disks
}

/// The first address of the first private card.
pub(super) fn local_address(cards: &[Card<'_>]) -> Option<Ipv4Addr> {
    cards.iter().find(|card| card.network.spec.private)?.adapter.spec.addresses.first().copied()
}

/// The private address that an instance is known by.
pub(crate) fn local_address_of(spec: &Instance, snapshot: &Snapshot) -> Option<Ipv4Addr> {
    local_address(&cards(spec, snapshot))
}

/// The seed; what goes needs none, so that a template that does not render keeps nothing from going.
fn seed(
    object: &Object<Instance>,
    cards: &[Card<'_>],
    snapshot: &Snapshot,
    environment: &Environment,
) -> Option<Seed> {
    if object.is_deleting() {
        return Some(Seed::default());
    }
    let variables = variables(object, cards, snapshot, environment)?;
    seed::render(object.spec.os, &variables, &environment.seed)
        .inspect_err(|error| tracing::error!(instance = %object.id(), %error, "a machine has no seed"))
        .ok()
}

fn variables(
    object: &Object<Instance>,
    cards: &[Card<'_>],
    snapshot: &Snapshot,
    environment: &Environment,
) -> Option<Variables> {
    let spec = &object.spec;
    let project = snapshot.get::<Project>(spec.project)?;
    let interfaces = cards
        .iter()
        .enumerate()
        .map(|(position, card)| interface(position, card, spec, project, snapshot, environment))
        .collect();
    Some(Variables {
        hostname: spec.name.clone(),
        domain: project.spec.domain.clone(),
        instance_id: object.id(),
        root_password: spec.root_password.expose().clone(),
        service_user: project.spec.bootstrap_user.clone(),
        service_user_key: project.spec.bootstrap_pubkey.clone(),
        region: snapshot.get::<Region>(spec.region)?.spec.name.clone(),
        zone: snapshot.get::<Zone>(spec.zone)?.spec.name.clone(),
        metadata_endpoint: format!("{}{}", environment.public_url, metadata::PATH),
        metadata_token: metadata::token(object.id(), environment).into_inner(),
        metadata_script: seed::METADATA_SCRIPT,
        local_ip: local_address(cards),
        interfaces,
    })
}

fn interface(
    position: usize,
    card: &Card<'_>,
    instance: &Instance,
    project: &Object<Project>,
    snapshot: &Snapshot,
    environment: &Environment,
) -> Interface {
    let (subnet, private) = (&card.subnet.spec, card.network.spec.private);
    let addresses = &card.adapter.spec.addresses;
    let prefix = subnet.cidr.prefix_len();
    let has_address = !addresses.is_empty();
    let way_out = if private {
        let router = project::way_out(project, instance.region, instance.zone, subnet, snapshot, environment);
        router.map(|address| (address, PRIVATE_METRIC))
    } else {
        Some((subnet.gateway, PUBLIC_METRIC))
    };
    // A gateway answers for names where the subnet names no resolver of its own.
    let gateway = Gateway::of(instance.project, instance.region, snapshot)
        .filter(|gateway| private && gateway.spec.private_subnet == card.subnet.id())
        .filter(|_| !service::resolvers(instance.region, snapshot).is_empty());
    let resolver = match (subnet.dns, gateway.and(way_out)) {
        (None, Some((address, _))) => address,
        _ => subnet.resolver(),
    };
    let default =
        way_out.map(|(via, metric)| Route { to: "0.0.0.0/0".to_owned(), via, metric: Some(metric) });
    let extra =
        subnet.extra_routes.iter().map(|to| Route { to: to.to_string(), via: subnet.gateway, metric: None });
    let device = match instance.os {
        OperatingSystem::Linux => format!("ens{}", position + FIRST_CARD),
        OperatingSystem::Windows => format!("interface{position}"),
    };
    Interface {
        device,
        mac: card.adapter.spec.mac.to_string(),
        private,
        mtu: card.network.spec.guest_mtu(),
        addresses: addresses.iter().map(|address| format!("{address}/{prefix}")).collect(),
        routes: if has_address { default.into_iter().chain(extra).collect() } else { Vec::new() },
        resolvers: if has_address { vec![resolver] } else { Vec::new() },
        search: if private && has_address {
            project.spec.domain.iter().cloned().collect()
        } else {
            Vec::new()
        },
    }
}
