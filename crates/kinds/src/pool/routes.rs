//! Operations on storage pools.

use freehold_store::{Entity, Key, Object, Snapshot, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::status::{PoolStatus, status};
use super::{Pool, driver};
use crate::agent::Agent;
use crate::cost::Price;
use crate::image::Image;
use crate::region::Region;
use crate::route::{
    Call, Link, Outcome,
    Permission::{Account, Operator},
    Row, Success, Wait, not_found,
};
use crate::volume::Volume;
use crate::{crud, hypervisor, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::StoragePool>);
const LINKS: &[Link] = &[Link::Body("agents", Agent::KIND)];

/// Port of Ceph monitors (messenger v2); some clients send zero for what they leave out.
const DEFAULT_PORT: u16 = 3_300;

pub const ROWS: &[Row] = &[
    Row::new("GET", "/pool", "list_storage_pools", Account, IDS, crud::list::<Pool>).query(crud::LIST),
    Row::new(
        "GET",
        "/region/{regionId}/pools",
        "list_region_storage_pools",
        Account,
        IDS,
        crud::list_children::<Pool>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/region/{regionId}/pool",
        "create_region_storage_pool",
        Operator,
        Success::Created(schema_of::<wire::StoragePool>),
        create,
    )
    .body(schema_of::<wire::StoragePool>)
    .links(LINKS),
    Row::new("GET", "/pool/{poolId}", "read_storage_pool", Account, MODEL, crud::read::<Pool>),
    Row::new("PUT", "/pool/{poolId}", "update_storage_pool", Operator, MODEL, crud::update::<Pool>)
        .body(schema_of::<wire::StoragePoolUpdate>)
        .links(LINKS),
    Row::new("DELETE", "/pool/{poolId}", "delete_storage_pool", Operator, Success::Done, delete),
    Row::new(
        "GET",
        "/pool/{poolId}/volumes",
        "list_storage_pool_volumes",
        Account,
        IDS,
        crud::list_children::<Volume>,
    )
    .query(crud::LIST),
    Row::new(
        "GET",
        "/pool/{poolId}/status",
        "read_storage_pool_status",
        Operator,
        Success::Model(schema_of::<PoolStatus>),
        read_status,
    )
    .extension(),
];

/// The pool that new disks of a region go to: the one asked for, else the region's default, else its first.
///
/// # Errors
/// 404 when the one asked for is not of the region, or the region has none; 409 while it is being removed.
pub fn default_of<'a>(
    region: &Object<Region>,
    snapshot: &'a Snapshot,
    explicit: Option<Id>,
) -> Result<&'a Object<Pool>, ApiError> {
    if let Some(id) = explicit {
        let pool = snapshot
            .get::<Pool>(id)
            .filter(|pool| pool.spec.region == region.id())
            .ok_or_else(|| not_found::<Pool>(id))?;
        crud::refuse_deleting(pool)?;
        return Ok(pool);
    }
    let chosen =
        region.spec.default_pool.and_then(|id| snapshot.get::<Pool>(id)).filter(|pool| !pool.is_deleting());
    chosen.or_else(|| successor(region.id(), None, snapshot)).ok_or_else(|| {
        ApiError::not_found(format!(
            "the region {} has no storage pool; an administrator has to make one first",
            crud::named(region)
        ))
    })
}

/// The oldest pool of a region that stays, apart from one.
fn successor(region: Id, except: Option<Id>, snapshot: &Snapshot) -> Option<&Object<Pool>> {
    snapshot.referrers::<Pool>(region).find(|pool| !pool.is_deleting() && Some(pool.id()) != except)
}

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.object::<Region>(0)?;
    let body: wire::StoragePool = call.body()?;
    text::name("storage pool", &body.name)?;
    crud::refuse_taken::<Pool>(call.snapshot, &Pool::name_claim(region.id(), &body.name), None, &body.name)?;
    let spec = Pool {
        region: region.id(),
        name: body.name,
        description: text::description(body.description)?,
        pool: body.pool,
        ceph_address: body.ceph_address,
        ceph_port: port(Some(body.ceph_port)).unwrap_or(DEFAULT_PORT),
        ceph_secret_uuid: body.ceph_secret_uuid.filter(|secret| !secret.is_empty()),
        cost: body.cost.map_or(Ok(Price::default()), Price::try_from)?,
        agents: body.agents,
        default_image: None,
    };
    check(&spec, call)?;
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, spec, call.now);
    if region.spec.default_pool.and_then(|known| call.snapshot.get::<Pool>(known)).is_none() {
        transaction.update(region, Region { default_pool: Some(id), ..region.spec.clone() });
    }
    let key = Key::of::<Pool>(id);
    Ok(Outcome::object(transaction, key).waiting(Wait::Settled(key)))
}

