//! Operations on hypervisors.

use freehold_store::{Entity, Key, Transaction};
use freehold_types::wire::AgentType;
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::Hypervisor;
use crate::agent::Agent;
use crate::cost::Price;
use crate::instance::Instance;
use crate::route::{Call, Link, Outcome, Permission::Operator, Row, Success};
use crate::zone::Zone;
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Hypervisor>);
const NEW: &[&str] = &["maintenance"];
const LINKS: &[Link] = &[Link::Body("agents", Agent::KIND)];

pub const ROWS: &[Row] = &[
    Row::new("GET", "/kaktus", "list_kaktuses", Operator, IDS, crud::list::<Hypervisor>)
        .query(crud::LIST)
        .new_fields(NEW),
    Row::new(
        "GET",
        "/zone/{zoneId}/kaktuses",
        "list_zone_kaktuses",
        Operator,
        IDS,
        crud::list_children::<Hypervisor>,
    )
    .query(crud::LIST)
    .new_fields(NEW),
    Row::new(
        "POST",
        "/zone/{zoneId}/kaktus",
        "create_zone_kaktus",
        Operator,
        Success::Created(schema_of::<wire::Hypervisor>),
        create,
    )
    .body(schema_of::<wire::Hypervisor>)
    .links(LINKS)
    .new_fields(NEW),
    Row::new("GET", "/kaktus/{kaktusId}", "read_kaktus", Operator, MODEL, crud::read::<Hypervisor>)
        .new_fields(NEW),
    Row::new("PUT", "/kaktus/{kaktusId}", "update_kaktus", Operator, MODEL, crud::update::<Hypervisor>)
        .body(schema_of::<wire::HypervisorUpdate>)
        .links(LINKS)
        .new_fields(NEW),
    Row::new(
        "DELETE",
        "/kaktus/{kaktusId}",
        "delete_kaktus",
        Operator,
        Success::Done,
        crud::delete::<Hypervisor>,
    ),
    Row::new(
        "GET",
        "/kaktus/{kaktusId}/caps",
        "read_kaktus_caps",
        Operator,
        Success::Model(schema_of::<wire::HypervisorCapabilities>),
        capabilities,
    ),
    Row::new("GET", "/kaktus/{kaktusId}/instances", "list_kaktus_instances", Operator, IDS, list_instances)
        .query(crud::LIST),
    Row::new(
        "PATCH",
        "/kaktus/{kaktusId}/maintenance/enable",
        "enable_kaktus_maintenance",
        Operator,
        Success::Done,
        |call| set_maintenance(call, true),
    ),
    Row::new(
        "PATCH",
        "/kaktus/{kaktusId}/maintenance/disable",
        "disable_kaktus_maintenance",
        Operator,
        Success::Done,
        |call| set_maintenance(call, false),
    ),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let zone = call.object::<Zone>(0)?.id();
    let body: wire::Hypervisor = call.body()?;
    text::name("hypervisor", &body.name)?;
    let claim = Hypervisor::name_claim(zone, &body.name);
    crud::refuse_taken::<Hypervisor>(call.snapshot, &claim, None, &body.name)?;
    let spec = Hypervisor {
        zone,
        name: body.name,
        description: text::description(body.description)?,
        cpu_cost: body.cpu_cost.map_or(Ok(Price::default()), Price::try_from)?,
        memory_cost: body.memory_cost.map_or(Ok(Price::default()), Price::try_from)?,
        overcommit_cpu_ratio: body.overcommit_cpu_ratio,
        overcommit_memory_ratio: body.overcommit_memory_ratio,
        agents: body.agents,
        maintenance: false,
        evacuation: None,
    };
    check(&spec, call)?;
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, spec, call.now);
    Ok(Outcome::object(transaction, Key::of::<Hypervisor>(id)))
}

/// Checks what create and update have in common.
pub(super) fn check(spec: &Hypervisor, call: &Call<'_>) -> Result<(), ApiError> {
    for (field, ratio) in [
        ("overcommit_cpu_ratio", spec.overcommit_cpu_ratio),
        ("overcommit_memory_ratio", spec.overcommit_memory_ratio),
    ] {
        if !(1..=1_000).contains(&ratio) {
            return Err(ApiError::invalid(format!("`{field}` is {ratio}, and must be 1 to 1000")));
        }
    }
    check_agents(&spec.agents, call)
}

/// Refuses agents that are not those of hypervisors, and repeated ones.
pub(crate) fn check_agents(agents: &[Id], call: &Call<'_>) -> Result<(), ApiError> {
    for (position, id) in agents.iter().enumerate() {
        let agent = call.find::<Agent>(*id)?;
        if agent.spec.role != AgentType::Hypervisor {
            return Err(ApiError::invalid(format!("the agent {} is not of type Kaktus", crud::named(agent))));
        }
        if agents.iter().take(position).any(|earlier| earlier == id) {
            return Err(ApiError::invalid(format!("the agent {} is listed twice", crud::named(agent))));
        }
    }
    Ok(())
}

fn capabilities(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let facts = call.object::<Hypervisor>(0)?.spec.facts(call.snapshot).cloned().unwrap_or_default();
    Outcome::json(&wire::HypervisorCapabilities {
        cpu: wire::HypervisorCpu {
            arch: facts.architecture,
            model: facts.cpu_model,
            vendor: facts.cpu_vendor,
            sockets: facts.sockets,
            cores: facts.cores,
            threads: facts.threads,
        },
        memory: facts.memory,
    })
}

/// The machines that are on the host; not those that are on their way to it.
fn list_instances(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let host = call.object::<Hypervisor>(0)?.id();
    let machines = call.snapshot.referrers::<Instance>(host);
    crud::list_of(call, machines.filter(|instance| instance.spec.hypervisor == host))
}

/// Ends an evacuation, too: what has gone does not come back.
fn set_maintenance(call: &Call<'_>, maintenance: bool) -> Result<Outcome, ApiError> {
    let hypervisor = call.object::<Hypervisor>(0)?;
    let mut transaction = Transaction::default();
    let spec = Hypervisor { maintenance, evacuation: None, ..hypervisor.spec.clone() };
    transaction.update(hypervisor, spec);
    Ok(Outcome::done(transaction))
}
