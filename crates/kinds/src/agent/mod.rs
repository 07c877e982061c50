//! Agent: the identity that a node connects with.

mod routes;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Snapshot};
use freehold_types::agent::Facts;
use freehold_types::wire::AgentType;
use freehold_types::{ApiError, Id, Timestamp, wire};
use serde::{Deserialize, Serialize};

use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::route::Call;

pub use routes::ROWS;

/// What an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub name: String,
    pub description: Option<String>,
    pub role: AgentType,
}

/// What was seen of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    pub connected: bool,
    /// When it last connected, or was last seen; none: never.
    pub since: Option<Timestamp>,
    pub facts: Option<Facts>,
}

impl Agent {
    /// Keeps names of agents apart.
    pub fn name_claim(name: &str) -> String {
        format!("agent/name/{name}")
    }
}

/// Whether an agent has ever connected. On a node that never did there is nothing to remove.
pub fn has_connected(agent: Id, snapshot: &Snapshot) -> bool {
    snapshot.get::<Agent>(agent).is_some_and(|agent| agent.status.since.is_some())
}

/// Whether an agent is connected now.
pub fn is_connected(agent: Id, snapshot: &Snapshot) -> bool {
    snapshot.get::<Agent>(agent).is_some_and(|agent| agent.status.connected)
}

impl Entity for Agent {
    const KIND: &'static str = "agent";
    type Status = AgentStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(&self.name)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Agent {
    const NOUN: &'static str = "agent";
    const PARAMETER: &'static str = "agentId";
    type View = wire::Agent;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Agent {
        let Self { name, description, role } = object.spec.clone();
        wire::Agent { id: Some(object.id()), name, description, r#type: role }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Operators
    }
}

impl Updatable for Agent {
    type Update = wire::AgentUpdate;

    fn updated(object: &Object<Self>, change: wire::AgentUpdate, call: &Call<'_>) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        crud::refuse_taken::<Self>(call.snapshot, &Self::name_claim(&name), Some(object.id()), &name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        Ok(Self { name, description, role: current.role })
    }
}
