//! Operations on agents.

use freehold_store::{Key, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::Agent;
use crate::mail::{self, texts};
use crate::route::{Call, Outcome, Permission::Operator, Row, Success};
use crate::token::{self, Owner, Token};
use crate::{crud, text};

const MODEL: Success = Success::Model(schema_of::<wire::Agent>);

pub const ROWS: &[Row] = &[
    Row::new(
        "GET",
        "/agent",
        "list_agents",
        Operator,
        Success::Model(schema_of::<Vec<Id>>),
        crud::list::<Agent>,
    )
    .query(crud::LIST),
    Row::new("POST", "/agent", "create_agent", Operator, Success::Created(schema_of::<wire::Agent>), create)
        .body(schema_of::<wire::Agent>),
    Row::new("GET", "/agent/{agentId}", "read_agent", Operator, MODEL, crud::read::<Agent>),
    Row::new("PUT", "/agent/{agentId}", "update_agent", Operator, MODEL, crud::update::<Agent>)
        .body(schema_of::<wire::AgentUpdate>),
    Row::new("DELETE", "/agent/{agentId}", "delete_agent", Operator, Success::Done, delete),
    Row::new(
        "PATCH",
        "/agent/{agentId}/token",
        "set_agent_api_token",
        Operator,
        Success::Model(schema_of::<wire::ApiToken>),
        set_token,
    )
    .query(token::EXPIRY),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wire::Agent { name, description, r#type: role, .. } = call.body()?;
    text::name("agent", &name)?;
    crud::refuse_taken::<Agent>(call.snapshot, &Agent::name_claim(&name), None, &name)?;
    let id = Id::generate();
    let description = text::description(description)?;
    let mut transaction = Transaction::default();
    transaction.create(id, Agent { name, description, role }, call.now);
    Ok(Outcome::object(transaction, Key::of::<Agent>(id)))
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let agent = call.object::<Agent>(0)?;
    crud::refuse_used(agent, call.snapshot)?;
    let mut transaction = Transaction::default();
    token::revoke(agent.id(), call.snapshot, &mut transaction);
    transaction.delete(agent);
    Ok(Outcome::done(transaction))
}

fn set_token(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let agent = call.object::<Agent>(0)?;
    let mut transaction = Transaction::default();
    let issued = token::issue(Owner::Agent(agent.id()), &agent.spec.name, call, &mut transaction)?;
    let letter = texts::agent_key(agent.id(), &agent.spec, &issued, call.environment);
    mail::queue(&mut transaction, letter, call.now);
    Ok(Outcome::object(transaction, Key::of::<Token>(issued.id)))
}
