//! Operations on anti-affinity groups.

use freehold_store::{Key, Object, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::Group;
use crate::compute::Compute;
use crate::instance::Instance;
use crate::kind::Kind;
use crate::project::Project;
use crate::route::{Call, Outcome, Permission::Account, Row, Success, not_found};
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::AntiAffinityGroup>);

pub const ROWS: &[Row] = &[
    Row::new("GET", "/kwarantine", "list_kwarantines", Account, IDS, crud::list::<Group>).query(crud::LIST),
    Row::new(
        "GET",
        "/project/{projectId}/kwarantines",
        "list_project_kwarantines",
        Account,
        IDS,
        crud::list_children::<Group>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/project/{projectId}/kwarantine",
        "create_project_kwarantine",
        Account,
        Success::Created(schema_of::<wire::AntiAffinityGroup>),
        create,
    )
    .body(schema_of::<wire::AntiAffinityGroup>),
    Row::new("GET", "/kwarantine/{kwarantineId}", "read_kwarantine", Account, MODEL, crud::read::<Group>),
    Row::new("PUT", "/kwarantine/{kwarantineId}", "update_kwarantine", Account, MODEL, crud::update::<Group>)
        .body(schema_of::<wire::AntiAffinityGroupUpdate>),
    Row::new(
        "DELETE",
        "/kwarantine/{kwarantineId}",
        "delete_kwarantine",
        Account,
        Success::Done,
        crud::delete::<Group>,
    ),
    Row::new(
        "PUT",
        "/kwarantine/{kwarantineId}/instance/{instanceId}",
        "add_kwarantine_instance",
        Account,
        MODEL,
        |call| change_instance(call, true),
    ),
    Row::new(
        "DELETE",
        "/kwarantine/{kwarantineId}/instance/{instanceId}",
        "remove_kwarantine_instance",
        Account,
        Success::Done,
        |call| change_instance(call, false),
    ),
    Row::new(
        "PUT",
        "/kwarantine/{kwarantineId}/kompute/{komputeId}",
        "add_kwarantine_kompute",
        Account,
        MODEL,
        |call| change_compute(call, true),
    ),
    Row::new(
        "DELETE",
        "/kwarantine/{kwarantineId}/kompute/{komputeId}",
        "remove_kwarantine_kompute",
        Account,
        Success::Done,
        |call| change_compute(call, false),
    ),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let project = call.object::<Project>(0)?.id();
    let body: wire::AntiAffinityGroup = call.body()?;
    text::name(Group::NOUN, &body.name)?;
    crud::refuse_taken::<Group>(call.snapshot, &Group::name_claim(project, &body.name), None, &body.name)?;
    let group = Group {
        project,
        name: body.name,
        description: text::description(body.description)?,
        policy: body.policy,
        instances: Vec::new(),
        computes: Vec::new(),
    };
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, group, call.now);
    Ok(Outcome::object(transaction, Key::of::<Group>(id)))
}

fn change_instance(call: &Call<'_>, wanted: bool) -> Result<Outcome, ApiError> {
    let (group, member) = (call.object::<Group>(0)?, call.object::<Instance>(1)?);
    if member.spec.project != group.spec.project {
        return Err(not_found::<Instance>(member.id()));
    }
    Ok(change(group, |group| &mut group.instances, member.id(), wanted))
}

fn change_compute(call: &Call<'_>, wanted: bool) -> Result<Outcome, ApiError> {
    let (group, member) = (call.object::<Group>(0)?, call.object::<Compute>(1)?);
    if member.spec.project != group.spec.project {
        return Err(not_found::<Compute>(member.id()));
    }
    Ok(change(group, |group| &mut group.computes, member.id(), wanted))
}

fn change(group: &Object<Group>, list: fn(&mut Group) -> &mut Vec<Id>, member: Id, wanted: bool) -> Outcome {
    let mut spec = group.spec.clone();
    let members = list(&mut spec);
    members.retain(|id| *id != member);
    if wanted {
        members.push(member);
    }
    let mut transaction = Transaction::default();
    transaction.update(group, spec);
    if wanted { Outcome::object(transaction, group.key()) } else { Outcome::done(transaction) }
}
