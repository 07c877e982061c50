//! Operations on regions.

use freehold_store::{Key, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::Region;
use crate::kind::Updatable;
use crate::pool::Pool;
use crate::route::{
    Call, Outcome,
    Permission::{Account, Operator},
    Row, Success,
};
use crate::{crud, domain, text};

pub const ROWS: &[Row] = &[
    Row::new(
        "GET",
        "/region",
        "list_regions",
        Account,
        Success::Model(schema_of::<Vec<Id>>),
        crud::list::<Region>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/region",
        "create_region",
        Operator,
        Success::Created(schema_of::<wire::Region>),
        create,
    )
    .body(schema_of::<wire::Region>),
    Row::new(
        "GET",
        "/region/{regionId}",
        "read_region",
        Account,
        Success::Model(schema_of::<wire::Region>),
        crud::read::<Region>,
    ),
    Row::new(
        "PUT",
        "/region/{regionId}",
        "update_region",
        Operator,
        Success::Model(schema_of::<wire::Region>),
        update,
    )
    .body(schema_of::<wire::RegionUpdate>),
    Row::new("DELETE", "/region/{regionId}", "delete_region", Operator, Success::Done, delete),
    Row::new(
        "PATCH",
        "/region/{regionId}/pool/{poolId}/default",
        "set_region_default_storage_pool",
        Operator,
        Success::Done,
        set_default_pool,
    ),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wire::Region { name, description, domain, .. } = call.body()?;
    text::name("region", &name)?;
    if domain.is_empty() {
        return Err(ApiError::malformed("the region needs a `domain`"));
    }
    text::domain("domain", &domain)?;
    crud::refuse_taken::<Region>(call.snapshot, &Region::name_claim(&name), None, &name)?;
    let id = Id::generate();
    let description = text::description(description)?;
    let mut transaction = Transaction::default();
    domain::join(&domain, domain::Owner::Region(id), call.snapshot, call.now, &mut transaction);
    let region = Region { name, description, domain, default_pool: None, default_file_backend: None };
    transaction.create(id, region, call.now);
    Ok(Outcome::object(transaction, Key::of::<Region>(id)))
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.object::<Region>(0)?;
    let change = crud::changed_body(region, Region::READ_ONLY, call)?;
    let spec = Region::updated(region, change, call)?;
    let mut transaction = Transaction::default();
    if !spec.domain.eq_ignore_ascii_case(&region.spec.domain) {
        let owner = domain::Owner::Region(region.id());
        domain::leave(&region.spec.domain, owner, call.snapshot, call.now, &mut transaction);
        domain::join(&spec.domain, owner, call.snapshot, call.now, &mut transaction);
    }
    transaction.update(region, spec);
    Ok(Outcome::object(transaction, region.key()))
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.object::<Region>(0)?;
    crud::refuse_used(region, call.snapshot)?;
    let mut transaction = Transaction::default();
    let owner = domain::Owner::Region(region.id());
    domain::leave(&region.spec.domain, owner, call.snapshot, call.now, &mut transaction);
    transaction.delete(region);
    Ok(Outcome::done(transaction))
}

fn set_default_pool(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (region, pool) = (call.object::<Region>(0)?, call.object::<Pool>(1)?);
    if pool.spec.region != region.id() {
        return Err(crate::route::not_found::<Pool>(pool.id()));
    }
    crud::refuse_deleting(pool)?;
    let mut transaction = Transaction::default();
    transaction.update(region, Region { default_pool: Some(pool.id()), ..region.spec.clone() });
    Ok(Outcome::done(transaction))
}
