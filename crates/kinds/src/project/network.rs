//! The private subnets of a project, and the gateway address of each zone in them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use freehold_store::{Object, Snapshot};
use freehold_types::wire::SubnetApplication;
use freehold_types::{ApiError, Id};

use super::Project;
use crate::environment::Environment;
use crate::gateway::Gateway;
use crate::network::Network;
use crate::region::Region;
use crate::subnet::Subnet;
use crate::zone::Zone;

/// Shortest prefix of a subnet that may be given to a project.
const SHORTEST_PREFIX: u8 = 17;

/// Finds a free private subnet of a region: of the wanted size, else the next larger one.
///
/// # Errors
/// 422 when there is none.
pub(super) fn free_subnet<'a>(
    region: &Object<Region>,
    prefix: u8,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<Subnet>, ApiError> {
    let free: Vec<&Object<Subnet>> = snapshot
        .referrers::<Network>(region.id())
        .filter(|network| network.spec.private && !network.is_deleting())
        .flat_map(|network| snapshot.referrers::<Subnet>(network.id()))
        .filter(|subnet| subnet.spec.application == SubnetApplication::User)
        .filter(|subnet| snapshot.claim(&Project::subnet_claim(subnet.id())).is_none())
        // What stands in it is somebody else's.
        .filter(|subnet| snapshot.blocker(subnet.id()).is_none())
        .collect();
    (SHORTEST_PREFIX..=prefix)
        .rev()
        .find_map(|length| free.iter().copied().find(|subnet| subnet.spec.cidr.prefix_len() == length))
        .ok_or_else(|| {
            ApiError::invalid(format!(
                "the region `{}` has no free private subnet of /{prefix} or larger (up to /{SHORTEST_PREFIX}); \
                 make one first",
                region.spec.name
            ))
        })
}

/// The gateway of each zone of a region in a subnet: addresses of its gateway pool in order, zones by name.
/// A zone that has one keeps it, so that a new zone does not move the way out of running machines.
pub fn zone_gateways(
    region: Id,
    subnet: &Subnet,
    current: &BTreeMap<Id, Ipv4Addr>,
    snapshot: &Snapshot,
) -> BTreeMap<Id, Ipv4Addr> {
    let mut zones: Vec<&Object<Zone>> = snapshot.referrers::<Zone>(region).collect();
    zones.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
    let kept: BTreeMap<Id, Ipv4Addr> = zones
        .iter()
        .filter_map(|zone| {
            Some((zone.id(), *current.get(&zone.id()).filter(|address| subnet.cidr.contains(*address))?))
        })
        .collect();
    let mut free = subnet
        .gateway_pool
        .iter()
        .flat_map(|range| range.addresses())
        .filter(|address| !kept.values().any(|taken| taken == address));
    let mut gateways = kept.clone();
    for zone in zones {
        if !kept.contains_key(&zone.id())
            && let Some(address) = free.next()
        {
            gateways.insert(zone.id(), address);
        }
    }
    gateways
}

/// The router of a project's machines and services in a zone: its gateway's address there; without a gateway
/// that of the subnet, where hosts hold it.
pub(crate) fn way_out(
    project: &Object<Project>,
    region: Id,
    zone: Id,
    subnet: &Subnet,
    snapshot: &Snapshot,
    environment: &Environment,
) -> Option<Ipv4Addr> {
    if environment.host_gateways && Gateway::of(project.id(), region, snapshot).is_none() {
        return Some(subnet.gateway);
    }
    if let Some(gateway) = Gateway::of(project.id(), region, snapshot) {
        // A zone that came after the gateway leaves by another zone's address until it has its own pair.
        let pairs = &gateway.spec.pairs;
        let own = pairs.iter().find(|pair| pair.zone == zone).or_else(|| pairs.first());
        return own.map(|pair| pair.private).filter(|address| subnet.cidr.contains(address));
    }
    project.spec.zone_gateways.get(&zone).copied().filter(|address| subnet.cidr.contains(address))
}
