//! Operations on volumes.

use freehold_store::{Amounts, Entity, Key, Object, Transaction};
use freehold_types::wire::VolumeType;
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::{Parameter, schema_of};

use super::{Volume, plan};
use crate::image::{self, Image};
use crate::kind::Kind;
use crate::pool::{self, Pool};
use crate::project::Project;
use crate::region::Region;
use crate::route::Permission::Account;
use crate::route::{Call, Link, Outcome, Row, Success, Wait};
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Volume>);

/// The parameters that choose pool and image.
pub(crate) const PLACE: &[Parameter] = &[
    Parameter {
        name: "poolId",
        kind: "string",
        description: "Storage pool; the region's default when absent.",
    },
    Parameter { name: "templateId", kind: "string", description: "Image; the pool's default when absent." },
];
/// What these parameters name.
pub(crate) const PLACE_LINKS: &[Link] =
    &[Link::Query("poolId", Pool::KIND), Link::Query("templateId", Image::KIND)];

pub const ROWS: &[Row] = &[
    Row::new("GET", "/volume", "list_volumes", Account, IDS, crud::list::<Volume>).query(crud::LIST),
    Row::new(
        "GET",
        "/project/{projectId}/region/{regionId}/volumes",
        "list_project_region_volumes",
        Account,
        IDS,
        list_in_region,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/project/{projectId}/region/{regionId}/volume",
        "create_project_region_volume",
        Account,
        Success::Created(schema_of::<wire::Volume>),
        create,
    )
    .body(schema_of::<wire::Volume>)
    .query(PLACE)
    .links(PLACE_LINKS),
    Row::new("GET", "/volume/{volumeId}", "read_volume", Account, MODEL, crud::read::<Volume>),
    Row::new("PUT", "/volume/{volumeId}", "update_volume", Account, MODEL, update)
        .body(schema_of::<wire::VolumeUpdate>),
    Row::new("DELETE", "/volume/{volumeId}", "delete_volume", Account, Success::Done, delete),
];

fn list_in_region(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.id(1);
    let volumes = call.snapshot.referrers::<Volume>(call.id(0));
    crud::list_of(call, volumes.filter(|volume| volume.spec.region == region))
}

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (project, region) = (call.object::<Project>(0)?, call.object::<Region>(1)?.id());
    let body: wire::Volume = call.body()?;
    text::name(Volume::NOUN, &body.name)?;
    crate::instance::plan::check_region(project, region)?;
    let mut transaction = Transaction::default();
    let delta = Amounts { storage: body.size, ..Amounts::default() };
    Project::charge(project, delta, call.snapshot, &mut transaction)?;
    let pool = pool::default_of(
        call.find::<Region>(region)?,
        call.snapshot,
        call.query_object::<Pool>("poolId")?.map(Object::id),
    )?;
    crud::refuse_deleting(pool)?;
    let explicit = call.query_object::<Image>("templateId")?.map(Object::id);
    let image = match body.r#type {
        VolumeType::Os => Some(image::default_of(pool, call.snapshot, explicit)?),
        VolumeType::Raw => None,
        VolumeType::Iso | VolumeType::Template => match explicit {
            Some(_) => Some(image::default_of(pool, call.snapshot, explicit)?),
            None => {
                return Err(ApiError::invalid(
                    "a volume of type iso or template is made from a known image; name one with `templateId`",
                ));
            }
        },
    };
    crud::refuse_taken::<Volume>(
        call.snapshot,
        &Volume::name_claim(project.id(), &body.name),
        None,
        &body.name,
    )?;
    plan::check_size(body.size, image)?;
    let volume = Volume {
        project: project.id(),
        region,
        pool: pool.id(),
        name: body.name,
        description: text::description(body.description)?,
        content: body.r#type,
        size: body.size,
        image: image.map(Object::id),
        agent: plan::maker(pool, call.snapshot)?,
        compute: None,
        twin: None,
    };
    let id = Id::generate();
    transaction.create(id, volume, call.now);
    let key = Key::of::<Volume>(id);
    Ok(Outcome::object(transaction, key).waiting(Wait::Settled(key)))
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let volume = call.object::<Volume>(0)?;
    crud::refuse_deleting(volume)?;
    let change: wire::VolumeUpdate = crud::changed_body(volume, &["id"], call)?;
    let mut transaction = Transaction::default();
    if let Some(size) = change.size {
        plan::grow(volume, size, call.snapshot, &mut transaction)?;
    }
    let current = &volume.spec;
    let name = crud::changed_name::<Volume>(&current.name, change.name)?;
    let claim = Volume::name_claim(current.project, &name);
    crud::refuse_taken::<Volume>(call.snapshot, &claim, Some(volume.id()), &name)?;
    let description = crud::changed_description(current.description.as_deref(), change.description)?;
    let size = change.size.unwrap_or(current.size);
    transaction.update(volume, Volume { name, description, size, ..current.clone() });
    Ok(Outcome::object(transaction, volume.key()).waiting(Wait::Settled(volume.key())))
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    plan::refuse_owned(call.object::<Volume>(0)?, call.snapshot)?;
    crud::begin_removal::<Volume>(call)
}
