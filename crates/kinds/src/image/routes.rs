//! Operations on images.

use freehold_store::{Key, Object, Snapshot, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::status::{ImageStatus, status};
use super::{Image, spec};
use crate::placed::Placed;
use crate::pool::Pool;
use crate::route::{
    Call, Outcome,
    Permission::{Account, Operator},
    Row, Success, Wait, not_found,
};
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Image>);

pub const ROWS: &[Row] = &[
    Row::new("GET", "/template", "list_templates", Account, IDS, crud::list::<Image>).query(crud::LIST),
    Row::new(
        "GET",
        "/pool/{poolId}/templates",
        "list_storage_pool_templates",
        Account,
        IDS,
        crud::list_children::<Image>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/pool/{poolId}/template",
        "create_storage_pool_template",
        Operator,
        Success::Created(schema_of::<wire::Image>),
        create,
    )
    .body(schema_of::<wire::Image>),
    Row::new("GET", "/template/{templateId}", "read_template", Account, MODEL, crud::read::<Image>),
    Row::new("PUT", "/template/{templateId}", "update_template", Operator, MODEL, crud::update::<Image>)
        .body(schema_of::<wire::ImageUpdate>),
    Row::new("DELETE", "/template/{templateId}", "delete_template", Operator, Success::Done, delete),
    Row::new(
        "PATCH",
        "/pool/{poolId}/template/{templateId}/default",
        "set_storage_pool_default_template",
        Operator,
        Success::Done,
        set_default_image,
    ),
    Row::new(
        "GET",
        "/template/{templateId}/status",
        "read_template_status",
        Account,
        Success::Model(schema_of::<ImageStatus>),
        read_status,
    )
    .extension(),
];

/// The image that system disks of a pool are cloned from: the one asked for, else the pool's default, else its
/// first.
///
/// # Errors
/// 404 when there is no such image, or the pool has none; 422 when it is of another pool; 409 while it is being
/// removed.
pub fn default_of<'a>(
    pool: &Object<Pool>,
    snapshot: &'a Snapshot,
    explicit: Option<Id>,
) -> Result<&'a Object<Image>, ApiError> {
    if let Some(id) = explicit {
        let image = snapshot.get::<Image>(id).ok_or_else(|| not_found::<Image>(id))?;
        if image.spec.pool != pool.id() {
            return Err(ApiError::invalid(format!(
                "the image {} is not in the storage pool {}, where the disk goes; name an image of that pool, or \
                 its own pool",
                crud::named(image),
                crud::named(pool)
            )));
        }
        crud::refuse_deleting(image)?;
        return Ok(image);
    }
    let chosen =
        pool.spec.default_image.and_then(|id| snapshot.get::<Image>(id)).filter(|image| !image.is_deleting());
    chosen.or_else(|| successor(pool.id(), None, snapshot)).ok_or_else(|| {
        ApiError::not_found(format!(
            "the storage pool {} has no image; an administrator has to make one first",
            crud::named(pool)
        ))
    })
}

/// The oldest image of a pool that stays, apart from one.
fn successor(pool: Id, except: Option<Id>, snapshot: &Snapshot) -> Option<&Object<Image>> {
    snapshot.referrers::<Image>(pool).find(|image| !image.is_deleting() && Some(image.id()) != except)
}

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let pool = call.object::<Pool>(0)?;
    crud::refuse_deleting(pool)?;
    let wire::Image { name, description, os, source, .. } = call.body()?;
    text::name("image", &name)?;
    crud::refuse_taken::<Image>(call.snapshot, &Image::name_claim(pool.id(), &name), None, &name)?;
    spec::check_source(&source, call.environment.plain_images)?;
    let id = Id::generate();
    let description = text::description(description)?;
    let limit = call.environment.image_limit;
    let mut transaction = Transaction::default();
    transaction.create(id, Image { pool: pool.id(), name, description, os, source, limit }, call.now);
    if pool.spec.default_image.and_then(|known| call.snapshot.get::<Image>(known)).is_none() {
        transaction.update(pool, Pool { default_image: Some(id), ..pool.spec.clone() });
    }
    let key = Key::of::<Image>(id);
    Ok(Outcome::object(transaction, key).waiting(Wait::Settled(key)))
}

/// Removes an image; where it was the default of its pool, the oldest other one becomes it.
fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let image = call.object::<Image>(0)?;
    let mut outcome = crud::begin_removal::<Image>(call)?;
    let pool = call.find::<Pool>(image.spec.pool)?;
    if pool.spec.default_image == Some(image.id()) {
        let default_image = successor(pool.id(), Some(image.id()), call.snapshot).map(Object::id);
        outcome.transaction.update(pool, Pool { default_image, ..pool.spec.clone() });
    }
    Ok(outcome)
}

fn set_default_image(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (pool, image) = (call.object::<Pool>(0)?, call.object::<Image>(1)?);
    if image.spec.pool != pool.id() {
        return Err(not_found::<Image>(image.id()));
    }
    crud::refuse_deleting(image)?;
    let mut transaction = Transaction::default();
    transaction.update(pool, Pool { default_image: Some(image.id()), ..pool.spec.clone() });
    Ok(Outcome::done(transaction))
}

fn read_status(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let image = call.object::<Image>(0)?;
    let agents = Image::agents(image, call.snapshot);
    Outcome::json(&status(image, &agents, call.caller.is_operator()))
}
