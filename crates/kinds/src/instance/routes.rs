//! Operations on instances.

use freehold_store::{Amounts, Entity, Key, Object, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::actions::{self, Action};
use super::election::Wish;
use super::plan::{self, New, Place};
use super::{Instance, state};
use crate::adapter::Adapter;
use crate::antiaffinity::Group;
use crate::compute::Compute;
use crate::kind::Kind;
use crate::project::Project;
use crate::region::Region;
use crate::route::Permission::Account;
use crate::route::{Call, Link, Outcome, Row, Success, Wait};
use crate::volume::Volume;
use crate::zone::Zone;
use crate::{crud, domain, hypervisor, mail, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Instance>);
const CREATED: Success = Success::Created(schema_of::<wire::Instance>);
/// Fields that clients from before contract 0.58 refuse.
pub(crate) const NEW: &[&str] = &["kwarantines", "uefi", "kmotion_enabled"];
const LINKS: &[Link] = &[
    Link::Body("adapters", Adapter::KIND),
    Link::Body("volumes", Volume::KIND),
    Link::Body("kwarantines", Group::KIND),
];

pub const ROWS: &[Row] = &[
    Row::new("GET", "/instance", "list_instances", Account, IDS, crud::list::<Instance>)
        .query(crud::LIST)
        .new_fields(NEW),
    Row::new(
        "GET",
        "/project/{projectId}/region/{regionId}/instances",
        "list_project_region_instances",
        Account,
        IDS,
        |call| list_where(call, |spec, region| spec.region == region),
    )
    .query(crud::LIST)
    .new_fields(NEW),
    Row::new(
        "GET",
        "/project/{projectId}/zone/{zoneId}/instances",
        "list_project_zone_instances",
        Account,
        IDS,
        |call| list_where(call, |spec, zone| spec.zone == zone),
    )
    .query(crud::LIST)
    .new_fields(NEW),
    Row::new(
        "POST",
        "/project/{projectId}/region/{regionId}/instance",
        "create_project_region_instance",
        Account,
        CREATED,
        |call| create(call, Place::Region(call.object::<Region>(1)?.id())),
    )
    .body(schema_of::<wire::Instance>)
    .links(LINKS)
    .new_fields(NEW),
    Row::new(
        "POST",
        "/project/{projectId}/zone/{zoneId}/instance",
        "create_project_zone_instance",
        Account,
        CREATED,
        |call| create(call, Place::Zone(call.object::<Zone>(1)?.id())),
    )
    .body(schema_of::<wire::Instance>)
    .links(LINKS)
    .new_fields(NEW),
    Row::new("GET", "/instance/{instanceId}", "read_instance", Account, MODEL, crud::read::<Instance>)
        .new_fields(NEW),
    Row::new("PUT", "/instance/{instanceId}", "update_instance", Account, MODEL, update)
        .body(schema_of::<wire::InstanceUpdate>)
        .links(LINKS)
        .new_fields(NEW),
    Row::new("DELETE", "/instance/{instanceId}", "delete_instance", Account, Success::Done, delete),
    Row::new(
        "GET",
        "/instance/{instanceId}/state",
        "read_instance_state",
        Account,
        Success::Model(schema_of::<wire::InstanceState>),
        |call| Outcome::json(&state::wire_state(call.object::<Instance>(0)?, call.snapshot)),
    ),
    Row::new(
        "GET",
        "/instance/{instanceId}/connect",
        "read_instance_remote_connection",
        Account,
        Success::Model(schema_of::<wire::InstanceRemoteAccess>),
        |call| Ok(Outcome { ask: Some(call.object::<Instance>(0)?.key()), ..Outcome::default() }),
    ),
    action("/instance/{instanceId}/start", "start_instance", |call| actions::on_path(call, Action::Start)),
    action("/instance/{instanceId}/stop", "stop_instance", |call| actions::on_path(call, Action::Stop)),
    action("/instance/{instanceId}/shutdown", "shutdown_instance", |call| {
        actions::on_path(call, Action::ShutDown)
    }),
    action("/instance/{instanceId}/reboot", "reboot_instance", |call| actions::on_path(call, Action::Reboot)),
    action("/instance/{instanceId}/reset", "reset_instance", |call| actions::on_path(call, Action::Reset)),
    action("/instance/{instanceId}/suspend", "suspend_instance", |call| {
        actions::on_path(call, Action::Suspend)
    }),
    action("/instance/{instanceId}/resume", "resume_instance", |call| actions::on_path(call, Action::Resume)),
];

/// The row of a verb.
pub(crate) const fn action(
    path: &'static str,
    operation: &'static str,
    handler: crate::route::Handler,
) -> Row {
    Row::new("PATCH", path, operation, Account, Success::Done, handler)
}

fn list_where(call: &Call<'_>, belongs: fn(&Instance, Id) -> bool) -> Result<Outcome, ApiError> {
    let place = call.id(1);
    let instances = call.snapshot.referrers::<Instance>(call.id(0));
    crud::list_of(call, instances.filter(|instance| belongs(&instance.spec, place)))
}

fn create(call: &Call<'_>, place: Place) -> Result<Outcome, ApiError> {
    let (project, region) = (call.object::<Project>(0)?, place.region(call.snapshot)?);
    let body: wire::Instance = call.body()?;
    plan::check_shape(Instance::NOUN, &body.name, body.vcpus, body.memory)?;
    plan::check_region(project, region)?;
    let mut transaction = Transaction::default();
    let amounts = Amounts { instances: 1, vcpus: u64::from(body.vcpus), memory: body.memory, storage: 0 };
    Project::charge(project, amounts, call.snapshot, &mut transaction)?;
    let claim = Instance::name_claim(project.id(), &body.name);
    crud::refuse_taken::<Instance>(call.snapshot, &claim, None, &body.name)?;
    domain::refuse_recorded(project, &body.name, call.snapshot)?;
    let devices = plan::check_devices(&body.adapters, &body.volumes, (project, region), None, call.snapshot)?;
    let groups = plan::groups(&body.kwarantines, project.id(), call.snapshot)?;
    let wish = Wish {
        name: &body.name,
        amounts,
        agents: Some(&devices.agents),
        groups: &groups,
        own: None,
        except: None,
        from: None,
        planned: None,
    };
    let host = place.elect(&wish, call.snapshot)?;
    plan::reserve(host, call.snapshot, &mut transaction);
    let password = call.memo.machine_password(project.spec.root_password.as_ref())?;
    let new = New {
        name: body.name,
        description: text::description(body.description)?,
        memory: body.memory,
        vcpus: body.vcpus,
        uefi: body.uefi,
        movable: body.kmotion_enabled,
        os: devices.os,
        root_password: password.for_system(devices.os),
        compute: None,
    };
    let id = Id::generate();
    let instance = new.on(host, region, project.id(), (body.adapters, body.volumes));
    let parts = plan::announced(&instance, call.snapshot);
    mail::announce_instance(&instance, parts, password, call, &mut transaction);
    transaction.create(id, instance, call.now);
    for group in groups {
        let mut spec = group.spec.clone();
        spec.instances.push(id);
        transaction.update(group, spec);
    }
    let key = Key::of::<Instance>(id);
    Ok(Outcome::object(transaction, key).waiting(Wait::Settled(key)))
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let instance = call.object::<Instance>(0)?;
    let change: wire::InstanceUpdate = crud::changed_body(instance, &["id"], call)?;
    refuse_owned(instance, call, "change")?;
    let transaction = updated(instance, change, call)?;
    Ok(Outcome::object(transaction, instance.key()).waiting(Wait::Settled(instance.key())))
}

/// The transaction of a changed instance: quotas and room on its host are checked for what it grows.
pub(crate) fn updated(
    instance: &Object<Instance>,
    change: wire::InstanceUpdate,
    call: &Call<'_>,
) -> Result<Transaction, ApiError> {
    crud::refuse_deleting(instance)?;
    plan::refuse_going(instance)?;
    let current = &instance.spec;
    let project = call.find::<Project>(current.project)?;
    let name = crud::changed_name::<Instance>(&current.name, change.name)?;
    crud::refuse_taken::<Instance>(
        call.snapshot,
        &Instance::name_claim(current.project, &name),
        Some(instance.id()),
        &name,
    )?;
    domain::refuse_recorded(project, &name, call.snapshot)?;
    let spec = Instance {
        name,
        description: crud::changed_description(current.description.as_deref(), change.description)?,
        memory: change.memory.unwrap_or(current.memory),
        vcpus: change.vcpus.unwrap_or(current.vcpus),
        adapters: change.adapters.unwrap_or_else(|| current.adapters.clone()),
        volumes: change.volumes.unwrap_or_else(|| current.volumes.clone()),
        movable: change.kmotion_enabled.unwrap_or(current.movable),
        ..current.clone()
    };
    plan::check_shape(Instance::NOUN, &spec.name, spec.vcpus, spec.memory)?;
    let mut transaction = Transaction::default();
    let delta = spec.amounts().minus(current.amounts());
    if delta != Amounts::default() {
        Project::charge(project, delta, call.snapshot, &mut transaction)?;
        let host = call.find::<hypervisor::Hypervisor>(current.hypervisor)?;
        plan::reserve(host, call.snapshot, &mut transaction);
    }
    if spec.adapters != current.adapters || spec.volumes != current.volumes {
        let own = Some(instance.id());
        let devices =
            plan::check_devices(&spec.adapters, &spec.volumes, (project, spec.region), own, call.snapshot)?;
        let host = call.find::<hypervisor::Hypervisor>(current.hypervisor)?;
        if host.spec.agent().is_none_or(|agent| !devices.agents.contains(&agent)) {
            return Err(ApiError::invalid(format!(
                "the host of the instance `{}` does not reach all of these volumes",
                spec.name
            )));
        }
    }
    transaction.update(instance, spec);
    Ok(transaction)
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let instance = call.object::<Instance>(0)?;
    refuse_owned(instance, call, "delete")?;
    crud::refuse_used(instance, call.snapshot)?;
    let mut transaction = Transaction::default();
    plan::remove(instance, call.snapshot, call.now, &mut transaction);
    Ok(Outcome::done(transaction).waiting(Wait::Gone(instance.key())))
}

fn refuse_owned(instance: &Object<Instance>, call: &Call<'_>, verb: &str) -> Result<(), ApiError> {
    match instance.spec.compute.and_then(|id| call.snapshot.get::<Compute>(id)) {
        Some(compute) => Err(ApiError::conflict(format!(
            "the instance `{}` belongs to the {}; {verb} that instead",
            instance.spec.name,
            crud::describe(compute),
        ))),
        None => Ok(()),
    }
}
