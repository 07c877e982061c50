//! Operations on moves.

use std::time::Duration;

use freehold_store::{Object, Transaction};
use freehold_types::agent::Phase;
use freehold_types::wire::{self, MigrationState, MigrationStatus};
use freehold_types::{ApiError, Id};
use freehold_web::openapi::{Parameter, schema_of};

use super::{Plan, evacuation, is_expected, plan};
use crate::compute::Compute;
use crate::hypervisor::Hypervisor;
use crate::instance::{Instance, Stage};
use crate::route::Permission::Operator;
use crate::route::{Call, Link, Outcome, Reply, Row, Success, Wait};

/// How long a plan is good for.
const VALIDITY: Duration = Duration::from_hours(1);

const PLANNED: Success = Success::Created(schema_of::<wire::MigrationPlan>);
const STATUS: Success = Success::Model(schema_of::<MigrationStatus>);
const LINKS: &[Link] = &[Link::Body("kaktus", <Hypervisor as freehold_store::Entity>::KIND)];

pub const ROWS: &[Row] = &[
    Row::new(
        "POST",
        "/instance/{instanceId}/kmotion/plan",
        "plan_instance_k_motion",
        Operator,
        PLANNED,
        |call| make(call, call.object::<Instance>(0)?),
    )
    .body(schema_of::<wire::MigrationRequest>)
    .links(LINKS),
    Row::new(
        "PATCH",
        "/instance/{instanceId}/kmotion/commit",
        "commit_instance_k_motion",
        Operator,
        Success::Done,
        |call| commit(call, call.object::<Instance>(0)?),
    )
    .body(schema_of::<wire::MigrationCommit>),
    Row::new("GET", "/instance/{instanceId}/kmotion", "read_instance_k_motion", Operator, STATUS, |call| {
        Outcome::json(&status(call.object::<Instance>(0)?, call))
    })
    .extension(),
    Row::new(
        "POST",
        "/kompute/{komputeId}/kmotion/plan",
        "plan_kompute_k_motion",
        Operator,
        PLANNED,
        |call| make(call, machine(call)?),
    )
    .body(schema_of::<wire::MigrationRequest>)
    .links(LINKS),
    Row::new(
        "PATCH",
        "/kompute/{komputeId}/kmotion/commit",
        "commit_kompute_k_motion",
        Operator,
        Success::Done,
        |call| commit(call, machine(call)?),
    )
    .body(schema_of::<wire::MigrationCommit>),
    Row::new("GET", "/kompute/{komputeId}/kmotion", "read_kompute_k_motion", Operator, STATUS, |call| {
        Outcome::json(&status(machine(call)?, call))
    })
    .extension(),
    Row::new(
        "GET",
        "/kaktus/{kaktusId}/evacuation",
        "read_kaktus_evacuation",
        Operator,
        Success::Model(schema_of::<wire::Evacuation>),
        read_evacuation,
    )
    .query(&[LIVE])
    .extension(),
    Row::new(
        "PATCH",
        "/kaktus/{kaktusId}/evacuation",
        "evacuate_kaktus",
        Operator,
        Success::Model(schema_of::<wire::Evacuation>),
        evacuate,
    )
    .query(&[DEADLINE, LIVE])
    .extension(),
];

const DEADLINE: Parameter = Parameter {
    name: "deadline",
    kind: "integer",
    description: "Seconds after which no machine is sent away any more; a day when absent.",
};
const LIVE: Parameter = Parameter {
    name: "live",
    kind: "boolean",
    description: "Whether guests go on running; they do when absent.",
};

fn machine<'a>(call: &'a Call<'_>) -> Result<&'a Object<Instance>, ApiError> {
    call.find::<Instance>(call.object::<Compute>(0)?.spec.instance)
}

fn make(call: &Call<'_>, instance: &Object<Instance>) -> Result<Outcome, ApiError> {
    let request: wire::MigrationRequest = call.body()?;
    plan::check_movable(instance, request.live, call.snapshot)?;
    let target = plan::target(instance, &request, call.snapshot)?.id();
    let (source, live) = (instance.spec.hypervisor, request.live);
    let id = Id::generate();
    let mut transaction = Transaction::default();
    let expires_at = call.now + VALIDITY;
    transaction.create(id, Plan { instance: instance.id(), source, target, live, expires_at }, call.now);
    let answer = wire::MigrationPlan { id: Some(id), instance: instance.id(), source, target, live };
    let Outcome { reply, .. } = Outcome::json(&answer)?;
    Ok(Outcome { transaction, reply, ..Outcome::default() })
}

