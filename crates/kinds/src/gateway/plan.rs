//! How a gateway is made and changed. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use freehold_store::{Key, Object, Snapshot, Transaction};
use freehold_types::wire::SubnetApplication;
use freehold_types::{ApiError, Id, wire};
use ipnet::Ipv4Net;

use super::{Gateway, Pair, Peering, PeeringPort, spec};
use crate::instance::election;
use crate::kind::Kind;
use crate::network::Network;
use crate::project::{self, Project};
use crate::region::Region;
use crate::route::{Call, not_found};
use crate::service::{self, Allocation, Member};
use crate::subnet::Subnet;
use crate::{crud, text};

/// Most subnets that a gateway joins.
const PEERING_LIMIT: usize = 16;

/// What machines need of a Ceph cluster: portmapper, NFS, monitors and daemons.
const CEPH_PORTS: &str = "111,2049,3300,6789,6800-7568";

/// Makes a gateway.
pub(super) fn create(
    project: &Object<Project>,
    region: &Object<Region>,
    body: wire::Gateway,
    call: &Call<'_>,
) -> Result<(Transaction, Key), ApiError> {
    let snapshot = call.snapshot;
    let private = service::private_subnet(project, region.id(), snapshot)?;
    if let Some(held) = Gateway::of(project.id(), region.id(), snapshot) {
        return Err(ApiError::conflict(format!(
            "the project {} has a gateway in this region already ({})",
            crud::named(project),
            held.id()
        )));
    }
    let name = body.name.filter(|name| !name.is_empty());
    if let Some(name) = &name {
        text::name("gateway", name)?;
    }
    spec::firewall(&body.firewall)?;
    spec::forwards(&body.dnat, private.spec.cidr)?;
    let mut transaction = Transaction::default();
    let mut allocation = Allocation::new(project.id(), snapshot);
    let mut pairs = pairs(project, region.id(), private, &mut allocation, snapshot, &mut transaction)?;
    let public =
        public_addresses(&public_subnets(region.id(), snapshot), &mut pairs, region, &mut allocation)?;
    let members = members(&describe(project), region.id(), private, &mut allocation, snapshot)?;
    let public_macs = public.map(|_| members.iter().map(|_| allocation.mac()).collect()).unwrap_or_default();
    let peerings = peerings(body.vpc_peerings, &members, private, public, &mut allocation, call)?;
    let gateway = Gateway {
        project: project.id(),
        region: region.id(),
        name,
        description: text::description(body.description)?,
        private_subnet: private.id(),
        public_subnet: public.map(Object::id),
        members,
        public_macs,
        pairs,
        firewall: body.firewall,
        dnat: body.dnat,
        peerings,
    };
    expect_subnets(&gateway, snapshot, &mut transaction);
    let id = Id::generate();
    transaction.create(id, gateway, call.now);
    Ok((transaction, Key::of::<Gateway>(id)))
}

fn describe(project: &Object<Project>) -> String {
    format!("gateway of {}", project.spec.name)
}

/// The subnets of a region that face the world.
fn public_subnets(region: Id, snapshot: &Snapshot) -> Vec<&Object<Subnet>> {
    let networks = snapshot.referrers::<Network>(region);
    networks
        .filter(|network| !network.spec.private && !network.is_deleting())
        .flat_map(|network| snapshot.referrers::<Subnet>(network.id()))
        .collect()
}

/// A pair for each zone of the region: its gateway in the private subnet.
fn pairs(
    project: &Object<Project>,
    region: Id,
    private: &Object<Subnet>,
    allocation: &mut Allocation<'_>,
    snapshot: &Snapshot,
    transaction: &mut Transaction,
) -> Result<Vec<Pair>, ApiError> {
    let gateways = project::zone_gateways(region, &private.spec, &project.spec.zone_gateways, snapshot);
    let mut pairs = Vec::new();
    for zone in service::zones(region, snapshot) {
        let private = *gateways.get(&zone.id()).ok_or_else(|| {
            ApiError::invalid(format!(
                "the zone `{}` has no gateway address in the subnet {}; give the subnet a `gw_pool` with an address for \
                 each zone",
                zone.spec.name,
                crud::named(private)
            ))
        })?;
        pairs.push(Pair { zone: zone.id(), vrid: allocation.vrid()?, private, public: None });
    }
    remember(project, gateways, transaction);
    Ok(pairs)
}

/// A zone that came after the project has its address from now on.
fn remember(project: &Object<Project>, gateways: BTreeMap<Id, Ipv4Addr>, transaction: &mut Transaction) {
    if gateways.keys().any(|zone| !project.spec.zone_gateways.contains_key(zone)) {
        let mut spec = project.spec.clone();
        spec.zone_gateways.extend(gateways);
        transaction.update(project, spec);
    }
}

