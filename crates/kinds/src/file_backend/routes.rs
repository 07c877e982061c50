//! Operations on file backends.

use freehold_store::{Entity, Key, Object, Snapshot, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::{Parameter, schema_of};

use super::{FileBackend, spec};
use crate::file_share::FileShare;
use crate::pool::{self, Pool};
use crate::region::Region;
use crate::route::Permission::Operator;
use crate::route::{Call, Link, Outcome, Row, Success, not_found};
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::FileBackend>);
const POOL: &[Parameter] = &[Parameter {
    name: "poolId",
    kind: "string",
    description: "Storage pool whose agents reach it; the region's default when absent.",
}];

pub const ROWS: &[Row] = &[
    Row::new("GET", "/nfs", "list_storage_nf_ses", Operator, IDS, crud::list::<FileBackend>)
        .query(crud::LIST),
    Row::new(
        "GET",
        "/region/{regionId}/nfses",
        "list_region_storage_nf_ses",
        Operator,
        IDS,
        crud::list_children::<FileBackend>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/region/{regionId}/nfs",
        "create_region_storage_nfs",
        Operator,
        Success::Created(schema_of::<wire::FileBackend>),
        create,
    )
    .body(schema_of::<wire::FileBackend>)
    .query(POOL)
    .links(&[Link::Query("poolId", Pool::KIND)]),
    Row::new("GET", "/nfs/{nfsId}", "read_storage_nfs", Operator, MODEL, crud::read::<FileBackend>),
    Row::new("PUT", "/nfs/{nfsId}", "update_storage_nfs", Operator, MODEL, crud::update::<FileBackend>)
        .body(schema_of::<wire::FileBackendUpdate>),
    Row::new("DELETE", "/nfs/{nfsId}", "delete_storage_nfs", Operator, Success::Done, delete),
    Row::new(
        "PATCH",
        "/region/{regionId}/nfs/{nfsId}/default",
        "set_region_default_storage_nfs",
        Operator,
        Success::Done,
        set_default,
    ),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.object::<Region>(0)?;
    let body: wire::FileBackend = call.body()?;
    let claim = FileBackend::name_claim(region.id(), &body.name);
    crud::refuse_taken::<FileBackend>(call.snapshot, &claim, None, &body.name)?;
    let pool = call.query_object::<Pool>("poolId")?.map(Object::id);
    let spec = FileBackend {
        region: region.id(),
        name: body.name,
        description: text::description(body.description)?,
        endpoint: body.endpoint,
        fs: body.fs,
        backends: body.backends,
        port: body.port,
        pool: pool::default_of(region, call.snapshot, pool)?.id(),
    };
    spec::check(&spec)?;
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, spec, call.now);
    let known = region.spec.default_file_backend;
    if known.and_then(|known| call.snapshot.get::<FileBackend>(known)).is_none() {
        transaction.update(region, Region { default_file_backend: Some(id), ..region.spec.clone() });
    }
    Ok(Outcome::object(transaction, Key::of::<FileBackend>(id)))
}

/// The file backend that is asked for, else the region's default.
///
/// # Errors
/// 404.
pub(crate) fn default_of<'a>(
    region: &Object<Region>,
    asked: Option<&'a Object<FileBackend>>,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<FileBackend>, ApiError> {
    if let Some(asked) = asked {
        let here = asked.spec.region == region.id();
        return here.then_some(asked).ok_or_else(|| not_found::<FileBackend>(asked.id()));
    }
    let default = region.spec.default_file_backend.and_then(|id| snapshot.get::<FileBackend>(id));
    default.or_else(|| snapshot.referrers::<FileBackend>(region.id()).next()).ok_or_else(|| {
        ApiError::not_found(format!(
            "the region {} has no file backend; an administrator has to make one first",
            crud::named(region)
        ))
    })
}

/// Refuses to move the files of shares.
pub(super) fn refuse_moving(
    object: &Object<FileBackend>,
    spec: &FileBackend,
    snapshot: &Snapshot,
) -> Result<(), ApiError> {
    let share = snapshot.referrers::<FileShare>(object.id()).next().filter(|_| spec.fs != object.spec.fs);
    match share {
        Some(share) => Err(ApiError::conflict(format!(
            "`fs` cannot change while the file backend {} holds the {}; make another file backend",
            crud::named(object),
            crud::describe(share)
        ))),
        None => Ok(()),
    }
}

/// Removes a file backend; where it was the default of its region, the oldest other one becomes it.
fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let backend = call.object::<FileBackend>(0)?;
    let mut outcome = crud::delete::<FileBackend>(call)?;
    let region = call.find::<Region>(backend.spec.region)?;
    if region.spec.default_file_backend == Some(backend.id()) {
        let mut others = call.snapshot.referrers::<FileBackend>(region.id());
        let default_file_backend = others.find(|other| other.id() != backend.id()).map(Object::id);
        outcome.transaction.update(region, Region { default_file_backend, ..region.spec.clone() });
    }
    Ok(outcome)
}

fn set_default(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (region, backend) = (call.object::<Region>(0)?, call.object::<FileBackend>(1)?);
    if backend.spec.region != region.id() {
        return Err(not_found::<FileBackend>(backend.id()));
    }
    let mut transaction = Transaction::default();
    let default_file_backend = Some(backend.id());
    transaction.update(region, Region { default_file_backend, ..region.spec.clone() });
    Ok(Outcome::done(transaction))
}
