//! Operations on edges.

use freehold_store::{Entity, Key, Transaction};
use freehold_types::wire::AgentType;
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::Edge;
use crate::agent::Agent;
use crate::kind::Kind;
use crate::region::Region;
use crate::route::Permission::Operator;
use crate::route::{Call, Link, Outcome, Row, Success};
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Edge>);
const LINKS: &[Link] = &[Link::Body("agents", Agent::KIND)];

pub const ROWS: &[Row] = &[
    Row::new("GET", "/kiwi", "list_kiwis", Operator, IDS, crud::list::<Edge>).query(crud::LIST),
    Row::new(
        "GET",
        "/region/{regionId}/kiwis",
        "list_region_kiwis",
        Operator,
        IDS,
        crud::list_children::<Edge>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/region/{regionId}/kiwi",
        "create_region_kiwi",
        Operator,
        Success::Created(schema_of::<wire::Edge>),
        create,
    )
    .body(schema_of::<wire::Edge>)
    .links(LINKS),
    Row::new("GET", "/kiwi/{kiwiId}", "read_kiwi", Operator, MODEL, crud::read::<Edge>),
    Row::new("PUT", "/kiwi/{kiwiId}", "update_kiwi", Operator, MODEL, crud::update::<Edge>)
        .body(schema_of::<wire::EdgeUpdate>)
        .links(LINKS),
    Row::new("DELETE", "/kiwi/{kiwiId}", "delete_kiwi", Operator, Success::Done, crud::delete::<Edge>),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.object::<Region>(0)?.id();
    let wire::Edge { name, description, agents, .. } = call.body()?;
    text::name(Edge::NOUN, &name)?;
    crud::refuse_taken::<Edge>(call.snapshot, &Edge::name_claim(region, &name), None, &name)?;
    check_agents(&agents, None, call)?;
    let id = Id::generate();
    let description = text::description(description)?;
    let mut transaction = Transaction::default();
    transaction.create(id, Edge { region, name, description, agents }, call.now);
    Ok(Outcome::object(transaction, Key::of::<Edge>(id)))
}

/// Refuses agents that are not those of edges, repeated ones, and those of another edge.
pub(super) fn check_agents(agents: &[Id], own: Option<Id>, call: &Call<'_>) -> Result<(), ApiError> {
    for (position, id) in agents.iter().enumerate() {
        let agent = call.find::<Agent>(*id)?;
        let refused = |why: &str| Err(ApiError::invalid(format!("the agent {} {why}", crud::named(agent))));
        if agent.spec.role != AgentType::Edge {
            return refused("is not of type Kiwi; make one of that type for the edge");
        }
        if agents.iter().take(position).any(|earlier| earlier == id) {
            return refused("is listed twice");
        }
        let mut edges = call.snapshot.referrers::<Edge>(*id);
        if let Some(other) = edges.find(|edge| Some(edge.id()) != own) {
            return Err(ApiError::conflict(format!(
                "the agent {} is that of the {}; take it from there first",
                crud::named(agent),
                crud::describe(other),
            )));
        }
    }
    Ok(())
}
