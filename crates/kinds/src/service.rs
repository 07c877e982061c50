//! What network services (gateways, balancers) have in common: the hosts that they stand on, and the
//! addresses, hardware addresses and VRRP identifiers that they hold. Pure.
//!
//! Beside subnets and adapters, services are those who hold addresses; the claims keep them apart.

use std::net::{IpAddr, Ipv4Addr};

use freehold_store::{Amounts, Entity, Key, Object, Snapshot};
use freehold_types::net::Mac;
use freehold_types::service::Port;
use freehold_types::{ApiError, Id};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::adapter::{self, Adapter};
use crate::agent::Agent;
use crate::balancer::Balancer;
use crate::edge::Edge;
use crate::file_share::FileShare;
use crate::gateway::Gateway;
use crate::hypervisor::Hypervisor;
use crate::instance::election::{self, Wish};
use crate::network::Network;
use crate::placed::PlacedStatus;
use crate::project::Project;
use crate::subnet::{self, Subnet};
use crate::zone::Zone;

/// VRRP priorities: of the member that should hold an address, of its neighbour in the zone, of the others.
pub(crate) const FIRST: u8 = 150;
pub(crate) const SECOND: u8 = 120;
pub(crate) const OTHER: u8 = 100;

/// An instance of a service on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub zone: Id,
    pub hypervisor: Id,
    /// In the private subnet: its own address, which never moves.
    pub mac: Mac,
    pub address: Ipv4Addr,
}

impl Member {
    /// The agent that makes it.
    pub fn agent(&self, snapshot: &Snapshot) -> Option<Id> {
        snapshot.get::<Hypervisor>(self.hypervisor)?.spec.agent()
    }
}

/// The own addresses of the other members.
pub(crate) fn others(members: &[Member], own: usize) -> Vec<Ipv4Addr> {
    let others = members.iter().enumerate().filter(|(position, _)| *position != own);
    others.map(|(_, member)| member.address).collect()
}

/// Keeps VRRP identifiers of a project apart.
pub(crate) fn vrid_claim(project: Id, vrid: u8) -> String {
    format!("vrid/{project}/{vrid}")
}

/// Keeps the hardware addresses of services apart from all others.
pub(crate) fn mac_claim(mac: Mac) -> String {
    Adapter::mac_claim(mac, None)
}

/// The VRRP identifiers that the services of a project hold, in order.
pub(crate) fn vrids(project: Id, snapshot: &Snapshot) -> Vec<u8> {
    let gateways = snapshot.referrers::<Gateway>(project);
    let balancers = snapshot.referrers::<Balancer>(project);
    let mut vrids: Vec<u8> = gateways
        .flat_map(|gateway| gateway.spec.pairs.iter().map(|pair| pair.vrid))
        .chain(balancers.map(|balancer| balancer.spec.vrid))
        .collect();
    vrids.sort_unstable();
    vrids
}

/// What one transaction gives away.
#[derive(Debug)]
pub(crate) struct Allocation<'a> {
    project: Id,
    snapshot: &'a Snapshot,
    addresses: Vec<(Id, Ipv4Addr)>,
    macs: Vec<Mac>,
    vrids: Vec<u8>,
}

impl<'a> Allocation<'a> {
    pub(crate) const fn new(project: Id, snapshot: &'a Snapshot) -> Self {
        Self { project, snapshot, addresses: Vec::new(), macs: Vec::new(), vrids: Vec::new() }
    }

    /// A free address of a subnet.
    ///
    /// # Errors
    /// 422 when there is none.
    pub(crate) fn address(&mut self, subnet: &Object<Subnet>) -> Result<Ipv4Addr, ApiError> {
        let own = self.addresses.iter().filter(|(id, _)| *id == subnet.id());
        let taken: Vec<Ipv4Addr> = own.map(|(_, address)| *address).collect();
        let address = subnet::elect_address(subnet, self.snapshot, &taken)?;
        self.addresses.push((subnet.id(), address));
        Ok(address)
    }

    /// A hardware address that nobody has.
    pub(crate) fn mac(&mut self) -> Mac {
        let mac = adapter::generate_mac(self.snapshot, &self.macs);
        self.macs.push(mac);
        mac
    }

    /// The lowest free VRRP identifier of the project.
    ///
    /// # Errors
    /// 507 when all are in use.
    pub(crate) fn vrid(&mut self) -> Result<u8, ApiError> {
        let free = |vrid: &u8| {
            self.snapshot.claim(&vrid_claim(self.project, *vrid)).is_none() && !self.vrids.contains(vrid)
        };
        let vrid = (1..=u8::MAX).find(free).ok_or_else(|| {
            ApiError::no_room(
                "all 255 VRRP identifiers of the project are in use; remove a gateway or balancer first",
            )
        })?;
        self.vrids.push(vrid);
        Ok(vrid)
    }

    /// An instance on a host of a zone, with an own address in the private subnet.
    ///
    /// # Errors
    /// 422 when no host can take it, or the subnet is full.
    pub(crate) fn member(
        &mut self,
        name: &str,
        zone: Id,
        private: &Object<Subnet>,
        except: Option<Id>,
    ) -> Result<Member, ApiError> {
        let wish = Wish {
            name,
            amounts: Amounts::default(),
            agents: None,
            groups: &[],
            own: None,
            except,
            from: None,
            planned: None,
        };
        let host = election::elect(zone, &wish, self.snapshot)?;
        self.member_on(host, private)
    }

    /// Gives an instance that is alone a second one on another host of its zone, if there is one.
    pub(crate) fn add_spare(&mut self, name: &str, private: &Object<Subnet>, members: &mut Vec<Member>) {
        if let [only] = members.as_slice() {
            let (zone, host) = (only.zone, only.hypervisor);
            members.extend(self.member(name, zone, private, Some(host)));
        }
    }

