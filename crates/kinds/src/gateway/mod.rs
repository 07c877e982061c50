//! Gateway: a project's way out of its private network in a region. It stands as a network namespace on a
//! host of each zone; the zones' addresses move to another one when a host dies.

mod plan;
mod routes;
mod slice;
mod spec;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::net::Mac;
use freehold_types::wire::FirewallPolicy;
use freehold_types::{Id, wire};
use serde::{Deserialize, Serialize};

use crate::hypervisor::Hypervisor;
use crate::kind::{Kind, Scope};
use crate::placed::PlacedStatus;
use crate::project::Project;
use crate::region::Region;
use crate::service::{self, Member};
use crate::subnet::{self, Subnet};
use crate::zone::Zone;

pub use routes::ROWS;
pub(crate) use spec::{ingress, network};

/// What a gateway is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    pub project: Id,
    pub region: Id,
    pub name: Option<String>,
    pub description: Option<String>,
    pub private_subnet: Id,
    /// Towards the world; none where the region has no public network.
    pub public_subnet: Option<Id>,
    pub members: Vec<Member>,
    /// Of each member, in their order: its hardware address towards the world.
    pub public_macs: Vec<Mac>,
    pub pairs: Vec<Pair>,
    /// The rules, as they were given: clients compare them with what they sent.
    pub firewall: wire::GatewayFirewall,
    pub dnat: Vec<wire::GatewayForward>,
    pub peerings: Vec<Peering>,
}

/// The addresses of a zone, which move together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub zone: Id,
    pub vrid: u8,
    pub private: Ipv4Addr,
    pub public: Option<Ipv4Addr>,
}

/// Another subnet that the gateway joins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peering {
    pub subnet: Id,
    pub policy: FirewallPolicy,
    pub ingress: Vec<wire::PeeringRule>,
    pub egress: Vec<wire::PeeringRule>,
    /// Of each member, in their order.
    pub ports: Vec<PeeringPort>,
}

/// A member's interface in a peered subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeeringPort {
    pub mac: Mac,
    pub address: Ipv4Addr,
}

impl Gateway {
    /// A project has one gateway in a region.
    pub fn place_claim(project: Id, region: Id) -> String {
        format!("gateway/{project}/{region}")
    }

    /// Whether a project has one in a region.
    pub fn of(project: Id, region: Id, snapshot: &Snapshot) -> Option<&Object<Self>> {
        snapshot.claimed::<Self>(&Self::place_claim(project, region))
    }

    /// The subnets that it has interfaces in.
    pub(crate) fn subnets(&self) -> impl Iterator<Item = Id> {
        let peered = self.peerings.iter().map(|peering| peering.subnet);
        std::iter::once(self.private_subnet).chain(self.public_subnet).chain(peered)
    }
}

impl Entity for Gateway {
    const KIND: &'static str = "gateway";
    type Status = PlacedStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        let private = self.private_subnet;
        let own = self.members.iter().map(|member| subnet::ip_claim(private, member.address));
        let virtual_ones = self.pairs.iter().map(|pair| subnet::ip_claim(private, pair.private));
        let public = self.public_subnet.into_iter().flat_map(|subnet| {
            self.pairs
                .iter()
                .filter_map(|pair| pair.public)
                .map(move |address| subnet::ip_claim(subnet, address))
        });
        let peered = self.peerings.iter().flat_map(|peering| {
            peering.ports.iter().map(|port| subnet::ip_claim(peering.subnet, port.address))
        });
        let macs = self.members.iter().map(|member| member.mac).chain(self.public_macs.iter().copied());
        let peering_macs = self.peerings.iter().flat_map(|peering| peering.ports.iter().map(|port| port.mac));
        std::iter::once(Self::place_claim(self.project, self.region))
            .chain(own)
            .chain(virtual_ones)
            .chain(public)
            .chain(peered)
            .chain(macs.chain(peering_macs).map(service::mac_claim))
            .chain(self.pairs.iter().map(|pair| service::vrid_claim(self.project, pair.vrid)))
            .collect()
    }

    fn references(&self) -> Vec<Reference> {
        let subnets = self.subnets().map(Reference::strong::<Subnet>);
        let hosts = self.members.iter().map(|member| Reference::strong::<Hypervisor>(member.hypervisor));
        let zones = self.pairs.iter().map(|pair| Reference::strong::<Zone>(pair.zone));
        [Reference::strong::<Project>(self.project), Reference::strong::<Region>(self.region)]
            .into_iter()
            .chain(subnets)
            .chain(hosts)
            .chain(zones)
            .collect()
    }

    fn label(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl Kind for Gateway {
    const NOUN: &'static str = "gateway";
    const PARAMETER: &'static str = "kawaiiId";
    type View = wire::Gateway;

    fn view(object: &Object<Self>, snapshot: &Snapshot) -> wire::Gateway {
        let spec = &object.spec;
        wire::Gateway {
            id: Some(object.id()),
            name: spec.name.clone(),
            description: spec.description.clone(),
            netip: addresses(spec, snapshot),
            firewall: spec.firewall.clone(),
            dnat: spec.dnat.clone(),
            vpc_peerings: spec.peerings.iter().map(|peering| peering_view(spec, peering, snapshot)).collect(),
        }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Projects(vec![object.spec.project])
    }
}

/// Its addresses as clients know them: sorted as texts, and per zone.
fn addresses(spec: &Gateway, snapshot: &Snapshot) -> wire::GatewayAddresses {
    let sorted = |addresses: Vec<Ipv4Addr>| {
        let mut texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        texts.sort_unstable();
        texts
    };
    wire::GatewayAddresses {
        public: sorted(spec.pairs.iter().filter_map(|pair| pair.public).collect()),
        private: sorted(spec.pairs.iter().map(|pair| pair.private).collect()),
        zones: spec
            .pairs
            .iter()
            .map(|pair| wire::GatewayZone {
                zone: zone_name(pair.zone, snapshot),
                public: pair.public.map(|address| address.to_string()),
                private: pair.private.to_string(),
            })
            .collect(),
    }
}

fn peering_view(spec: &Gateway, peering: &Peering, snapshot: &Snapshot) -> wire::GatewayPeering {
    let netip = spec.members.iter().zip(&peering.ports).map(|(member, port)| wire::GatewayZone {
        zone: zone_name(member.zone, snapshot),
        public: None,
        private: port.address.to_string(),
    });
    wire::GatewayPeering {
        subnet: peering.subnet.to_string(),
        policy: peering.policy,
        ingress: peering.ingress.clone(),
        egress: peering.egress.clone(),
        netip: netip.collect(),
    }
}

fn zone_name(zone: Id, snapshot: &Snapshot) -> String {
    snapshot.get::<Zone>(zone).map_or_else(|| zone.to_string(), |zone| zone.spec.name.clone())
}
