//! How a load balancer is made and changed. Pure.

use std::net::Ipv4Addr;

use freehold_store::{Key, Object, Snapshot, Transaction};
use freehold_types::{ApiError, Id, wire};

use super::Balancer;
use crate::instance::election;
use crate::kind::Kind;
use crate::project::Project;
use crate::route::Call;
use crate::service::{self, Allocation, Member};
use crate::subnet::Subnet;
use crate::{crud, text};

/// Most load balancers of a project.
const BALANCER_LIMIT: usize = 32;
/// Most endpoints of a balancer, and most backends of an endpoint.
const ENDPOINT_LIMIT: usize = 64;
const BACKEND_LIMIT: usize = 256;

/// Makes a load balancer in a region, or in one of its zones.
pub(super) fn create(
    project: &Object<Project>,
    region: Id,
    zone: Option<Id>,
    body: wire::Balancer,
    call: &Call<'_>,
) -> Result<(Transaction, Key), ApiError> {
    let snapshot = call.snapshot;
    let subnet = service::private_subnet(project, region, snapshot)?;
    // The contract names it after its project when it has no name.
    let name = body.name.filter(|name| !name.is_empty()).unwrap_or_else(|| project.spec.name.clone());
    text::name(Balancer::NOUN, &name)?;
    let claim = Balancer::name_claim(project.id(), &name);
    crud::refuse_taken::<Balancer>(snapshot, &claim, None, &name)?;
    endpoints(&body.endpoints)?;
    if snapshot.referrers::<Balancer>(project.id()).count() >= BALANCER_LIMIT {
        return Err(ApiError::no_room(format!(
            "a project has at most {BALANCER_LIMIT} load balancers; remove one first, or give another more endpoints"
        )));
    }
    let mut allocation = Allocation::new(project.id(), snapshot);
    let address = allocation.address(subnet)?;
    let count = if body.failover { 2 } else { 1 };
    let members = members(&name, region, zone, count, subnet, &mut allocation, snapshot)?;
    let balancer = Balancer {
        project: project.id(),
        region,
        zone,
        name,
        description: text::description(body.description)?,
        subnet: subnet.id(),
        address,
        vrid: allocation.vrid()?,
        failover: body.failover,
        members,
        endpoints: body.endpoints,
    };
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, balancer, call.now);
    // The addresses were judged by its ranges.
    transaction.expect(subnet);
    Ok((transaction, Key::of::<Balancer>(id)))
}

/// Hosts for its instances: in different zones, then on different hosts, as far as there are any.
fn members(
    name: &str,
    region: Id,
    zone: Option<Id>,
    count: usize,
    subnet: &Object<Subnet>,
    allocation: &mut Allocation<'_>,
    snapshot: &Snapshot,
) -> Result<Vec<Member>, ApiError> {
    let zones = zone.map_or_else(|| by_load(region, snapshot), |zone| vec![zone]);
    let mut members: Vec<Member> = Vec::new();
    let mut reasons = Vec::new();
    for zone in &zones {
        if members.len() == count {
            break;
        }
        match allocation.member(name, *zone, subnet, None) {
            Ok(member) => members.push(member),
            Err(error) => reasons.push(error.reason),
        }
    }
    if count > 1 {
        allocation.add_spare(name, subnet, &mut members);
    }
    if members.is_empty() { Err(election::nowhere(&reasons)) } else { Ok(members) }
}

/// The zones of a region, the least loaded first.
fn by_load(region: Id, snapshot: &Snapshot) -> Vec<Id> {
    let load = |zone: Id| snapshot.ranked(zone).map(|(score, _)| score).sum::<u64>();
    let mut zones: Vec<Id> = service::zones(region, snapshot).iter().map(|zone| zone.id()).collect();
    zones.sort_by_key(|zone| load(*zone));
    zones
}

/// Checks endpoints: names and ports apart, backends that are addresses.
pub(super) fn endpoints(endpoints: &[wire::BalancerEndpoint]) -> Result<(), ApiError> {
    if endpoints.len() > ENDPOINT_LIMIT {
        return Err(ApiError::invalid(format!("a load balancer has at most {ENDPOINT_LIMIT} `endpoints`")));
    }
    for (position, endpoint) in endpoints.iter().enumerate() {
        let field = format!("endpoints[{position}]");
        text::host_name("endpoint", &endpoint.name)?;
        check_port(&format!("{field}.port"), endpoint.port)?;
        check_port(&format!("{field}.backends.port"), endpoint.backends.port)?;
        for earlier in endpoints.iter().take(position) {
            if earlier.name.eq_ignore_ascii_case(&endpoint.name) {
                return Err(ApiError::invalid(format!(
                    "`{field}.name`: `{}` is listed twice",
                    endpoint.name
                )));
            }
            if (earlier.port, earlier.protocol) == (endpoint.port, endpoint.protocol) {
                return Err(ApiError::invalid(format!(
                    "`{field}.port`: {} is the port of `{}` already",
                    endpoint.port, earlier.name
                )));
            }
        }
        check_hosts(&field, &endpoint.backends.hosts)?;
    }
    Ok(())
}

fn check_port(field: &str, port: u16) -> Result<(), ApiError> {
    if port > 0 {
        return Ok(());
    }
    Err(ApiError::malformed(format!("`{field}` is 0, and must be 1 to 65535")))
}

fn check_hosts(field: &str, hosts: &[String]) -> Result<(), ApiError> {
    if hosts.is_empty() {
        return Err(ApiError::malformed(format!(
            "`{field}.backends.hosts` is empty; name at least one address"
        )));
    }
    if hosts.len() > BACKEND_LIMIT {
        return Err(ApiError::invalid(format!(
            "`{field}.backends.hosts`: at most {BACKEND_LIMIT} may be listed"
        )));
    }
    for (position, host) in hosts.iter().enumerate() {
        let address: Ipv4Addr = host.parse().map_err(|_| {
            ApiError::invalid(format!(
                "`{field}.backends.hosts`: `{host}` is not an IPv4 address such as 10.0.0.7"
            ))
        })?;
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return Err(ApiError::invalid(format!(
                "`{field}.backends.hosts`: {address} is not the address of a machine"
            )));
        }
        if hosts.iter().take(position).any(|earlier| earlier == host) {
            return Err(ApiError::invalid(format!("`{field}.backends.hosts`: {host} is listed twice")));
        }
    }
    Ok(())
}