fn commit(call: &Call<'_>, instance: &Object<Instance>) -> Result<Outcome, ApiError> {
    let wire::MigrationCommit { plan: text } = call.body()?;
    if text.is_empty() {
        return Err(ApiError::malformed(
            "`plan` is empty; give the id of a plan, which `kmotion/plan` makes",
        ));
    }
    let found = text.parse::<Id>().ok().and_then(|id| call.snapshot.get::<Plan>(id));
    let found = found.filter(|plan| call.now < plan.spec.expires_at).ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no migration plan with the id {text}; each is good for one commit within the hour, so make a new one"
        ))
    })?;
    let Plan { source, target, live, .. } = found.spec;
    if found.spec.instance != instance.id() {
        return Err(ApiError::invalid(format!(
            "the plan {text} is for another machine than `{}`",
            instance.spec.name
        )));
    }
    if instance.spec.hypervisor != source {
        return Err(ApiError::invalid(format!(
            "the instance `{}` is not on the host that the plan {text} starts from any more; make a new one",
            instance.spec.name
        )));
    }
    plan::check_movable(instance, live, call.snapshot)?;
    let request = wire::MigrationRequest {
        destination: wire::MigrationDestination::Manual,
        kaktus: Some(target),
        live,
    };
    let target = plan::target(instance, &request, call.snapshot)?;
    let mut transaction = Transaction::default();
    plan::begin(instance, target, live, (call.snapshot, call.now), &mut transaction);
    transaction.delete(found);
    Ok(Outcome { transaction, reply: Reply::Empty, ..Outcome::default() }
        .waiting(Wait::Settled(instance.key())))
}

fn status(instance: &Object<Instance>, call: &Call<'_>) -> MigrationStatus {
    let spec = &instance.spec;
    if let Some(target) = spec.going_to() {
        let live = spec
            .moving
            .as_ref()
            .is_some_and(|moving| matches!(moving.stage, Stage::Going { live: true, .. }));
        let expected = is_expected(instance, call.snapshot);
        let host = call.snapshot.get::<Hypervisor>(target).and_then(|host| host.spec.agent());
        let told = instance.status.on(host).filter(|state| state.phase != Phase::Ready);
        return MigrationStatus {
            state: if expected { MigrationState::Moving } else { MigrationState::Preparing },
            source: Some(spec.hypervisor),
            target: Some(target),
            live: Some(live),
            message: told.map(|state| state.message.clone()).unwrap_or_default(),
        };
    }
    match &spec.moved {
        None => MigrationStatus {
            state: MigrationState::None,
            source: None,
            target: None,
            live: None,
            message: String::new(),
        },
        Some(moved) => MigrationStatus {
            state: if moved.failure.is_some() { MigrationState::Failed } else { MigrationState::Done },
            source: Some(moved.source),
            target: Some(moved.target),
            live: Some(moved.live),
            message: moved.failure.clone().unwrap_or_default(),
        },
    }
}

fn read_evacuation(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let host = call.object::<Hypervisor>(0)?;
    let asked = call.query.flag("live")?;
    let live = asked.unwrap_or_else(|| host.spec.evacuation.as_ref().is_none_or(|wish| wish.live));
    Outcome::json(&evacuation::outlook(host, live, call.snapshot, call.now))
}

/// Puts the host into maintenance, and has its machines moved elsewhere.
fn evacuate(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let host = call.object::<Hypervisor>(0)?;
    let live = call.query.flag("live")?.unwrap_or(true);
    let seconds = call.query.parse::<u64>("deadline", "a number of seconds")?;
    let span = seconds.map_or(evacuation::USUAL, Duration::from_secs);
    if span.is_zero() || span > evacuation::LONGEST {
        let most = evacuation::LONGEST.as_secs();
        return Err(ApiError::malformed(format!("`deadline` is in seconds, and must be 1 to {most}")));
    }
    let mut transaction = Transaction::default();
    let evacuation = Some(evacuation::Wish { live, until: call.now + span });
    transaction.update(host, Hypervisor { maintenance: true, evacuation, ..host.spec.clone() });
    let mut outlook = evacuation::outlook(host, live, call.snapshot, call.now);
    outlook.active = !outlook.moves.is_empty() || !outlook.stuck.is_empty();
    outlook.deadline = Some((call.now + span).as_seconds());
    let Outcome { reply, .. } = Outcome::json(&outlook)?;
    Ok(Outcome { transaction, reply, ..Outcome::default() })
}