/// Holds the subnets as they are: addresses were judged by their ranges.
fn expect_subnets(gateway: &Gateway, snapshot: &Snapshot, transaction: &mut Transaction) {
    for subnet in gateway.subnets().filter_map(|id| snapshot.get::<Subnet>(id)) {
        transaction.expect(subnet);
    }
}

/// Gives each pair a public address, all of one subnet: the first with room.
fn public_addresses<'a>(
    subnets: &[&'a Object<Subnet>],
    pairs: &mut [Pair],
    region: &Object<Region>,
    allocation: &mut Allocation<'_>,
) -> Result<Option<&'a Object<Subnet>>, ApiError> {
    let wanted = pairs.len();
    for subnet in subnets {
        let addresses: Result<Vec<_>, _> = (0..wanted).map(|_| allocation.address(subnet)).collect();
        if let Ok(addresses) = addresses {
            pairs.iter_mut().zip(addresses).for_each(|(pair, address)| pair.public = Some(address));
            return Ok(Some(subnet));
        }
    }
    if subnets.is_empty() {
        return Ok(None);
    }
    Err(ApiError::invalid(format!(
        "no public subnet of the region `{}` has {wanted} free addresses, one for each zone; free some, or make another",
        region.spec.name
    )))
}

/// One instance in each zone that has a host for it, and a second one where there is one zone only.
fn members(
    name: &str,
    region: Id,
    private: &Object<Subnet>,
    allocation: &mut Allocation<'_>,
    snapshot: &Snapshot,
) -> Result<Vec<Member>, ApiError> {
    let mut members = Vec::new();
    let mut reasons = Vec::new();
    for zone in service::zones(region, snapshot) {
        match allocation.member(name, zone.id(), private, None) {
            Ok(member) => members.push(member),
            Err(error) => reasons.push(error.reason),
        }
    }
    allocation.add_spare(name, private, &mut members);
    if members.is_empty() { Err(election::nowhere(&reasons)) } else { Ok(members) }
}

fn peerings(
    wire: Vec<wire::GatewayPeering>,
    members: &[Member],
    private: &Object<Subnet>,
    public: Option<&Object<Subnet>>,
    allocation: &mut Allocation<'_>,
    call: &Call<'_>,
) -> Result<Vec<Peering>, ApiError> {
    if wire.len() > PEERING_LIMIT {
        return Err(ApiError::invalid(format!("a gateway has at most {PEERING_LIMIT} `vpc_peerings`")));
    }
    let mut peerings: Vec<Peering> = Vec::with_capacity(wire.len());
    for (position, peering) in wire.into_iter().enumerate() {
        let field = format!("vpc_peerings[{position}]");
        let subnet = peered_subnet(&field, &peering.subnet, private, call)?;
        let others = peerings.iter().map(|other| other.subnet).chain(public.map(Object::id));
        let overlaps = |other: &Object<Subnet>| overlap(other.spec.cidr, subnet.spec.cidr);
        if let Some(other) =
            others.filter_map(|id| call.snapshot.get::<Subnet>(id)).find(|other| overlaps(other))
        {
            return Err(ApiError::invalid(format!(
                "`{field}.subnet`: {} overlaps with {}, which the gateway has already",
                subnet.spec.cidr, other.spec.cidr
            )));
        }
        spec::peering_rules(&format!("{field}.ingress"), &peering.ingress)?;
        spec::peering_rules(&format!("{field}.egress"), &peering.egress)?;
        let ports = members
            .iter()
            .map(|_| Ok(PeeringPort { mac: allocation.mac(), address: allocation.address(subnet)? }))
            .collect::<Result<_, ApiError>>()?;
        let mut peering = Peering {
            subnet: subnet.id(),
            policy: peering.policy,
            ingress: peering.ingress,
            egress: peering.egress,
            ports,
        };
        open_storage(subnet, &mut peering);
        peerings.push(peering);
    }
    Ok(peerings)
}