/// A port, when it is one.
fn port(port: Option<u16>) -> Option<u16> {
    port.filter(|port| *port != 0)
}

/// Checks what create and update have in common.
fn check(spec: &Pool, call: &Call<'_>) -> Result<(), ApiError> {
    driver::parse(spec)?;
    hypervisor::check_agents(&spec.agents, call)
}

/// The rest of an update, after name and description.
pub(super) fn changed(
    object: &Object<Pool>,
    spec: Pool,
    change: wire::StoragePoolUpdate,
    call: &Call<'_>,
) -> Result<Pool, ApiError> {
    let current = &object.spec;
    let spec = Pool {
        pool: change.pool.filter(|pool| !pool.is_empty()).unwrap_or(spec.pool),
        ceph_address: change.ceph_address.unwrap_or(spec.ceph_address),
        ceph_port: port(change.ceph_port).unwrap_or(spec.ceph_port),
        ceph_secret_uuid: match change.ceph_secret_uuid {
            None => spec.ceph_secret_uuid,
            Some(secret) => Some(secret).filter(|secret| !secret.is_empty()),
        },
        cost: change.cost.map_or(Ok(spec.cost), Price::try_from)?,
        agents: change.agents.unwrap_or(spec.agents),
        ..spec
    };
    check(&spec, call)?;
    if spec.pool != current.pool {
        refuse_filled(object, call.snapshot)?;
    }
    for agent in current.agents.iter().filter(|agent| !spec.agents.contains(agent)) {
        refuse_disks_on(*agent, object, call)?;
    }
    Ok(spec)
}

/// Where a pool is cannot change while something is in it.
fn refuse_filled(pool: &Object<Pool>, snapshot: &Snapshot) -> Result<(), ApiError> {
    let images = snapshot.referrers::<Image>(pool.id()).count();
    let volumes = snapshot.referrers::<Volume>(pool.id()).count();
    if images + volumes == 0 {
        return Ok(());
    }
    Err(ApiError::conflict(format!(
        "`pool`: the storage pool {} holds {images} images and {volumes} volumes, so it stays where it is; remove \
         them first, or make a new storage pool",
        crud::named(pool)
    )))
}

/// A host cannot leave a pool while disks of the pool are made through it.
fn refuse_disks_on(agent: Id, pool: &Object<Pool>, call: &Call<'_>) -> Result<(), ApiError> {
    let volume = call.snapshot.referrers::<Volume>(pool.id()).find(|volume| volume.spec.agent == agent);
    match volume {
        None => Ok(()),
        Some(volume) => Err(ApiError::conflict(format!(
            "`agents`: the agent {} cannot leave the storage pool {} while it serves the {}; remove that first",
            crud::named(call.find::<Agent>(agent)?),
            crud::named(pool),
            crud::describe(volume)
        ))),
    }
}

/// Removes a pool; where it was the default of its region, the oldest other one becomes it.
fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let pool = call.object::<Pool>(0)?;
    let mut outcome = crud::begin_removal::<Pool>(call)?;
    let region = call.find::<Region>(pool.spec.region)?;
    if region.spec.default_pool == Some(pool.id()) {
        let default_pool = successor(region.id(), Some(pool.id()), call.snapshot).map(Object::id);
        outcome.transaction.update(region, Region { default_pool, ..region.spec.clone() });
    }
    Ok(outcome)
}

fn read_status(call: &Call<'_>) -> Result<Outcome, ApiError> {
    Outcome::json(&status(call.object::<Pool>(0)?))
}
