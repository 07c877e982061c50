//! Operations on gateways.

use freehold_types::agent::Detail;
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::{Gateway, plan};
use crate::crud;
use crate::ipsec::Connection;
use crate::project::Project;
use crate::region::Region;
use crate::route::Permission::Account;
use crate::route::{Call, Outcome, Row, Success, Wait};
use crate::service_status::{self, ServiceStatus};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Gateway>);
/// What clients from before contract 0.58 refuse.
const NEW: &[&str] = &["name"];

pub const ROWS: &[Row] = &[
    Row::new("GET", "/kawaii", "list_kawaiis", Account, IDS, crud::list::<Gateway>).query(crud::LIST),
    Row::new(
        "GET",
        "/project/{projectId}/region/{regionId}/kawaiis",
        "list_project_region_kawaiis",
        Account,
        IDS,
        list_in_region,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/project/{projectId}/region/{regionId}/kawaii",
        "create_project_region_kawaii",
        Account,
        Success::Created(schema_of::<wire::Gateway>),
        create,
    )
    .body(schema_of::<wire::Gateway>)
    .new_fields(NEW),
    Row::new("GET", "/kawaii/{kawaiiId}", "read_kawaii", Account, MODEL, crud::read::<Gateway>)
        .new_fields(NEW),
    Row::new("PUT", "/kawaii/{kawaiiId}", "update_kawaii", Account, MODEL, update)
        .body(schema_of::<wire::GatewayUpdate>)
        .new_fields(NEW),
    Row::new("DELETE", "/kawaii/{kawaiiId}", "delete_kawaii", Account, Success::Done, delete),
    Row::new(
        "GET",
        "/kawaii/{kawaiiId}/status",
        "read_kawaii_status",
        Account,
        Success::Model(schema_of::<ServiceStatus>),
        read_status,
    )
    .extension(),
];

fn list_in_region(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.id(1);
    let gateways = call.snapshot.referrers::<Gateway>(call.id(0));
    crud::list_of(call, gateways.filter(|gateway| gateway.spec.region == region))
}

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (project, region) = (call.object::<Project>(0)?, call.object::<Region>(1)?);
    let body: wire::Gateway = call.body()?;
    let (transaction, key) = plan::create(project, region, body, call)?;
    Ok(Outcome::object(transaction, key).waiting(Wait::Settled(key)))
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let gateway = call.object::<Gateway>(0)?;
    crud::refuse_deleting(gateway)?;
    let read_only = &["id", "netip", "vpc_peerings"];
    let change = crud::changed_body(gateway, read_only, call)?;
    let transaction = plan::update(gateway, change, call)?;
    Ok(Outcome::object(transaction, gateway.key()).waiting(Wait::Settled(gateway.key())))
}

fn read_status(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let gateway = call.object::<Gateway>(0)?;
    let holds = |detail: &Detail| {
        let Detail::Gateway(found) = detail else { return Vec::new() };
        let held = gateway.spec.pairs.iter().filter(|pair| found.active.contains(&pair.vrid));
        held.flat_map(|pair| [Some(pair.private), pair.public])
            .flatten()
            .map(|address| address.to_string())
            .collect()
    };
    Outcome::json(&service_status::of(
        &gateway.spec.members,
        &gateway.status,
        gateway.meta.generation,
        call.caller,
        call.snapshot,
        holds,
    ))
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let gateway = call.object::<Gateway>(0)?;
    if let Some(connection) = call.snapshot.referrers::<Connection>(gateway.id()).next() {
        return Err(ApiError::conflict(format!(
            "the gateway has the {}; remove it first",
            crud::describe(connection)
        )));
    }
    crud::begin_removal::<Gateway>(call)
}