/// The subnet that a peering names: one whose range is apart from the project's own.
fn peered_subnet<'a>(
    field: &str,
    id: &str,
    private: &Object<Subnet>,
    call: &Call<'a>,
) -> Result<&'a Object<Subnet>, ApiError> {
    let unknown = || ApiError::malformed(format!("`{field}.subnet`: there is no subnet with the id `{id}`"));
    let subnet = id.parse::<Id>().ok().and_then(|id| call.snapshot.get::<Subnet>(id)).ok_or_else(unknown)?;
    // Members peer with subnets of their own projects, and with shared ones; others they know nothing of.
    if !call.caller.sees(&Subnet::scope(subnet, call.snapshot), call.snapshot) {
        return Err(unknown());
    }
    let in_region = |subnet: &Object<Subnet>| {
        call.snapshot.get::<Network>(subnet.spec.network).map(|network| network.spec.region)
    };
    if in_region(subnet) != in_region(private) {
        return Err(ApiError::invalid(format!(
            "`{field}.subnet`: the subnet {} is in another region, which no peering reaches; use an IPsec connection",
            crud::named(subnet)
        )));
    }
    let (own, other) = (private.spec.cidr, subnet.spec.cidr);
    if overlap(own, other) {
        return Err(ApiError::invalid(format!(
            "`{field}.subnet`: {other} overlaps with {own}, the private subnet of the project"
        )));
    }
    Ok(subnet)
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// A peering with a storage network always has the ports of storage open towards it.
fn open_storage(subnet: &Object<Subnet>, peering: &mut Peering) {
    if subnet.spec.application == SubnetApplication::Ceph && peering.policy == wire::FirewallPolicy::Drop {
        let rule = wire::PeeringRule { protocol: wire::Protocol::Tcp, ports: CEPH_PORTS.to_owned() };
        if !peering.egress.contains(&rule) {
            peering.egress.push(rule);
        }
    }
}

/// Changes name, description and rules. A zone or a host that came later gets its instance now.
pub(super) fn update(
    gateway: &Object<Gateway>,
    change: wire::GatewayUpdate,
    call: &Call<'_>,
) -> Result<Transaction, ApiError> {
    let current = gateway.spec.clone();
    let private = call.snapshot.get::<Subnet>(current.private_subnet);
    let private = private.ok_or_else(|| not_found::<Subnet>(current.private_subnet))?;
    let name = match change.name {
        None => current.name.clone(),
        Some(name) if name.is_empty() => None,
        Some(name) => {
            text::name("gateway", &name)?;
            Some(name)
        }
    };
    let mut spec = Gateway {
        name,
        description: crud::changed_description(current.description.as_deref(), change.description)?,
        firewall: change.firewall.unwrap_or(current.firewall),
        dnat: change.dnat.unwrap_or(current.dnat),
        ..current
    };
    spec::firewall(&spec.firewall)?;
    spec::forwards(&spec.dnat, private.spec.cidr)?;
    let mut transaction = Transaction::default();
    complete(&mut spec, private, call, &mut transaction)?;
    transaction.update(gateway, spec);
    Ok(transaction)
}

/// Gives a gateway what zones and hosts that came later allow: pairs for the zones, an instance in each, and a
/// second one where there is one only. What there is stays as it is.
fn complete(
    spec: &mut Gateway,
    private: &Object<Subnet>,
    call: &Call<'_>,
    transaction: &mut Transaction,
) -> Result<(), ApiError> {
    let snapshot = call.snapshot;
    let project = call.find::<Project>(spec.project)?;
    let mut allocation = Allocation::new(project.id(), snapshot);
    let (pairs, members) = (spec.pairs.len(), spec.members.len());
    let gateways = project::zone_gateways(spec.region, &private.spec, &project.spec.zone_gateways, snapshot);
    let public = spec.public_subnet.and_then(|subnet| snapshot.get::<Subnet>(subnet));
    for zone in service::zones(spec.region, snapshot) {
        let lacks_pair = !spec.pairs.iter().any(|pair| pair.zone == zone.id());
        if let Some(address) = gateways.get(&zone.id()).filter(|_| lacks_pair) {
            let public = public.map(|subnet| allocation.address(subnet)).transpose()?;
            let vrid = allocation.vrid()?;
            spec.pairs.push(Pair { zone: zone.id(), vrid, private: *address, public });
        }
        if !spec.members.iter().any(|member| member.zone == zone.id()) {
            // Without a host for it the others hold its addresses.
            spec.members.extend(allocation.member(&describe(project), zone.id(), private, None));
        }
    }
    allocation.add_spare(&describe(project), private, &mut spec.members);
    for _ in members..spec.members.len() {
        if public.is_some() {
            spec.public_macs.push(allocation.mac());
        }
        for peering in &mut spec.peerings {
            let subnet = call.find::<Subnet>(peering.subnet)?;
            peering.ports.push(PeeringPort { mac: allocation.mac(), address: allocation.address(subnet)? });
        }
    }
    if (pairs, members) != (spec.pairs.len(), spec.members.len()) {
        expect_subnets(spec, snapshot, transaction);
    }
    remember(project, gateways, transaction);
    Ok(())
}
