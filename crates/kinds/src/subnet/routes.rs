//! Operations on subnets.

use freehold_store::{Key, Object, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::{Subnet, ip_claim, spec};
use crate::network::Network;
use crate::route::{
    Call, Outcome,
    Permission::{Account, Operator},
    Row, Success,
};
use crate::zone::Zone;
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Subnet>);

pub const ROWS: &[Row] = &[
    Row::new("GET", "/subnet", "list_subnets", Account, IDS, crud::list::<Subnet>).query(crud::LIST),
    Row::new(
        "GET",
        "/vnet/{vnetId}/subnets",
        "list_v_net_subnets",
        Operator,
        IDS,
        crud::list_children::<Subnet>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/vnet/{vnetId}/subnet",
        "create_v_net_subnet",
        Operator,
        Success::Created(schema_of::<wire::Subnet>),
        create,
    )
    .body(schema_of::<wire::Subnet>),
    Row::new("GET", "/subnet/{subnetId}", "read_subnet", Account, MODEL, crud::read::<Subnet>),
    Row::new("PUT", "/subnet/{subnetId}", "update_subnet", Operator, MODEL, crud::update::<Subnet>)
        .body(schema_of::<wire::SubnetUpdate>),
    Row::new("DELETE", "/subnet/{subnetId}", "delete_subnet", Operator, Success::Done, delete),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let network = call.object::<Network>(0)?;
    crud::refuse_deleting(network)?;
    let body: wire::Subnet = call.body()?;
    text::name("subnet", &body.name)?;
    crud::refuse_taken::<Subnet>(
        call.snapshot,
        &Subnet::name_claim(network.id(), &body.name),
        None,
        &body.name,
    )?;
    let spec = Subnet {
        network: network.id(),
        name: body.name,
        description: text::description(body.description)?,
        cidr: spec::cidr(&body.cidr, network.spec.private)?,
        gateway: spec::address("gateway", &body.gateway)?,
        dns: body.dns.filter(|dns| !dns.is_empty()).map(|dns| spec::address("dns", &dns)).transpose()?,
        extra_routes: spec::routes(&body.extra_routes)?,
        reserved: spec::ranges("reserved", &body.reserved)?,
        gateway_pool: spec::ranges("gw_pool", &body.gw_pool)?,
        application: body.application,
        project: None,
    };
    spec::check(&spec)?;
    check_gateway_count(&spec, network, call)?;
    refuse_overlap(&spec, call)?;
    let id = Id::generate();
    let default_subnet =
        network.spec.default_subnet.filter(|known| call.snapshot.get::<Subnet>(*known).is_some());
    let mut transaction = Transaction::default();
    transaction.create(id, spec, call.now);
    // The write lets no two subnets be made at once, which could overlap.
    let network_spec = Network {
        default_subnet: default_subnet.or(Some(id)),
        subnets_made: network.spec.subnets_made + 1,
        ..network.spec.clone()
    };
    transaction.update(network, network_spec);
    Ok(Outcome::object(transaction, Key::of::<Subnet>(id)))
}

fn refuse_overlap(spec: &Subnet, call: &Call<'_>) -> Result<(), ApiError> {
    let other = call
        .snapshot
        .referrers::<Subnet>(spec.network)
        .find(|other| spec::overlap(other.spec.cidr, spec.cidr));
    match other {
        None => Ok(()),
        Some(other) => Err(ApiError::invalid(format!(
            "`cidr`: {} overlaps {}, the range of the subnet {} of the same network; take another",
            spec.cidr,
            other.spec.cidr,
            crud::named(other)
        ))),
    }
}

fn check_gateway_count(spec: &Subnet, network: &Object<Network>, call: &Call<'_>) -> Result<(), ApiError> {
    let zones = call.snapshot.referrers::<Zone>(network.spec.region).count();
    spec::check_gateway_count(&spec.gateway_pool, zones)
}

/// The rest of an update, after name and description.
pub(super) fn changed(
    object: &Object<Subnet>,
    spec: Subnet,
    change: wire::SubnetUpdate,
    call: &Call<'_>,
) -> Result<Subnet, ApiError> {
    let current = &object.spec;
    let gateway = change.gateway.filter(|gateway| !gateway.is_empty());
    let spec = Subnet {
        gateway: gateway.map_or(Ok(spec.gateway), |gateway| spec::address("gateway", &gateway))?,
        dns: match change.dns {
            None => spec.dns,
            Some(dns) if dns.is_empty() => None,
            Some(dns) => Some(spec::address("dns", &dns)?),
        },
        extra_routes: change.extra_routes.map_or(Ok(spec.extra_routes), |routes| spec::routes(&routes))?,
        reserved: change.reserved.map_or(Ok(spec.reserved), |ranges| spec::ranges("reserved", &ranges))?,
        gateway_pool: change
            .gw_pool
            .map_or(Ok(spec.gateway_pool), |ranges| spec::ranges("gw_pool", &ranges))?,
        application: change.application.unwrap_or(spec.application),
        ..spec
    };
    spec::check(&spec)?;
    if spec.gateway_pool != current.gateway_pool {
        check_gateway_count(&spec, call.find::<Network>(spec.network)?, call)?;
    }
    let holder =
        call.snapshot.claim(&ip_claim(object.id(), spec.gateway)).filter(|holder| *holder != object.key());
    if let Some(holder) = holder.and_then(|holder| call.snapshot.get_any(holder)) {
        return Err(ApiError::conflict(format!(
            "`gateway`: {} is an address of the {}; change that first",
            spec.gateway,
            crud::describe(holder.as_ref())
        )));
    }
    Ok(spec)
}

/// Deletes a subnet; where it was the default of its network, the oldest other one becomes it.
fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let subnet = call.object::<Subnet>(0)?;
    let mut outcome = crud::delete::<Subnet>(call)?;
    let network = call.find::<Network>(subnet.spec.network)?;
    if network.spec.default_subnet == Some(subnet.id()) {
        let mut others = call.snapshot.referrers::<Subnet>(network.id()).map(Object::id);
        let default_subnet = others.find(|other| *other != subnet.id());
        outcome.transaction.update(network, Network { default_subnet, ..network.spec.clone() });
    }
    Ok(outcome)
}
