//! Network: a layer-2 segment of a region. Nodes make it where a machine needs it.

mod routes;
mod spec;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::agent::{ObjectKind, Segment, SegmentLink, Specification};
use freehold_types::{ApiError, Id, wire};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::adapter::Adapter;
use crate::environment::Environment;
use crate::hypervisor::Hypervisor;
use crate::instance::{Instance, Stage};
use crate::kind::{Kind, Scope, Updatable};
use crate::placed::{Placed, PlacedStatus};
use crate::region::Region;
use crate::route::Call;
use crate::service;
use crate::subnet::Subnet;
use crate::{agent, crud};

pub use routes::ROWS;

/// MTU of a plain Ethernet, and what the VXLAN header (RFC 7348, over IPv4) leaves of it.
const MTU: u32 = 1_500;
const VXLAN_MTU: u32 = 1_450;

/// What a network is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub region: Id,
    pub name: String,
    pub description: Option<String>,
    /// 802.1q tag; zero is untagged (public), or a segment of its own (private).
    pub vlan: u16,
    /// Name of the bridge on hosts.
    pub interface: String,
    pub private: bool,
    /// The VXLAN network identifier, when it needs one; unique in the store.
    pub vni: u32,
    /// The subnet that machines get; the first one unless changed.
    pub default_subnet: Option<Id>,
    /// Grows with each subnet, so that no two are made at once, which could overlap.
    pub subnets_made: u64,
}

impl Network {
    /// Keeps names of networks of a region apart.
    pub fn name_claim(region: Id, name: &str) -> String {
        format!("network/name/{region}/{name}")
    }

    /// Keeps bridges of a region apart.
    pub fn interface_claim(region: Id, interface: &str) -> String {
        format!("network/interface/{region}/{interface}")
    }

    /// What guests may send at most: room for the VXLAN header where a segment of its own may need it.
    pub const fn guest_mtu(&self) -> u32 {
        if self.private && self.vlan == 0 { VXLAN_MTU } else { MTU }
    }

    /// Keeps 802.1q tags of a region apart.
    pub fn vlan_claim(region: Id, vlan: u16) -> String {
        format!("network/vlan/{region}/{vlan}")
    }

    /// Keeps VXLAN identifiers apart.
    pub fn vni_claim(vni: u32) -> String {
        format!("network/vni/{vni}")
    }
}

