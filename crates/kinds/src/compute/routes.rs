//! Operations on computes.

use freehold_store::{Entity, Key, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::{Parameter, schema_of};

use super::{Compute, plan};
use crate::antiaffinity::Group;
use crate::crud;
use crate::image::Image;
use crate::instance::actions::{self, Action};
use crate::instance::plan::Place;
use crate::instance::{self, Instance, NEW, action};
use crate::pool::Pool;
use crate::region::Region;
use crate::route::Permission::Account;
use crate::route::{Call, Link, Outcome, Row, Success, Wait};
use crate::zone::Zone;

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Compute>);
const CREATED: Success = Success::Created(schema_of::<wire::Compute>);
const LINKS: &[Link] = &[
    Link::Query("poolId", Pool::KIND),
    Link::Query("templateId", Image::KIND),
    Link::Body("kwarantines", Group::KIND),
];
const CREATE: &[Parameter] = &[
    Parameter {
        name: "poolId",
        kind: "string",
        description: "Storage pool; the region's default when absent.",
    },
    Parameter { name: "templateId", kind: "string", description: "Image; the pool's default when absent." },
    Parameter { name: "public", kind: "boolean", description: "Whether it gets a public address too." },
];

pub const ROWS: &[Row] = &[
    Row::new("GET", "/kompute", "list_komputes", Account, IDS, crud::list::<Compute>)
        .query(crud::LIST)
        .new_fields(NEW),
    Row::new(
        "GET",
        "/project/{projectId}/region/{regionId}/komputes",
        "list_project_region_komputes",
        Account,
        IDS,
        |call| list_where(call, |instance, region| instance.region == region),
    )
    .query(crud::LIST)
    .new_fields(NEW),
    Row::new(
        "GET",
        "/project/{projectId}/zone/{zoneId}/komputes",
        "list_project_zone_komputes",
        Account,
        IDS,
        |call| list_where(call, |instance, zone| instance.zone == zone),
    )
    .query(crud::LIST)
    .new_fields(NEW),
    Row::new(
        "POST",
        "/project/{projectId}/region/{regionId}/kompute",
        "create_project_region_kompute",
        Account,
        CREATED,
        |call| create(call, Place::Region(call.object::<Region>(1)?.id())),
    )
    .body(schema_of::<wire::Compute>)
    .query(CREATE)
    .links(LINKS)
    .new_fields(NEW),
    Row::new(
        "POST",
        "/project/{projectId}/zone/{zoneId}/kompute",
        "create_project_zone_kompute",
        Account,
        CREATED,
        |call| create(call, Place::Zone(call.object::<Zone>(1)?.id())),
    )
    .body(schema_of::<wire::Compute>)
    .query(CREATE)
    .links(LINKS)
    .new_fields(NEW),
    Row::new("GET", "/kompute/{komputeId}", "read_kompute", Account, MODEL, crud::read::<Compute>)
        .new_fields(NEW),
    Row::new("PUT", "/kompute/{komputeId}", "update_kompute", Account, MODEL, update)
        .body(schema_of::<wire::ComputeUpdate>)
        .new_fields(NEW),
    Row::new("DELETE", "/kompute/{komputeId}", "delete_kompute", Account, Success::Done, delete),
    Row::new(
        "GET",
        "/kompute/{komputeId}/state",
        "read_kompute_state",
        Account,
        Success::Model(schema_of::<wire::InstanceState>),
        |call| Outcome::json(&instance::wire_state(machine(call)?, call.snapshot)),
    ),
    action("/kompute/{komputeId}/start", "start_kompute", |call| {
        actions::perform(machine(call)?, Action::Start, call.snapshot)
    }),
    action("/kompute/{komputeId}/stop", "stop_kompute", |call| {
        actions::perform(machine(call)?, Action::Stop, call.snapshot)
    }),
    action("/kompute/{komputeId}/shutdown", "shutdown_kompute", |call| {
        actions::perform(machine(call)?, Action::ShutDown, call.snapshot)
    }),
    action("/kompute/{komputeId}/reboot", "reboot_kompute", |call| {
        actions::perform(machine(call)?, Action::Reboot, call.snapshot)
    }),
    action("/kompute/{komputeId}/reset", "reset_kompute", |call| {
        actions::perform(machine(call)?, Action::Reset, call.snapshot)
    }),
    action("/kompute/{komputeId}/suspend", "suspend_kompute", |call| {
        actions::perform(machine(call)?, Action::Suspend, call.snapshot)
    }),
    action("/kompute/{komputeId}/resume", "resume_kompute", |call| {
        actions::perform(machine(call)?, Action::Resume, call.snapshot)
    }),
];

fn machine<'a>(call: &'a Call<'_>) -> Result<&'a freehold_store::Object<Instance>, ApiError> {
    call.find::<Instance>(call.object::<Compute>(0)?.spec.instance)
}

fn list_where(call: &Call<'_>, belongs: fn(&Instance, Id) -> bool) -> Result<Outcome, ApiError> {
    let place = call.id(1);
    let computes = call.snapshot.referrers::<Compute>(call.id(0)).filter(|compute| {
        call.snapshot
            .get::<Instance>(compute.spec.instance)
            .is_some_and(|instance| belongs(&instance.spec, place))
    });
    crud::list_of(call, computes)
}

fn create(call: &Call<'_>, place: Place) -> Result<Outcome, ApiError> {
    let (transaction, compute, instance) = plan::create(call, place)?;
    let wait = Wait::Settled(Key { kind: Instance::KIND, id: instance });
    Ok(Outcome::object(transaction, Key::of::<Compute>(compute)).waiting(wait))
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let compute = call.object::<Compute>(0)?;
    let transaction: Transaction =
        plan::update(compute, crud::changed_body(compute, &["id", "ip"], call)?, call)?;
    let wait = Wait::Settled(Key::of::<Instance>(compute.spec.instance));
    Ok(Outcome::object(transaction, compute.key()).waiting(wait))
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let compute = call.object::<Compute>(0)?;
    crud::refuse_used(compute, call.snapshot)?;
    Ok(Outcome::done(plan::remove(compute, call.snapshot, call.now)).waiting(Wait::Gone(compute.key())))
}
