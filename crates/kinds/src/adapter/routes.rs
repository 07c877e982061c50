//! Operations on adapters.

use std::net::Ipv4Addr;

use freehold_store::{Key, Object, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::{Parameter, schema_of};

use super::{Adapter, generate_mac, mac};
use crate::compute::Compute;
use crate::route::{Call, Outcome, Permission::Account, Row, Success};
use crate::subnet::{self, Subnet};
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Adapter>);

pub const ROWS: &[Row] = &[
    Row::new("GET", "/adapter", "list_adapters", Account, IDS, crud::list::<Adapter>).query(crud::LIST),
    Row::new(
        "GET",
        "/subnet/{subnetId}/adapters",
        "list_subnet_adapters",
        Account,
        IDS,
        crud::list_children::<Adapter>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/subnet/{subnetId}/adapter",
        "create_subnet_adapter",
        Account,
        Success::Created(schema_of::<wire::Adapter>),
        create,
    )
    .body(schema_of::<wire::Adapter>)
    .query(&[Parameter {
        name: "assignIP",
        kind: "boolean",
        description: "Give it a free address when none is named.",
    }]),
    Row::new("GET", "/adapter/{adapterId}", "read_adapter", Account, MODEL, crud::read::<Adapter>),
    Row::new("PUT", "/adapter/{adapterId}", "update_adapter", Account, MODEL, crud::update::<Adapter>)
        .body(schema_of::<wire::AdapterUpdate>),
    Row::new("DELETE", "/adapter/{adapterId}", "delete_adapter", Account, Success::Done, delete),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let subnet = call.object::<Subnet>(0)?;
    let body: wire::Adapter = call.body()?;
    refuse_shared(subnet, call)?;
    if body.reserved {
        refuse_reserving(call)?;
    }
    text::name("adapter", &body.name)?;
    crud::refuse_taken::<Adapter>(
        call.snapshot,
        &Adapter::name_claim(subnet.id(), &body.name),
        None,
        &body.name,
    )?;
    let mut addresses = read_addresses(&body.addresses)?;
    if addresses.is_empty() && call.query.flag("assignIP")?.unwrap_or(false) {
        addresses.push(subnet::elect_address(subnet, call.snapshot, &[])?);
    }
    let mac = match body.mac.filter(|mac| !mac.is_empty()) {
        Some(mac) => mac::read(&mac)?,
        None => generate_mac(call.snapshot, &[]),
    };
    let spec = Adapter {
        subnet: subnet.id(),
        name: body.name,
        description: text::description(body.description)?,
        mac,
        addresses,
        reserved: body.reserved,
        project: subnet.spec.project,
        compute: None,
    };
    check(&spec, None, subnet, call)?;
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, spec, call.now);
    // The addresses were judged by its ranges.
    transaction.expect(subnet);
    Ok(Outcome::object(transaction, Key::of::<Adapter>(id)))
}

/// The rest of an update, after name and description.
pub(super) fn changed(
    object: &Object<Adapter>,
    spec: Adapter,
    change: wire::AdapterUpdate,
    call: &Call<'_>,
) -> Result<Adapter, ApiError> {
    let subnet = call.find::<Subnet>(spec.subnet)?;
    refuse_shared(subnet, call)?;
    let mac = change.mac.filter(|mac| !mac.is_empty());
    let spec = Adapter {
        mac: mac.map_or(Ok(spec.mac), |mac| mac::read(&mac))?,
        addresses: change.addresses.map_or(Ok(spec.addresses), |addresses| read_addresses(&addresses))?,
        reserved: change.reserved.unwrap_or(spec.reserved),
        ..spec
    };
    if spec.reserved != object.spec.reserved {
        refuse_reserving(call)?;
    }
    check(&spec, Some(object), subnet, call)?;
    Ok(spec)
}

/// Members have adapters in the subnets of their own projects; shared ones are the operators'.
fn refuse_shared(subnet: &Object<Subnet>, call: &Call<'_>) -> Result<(), ApiError> {
    let own = subnet.spec.project.is_some_and(|project| call.caller.is_member(project, call.snapshot));
    if own || call.caller.is_operator() {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "the subnet {} is not of one of your projects; ask an administrator, or make a Kompute with a public address",
        crud::named(subnet)
    )))
}

fn refuse_reserving(call: &Call<'_>) -> Result<(), ApiError> {
    if call.caller.is_operator() {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "`reserved` is for router-like devices, and needs the role superAdmin; leave it out",
    ))
}

fn read_addresses(texts: &[String]) -> Result<Vec<Ipv4Addr>, ApiError> {
    let mut addresses = Vec::with_capacity(texts.len());
    for text in texts {
        let address: Ipv4Addr = text.parse().map_err(|_| {
            ApiError::invalid(format!("`addresses`: `{text}` is not an IPv4 address such as 10.0.0.7"))
        })?;
        if addresses.contains(&address) {
            return Err(ApiError::invalid(format!("`addresses`: {address} is listed twice")));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// Checks that the hardware address is free, and each new address usable and free.
fn check(
    spec: &Adapter,
    current: Option<&Object<Adapter>>,
    subnet: &Object<Subnet>,
    call: &Call<'_>,
) -> Result<(), ApiError> {
    let own = current.map(Object::key);
    let holder = |claim: &str| {
        let holder = call.snapshot.claim(claim).filter(|holder| Some(*holder) != own)?;
        call.snapshot.get_any(holder)
    };
    for claim in spec.mac_claims() {
        if let Some(holder) = holder(&claim) {
            return Err(ApiError::conflict(format!(
                "`mac`: {} is that of the {}; take another, or leave it out to get a free one",
                spec.mac,
                crud::describe(holder.as_ref())
            )));
        }
    }
    // What it has stays good, even where a range was reserved around it since.
    let kept = current.map_or(&[][..], |current| &current.spec.addresses);
    for address in spec.addresses.iter().filter(|address| !kept.contains(address)) {
        subnet::refuse_unusable(subnet, *address)?;
        if let Some(holder) = holder(&subnet::ip_claim(subnet.id(), *address)) {
            return Err(ApiError::conflict(format!(
                "`addresses`: {address} is in use by the {}; take another, or let one be assigned",
                crud::describe(holder.as_ref())
            )));
        }
    }
    Ok(())
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let adapter = call.object::<Adapter>(0)?;
    if let Some(compute) = adapter.spec.compute.and_then(|compute| call.snapshot.get::<Compute>(compute)) {
        return Err(ApiError::conflict(format!(
            "the adapter {} belongs to the {}; delete that instead",
            crud::named(adapter),
            crud::describe(compute)
        )));
    }
    refuse_shared(call.find::<Subnet>(adapter.spec.subnet)?, call)?;
    crud::delete::<Adapter>(call)
}