impl Entity for Network {
    const KIND: &'static str = "network";
    type Status = PlacedStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        let tag = (self.vlan > 0).then(|| Self::vlan_claim(self.region, self.vlan));
        [
            Self::name_claim(self.region, &self.name),
            Self::interface_claim(self.region, &self.interface),
            Self::vni_claim(self.vni),
        ]
        .into_iter()
        .chain(tag)
        .collect()
    }

    fn references(&self) -> Vec<Reference> {
        let default = self.default_subnet.map(Reference::weak::<Subnet>);
        std::iter::once(Reference::strong::<Region>(self.region)).chain(default).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Network {
    const NOUN: &'static str = "network";
    const PARAMETER: &'static str = "vnetId";
    type View = wire::Network;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Network {
        let Self { name, description, vlan, interface, private, .. } = object.spec.clone();
        wire::Network { id: Some(object.id()), name, description, vlan: Some(vlan), interface, private }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Operators
    }
}

impl Updatable for Network {
    type Update = wire::NetworkUpdate;

    fn updated(
        object: &Object<Self>,
        change: wire::NetworkUpdate,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let current = object.spec.clone();
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        let claim = Self::name_claim(current.region, &name);
        crud::refuse_taken::<Self>(call.snapshot, &claim, Some(object.id()), &name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        let spec = Self {
            name,
            description,
            vlan: change.vlan.unwrap_or(current.vlan),
            interface: change.interface.filter(|name| !name.is_empty()).unwrap_or(current.interface),
            ..current
        };
        routes::check(&spec, Some(object.id()), call)?;
        if (spec.vlan, &spec.interface) != (object.spec.vlan, &object.spec.interface) {
            routes::refuse_on_nodes(object, call.snapshot)?;
        }
        Ok(spec)
    }
}

impl Placed for Network {
    const OBJECT: ObjectKind = ObjectKind::Segment;

    fn agents(object: &Object<Self>, snapshot: &Snapshot) -> Vec<Id> {
        agents_with_machines(object.id(), snapshot)
    }

    /// Looks at the machines of the one host, not at those of the network.
    fn is_assigned(object: &Object<Self>, agent: Id, snapshot: &Snapshot) -> bool {
        let hosts = || snapshot.referrers::<Hypervisor>(agent);
        let machines = hosts()
            .flat_map(|host| snapshot.referrers::<Instance>(host.id()))
            .filter(|instance| !is_gone(instance, agent))
            .flat_map(|instance| instance.spec.adapters.iter())
            .filter_map(|adapter| snapshot.get::<Subnet>(snapshot.get::<Adapter>(*adapter)?.spec.subnet))
            .any(|subnet| subnet.spec.network == object.id());
        machines || hosts().any(|host| service::is_needed_on(host.id(), agent, object.id(), snapshot))
    }

    fn specification(
        object: &Object<Self>,
        agent: Id,
        snapshot: &Snapshot,
        environment: &Environment,
    ) -> Option<Specification> {
        let link = link(object, agent, snapshot);
        let host_addresses =
            if environment.host_gateways { gateway_addresses(object.id(), snapshot) } else { Vec::new() };
        Some(Specification::Segment(Segment {
            name: object.spec.name.clone(),
            bridge: object.spec.interface.clone(),
            mtu: if matches!(link, SegmentLink::Vxlan { .. }) { VXLAN_MTU } else { MTU },
            link,
            host_addresses,
        }))
    }
}

/// The agents of hosts that have a machine in the network.
fn agents_with_machines(network: Id, snapshot: &Snapshot) -> Vec<Id> {
    let mut agents: Vec<Id> = snapshot
        .referrers::<Subnet>(network)
        .flat_map(|subnet| snapshot.referrers::<Adapter>(subnet.id()))
        .flat_map(|adapter| snapshot.referrers::<Instance>(adapter.id()))
        .flat_map(|instance| {
            let hosts = instance.spec.hosts().filter_map(|host| snapshot.get::<Hypervisor>(host));
            let agents = hosts.filter_map(|host| host.spec.agent());
            agents.filter(|agent| !is_gone(instance, *agent)).collect::<Vec<_>>()
        })
        .chain(service::agents_in(network, snapshot))
        .collect();
    agents.sort_unstable();
    agents.dedup();
    agents
}

/// Whether a machine on its way out, or moved elsewhere, has been removed from a host.
fn is_gone(instance: &Object<Instance>, agent: Id) -> bool {
    let leaves = instance.is_deleting()
        || instance.spec.moving.as_ref().is_some_and(|moving| moving.stage == Stage::Cleaning);
    leaves && instance.status.is_gone(agent, instance.meta.generation)
}

fn link(object: &Object<Network>, agent: Id, snapshot: &Snapshot) -> SegmentLink {
    let spec = &object.spec;
    if spec.vlan > 0 {
        return SegmentLink::Vlan { tag: spec.vlan };
    }
    if !spec.private {
        return if has_feature(agent, "uplink", snapshot) {
            SegmentLink::Untagged
        } else {
            SegmentLink::Local
        };
    }
    let peers: Vec<_> = agents_with_machines(object.id(), snapshot)
        .into_iter()
        .filter(|peer| *peer != agent)
        .filter_map(|peer| snapshot.get::<agent::Agent>(peer)?.status.facts.as_ref()?.address)
        .collect();
    if peers.is_empty() { SegmentLink::Local } else { SegmentLink::Vxlan { vni: spec.vni, peers } }
}

fn has_feature(agent: Id, feature: &str, snapshot: &Snapshot) -> bool {
    snapshot
        .get::<agent::Agent>(agent)
        .and_then(|agent| agent.status.facts.as_ref())
        .is_some_and(|facts| facts.features.iter().any(|known| known == feature))
}

/// The gateway of each subnet, with the subnet's prefix, for hosts that are the gateway themselves.
fn gateway_addresses(network: Id, snapshot: &Snapshot) -> Vec<Ipv4Net> {
    snapshot
        .referrers::<Subnet>(network)
        .filter_map(|subnet| Ipv4Net::new(subnet.spec.gateway, subnet.spec.cidr.prefix_len()).ok())
        .collect()
}