    /// An instance on a host, with an own address in the private subnet.
    ///
    /// # Errors
    /// 422 when the subnet is full.
    pub(crate) fn member_on(
        &mut self,
        host: &Object<Hypervisor>,
        private: &Object<Subnet>,
    ) -> Result<Member, ApiError> {
        let (zone, hypervisor) = (host.spec.zone, host.id());
        Ok(Member { zone, hypervisor, mac: self.mac(), address: self.address(private)? })
    }
}

/// The zones of a region, by name.
pub(crate) fn zones(region: Id, snapshot: &Snapshot) -> Vec<&Object<Zone>> {
    let mut zones: Vec<_> = snapshot.referrers::<Zone>(region).collect();
    zones.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
    zones
}

/// The private subnet of a project in a region.
///
/// # Errors
/// 422 when it has none.
pub(crate) fn private_subnet<'a>(
    project: &Object<Project>,
    region: Id,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<Subnet>, ApiError> {
    crate::instance::plan::check_region(project, region)?;
    let subnet = project.spec.subnets.get(&region).and_then(|id| snapshot.get::<Subnet>(*id));
    subnet.ok_or_else(|| {
        ApiError::invalid("the project has no private subnet in this region; take the region out of the project and add it again")
    })
}

/// A port in a subnet; `None` while the subnet is not known.
pub(crate) fn port(subnet: Id, mac: Mac, address: Option<Ipv4Addr>, snapshot: &Snapshot) -> Option<Port> {
    let subnet = &snapshot.get::<Subnet>(subnet)?.spec;
    Some(Port { segment: subnet.network, mac, address: address.map(|address| within(address, subnet)) })
}

/// An address with the length of its subnet's prefix.
pub(crate) fn within(address: Ipv4Addr, subnet: &Subnet) -> Ipv4Net {
    // The prefix is that of another valid network, so there is nothing to fail.
    Ipv4Net::new(address, subnet.cidr.prefix_len()).unwrap_or_else(|_| Ipv4Net::from(address))
}

/// Where the edges of a region answer; those of all regions, if it has none.
pub(crate) fn resolvers(region: Id, snapshot: &Snapshot) -> Vec<IpAddr> {
    let of = |edges: Vec<&Object<Edge>>| {
        let agents = edges.into_iter().flat_map(|edge| edge.spec.agents.iter());
        let agents = agents.filter_map(|id| snapshot.get::<Agent>(*id));
        agents.filter_map(|agent| agent.status.facts.as_ref()?.address).collect::<Vec<_>>()
    };
    let own = of(snapshot.referrers::<Edge>(region).collect());
    if own.is_empty() { of(snapshot.all::<Edge>().collect()) } else { own }
}

/// The agents of hosts on which a service needs a network.
pub(crate) fn agents_in(network: Id, snapshot: &Snapshot) -> Vec<Id> {
    let subnets = || snapshot.referrers::<Subnet>(network);
    let gateways = subnets().flat_map(|subnet| snapshot.referrers::<Gateway>(subnet.id()));
    let balancers = subnets().flat_map(|subnet| snapshot.referrers::<Balancer>(subnet.id()));
    let shares = subnets().flat_map(|subnet| snapshot.referrers::<FileShare>(subnet.id()));
    let shares = shares
        .flat_map(|share| standing(share, std::slice::from_ref(&share.spec.member), &share.status, snapshot));
    gateways
        .flat_map(|gateway| standing(gateway, &gateway.spec.members, &gateway.status, snapshot))
        .chain(shares)
        .chain(
            balancers
                .flat_map(|balancer| standing(balancer, &balancer.spec.members, &balancer.status, snapshot)),
        )
        .collect()
}

/// The agents on whose nodes a service is, or still has something.
fn standing<E: Entity>(
    object: &Object<E>,
    members: &[Member],
    status: &PlacedStatus,
    snapshot: &Snapshot,
) -> Vec<Id> {
    let agents = members.iter().filter_map(|member| member.agent(snapshot));
    let gone = |agent: &Id| object.is_deleting() && status.is_gone(*agent, object.meta.generation);
    agents.filter(|agent| !gone(agent)).collect()
}

/// Whether a service on a host needs a network.
pub(crate) fn is_needed_on(host: Id, agent: Id, network: Id, snapshot: &Snapshot) -> bool {
    let is_there =
        |subnet: Id| snapshot.get::<Subnet>(subnet).is_some_and(|subnet| subnet.spec.network == network);
    let gateways = snapshot.referrers::<Gateway>(host).any(|gateway| {
        gateway.spec.subnets().any(is_there)
            && standing(gateway, &gateway.spec.members, &gateway.status, snapshot).contains(&agent)
    });
    let shares = snapshot.referrers::<FileShare>(host).any(|share| {
        is_there(share.spec.subnet)
            && standing(share, std::slice::from_ref(&share.spec.member), &share.status, snapshot)
                .contains(&agent)
    });
    gateways
        || shares
        || snapshot.referrers::<Balancer>(host).any(|balancer| {
            is_there(balancer.spec.subnet)
                && standing(balancer, &balancer.spec.members, &balancer.status, snapshot).contains(&agent)
        })
}

/// The networks that the subnets of a service belong to.
pub(crate) fn networks(subnets: impl Iterator<Item = Id>, snapshot: &Snapshot) -> Vec<Key> {
    let networks = subnets.filter_map(|subnet| Some(snapshot.get::<Subnet>(subnet)?.spec.network));
    networks.map(Key::of::<Network>).collect()
}
