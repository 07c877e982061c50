//! Edge: a network node of a region. It answers for the names of every project and region.

mod routes;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::region::Region;
use crate::route::Call;

pub use routes::ROWS;

/// What an edge is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    pub region: Id,
    pub name: String,
    pub description: Option<String>,
    pub agents: Vec<Id>,
}

impl Edge {
    /// Keeps names of edges of a region apart.
    pub fn name_claim(region: Id, name: &str) -> String {
        format!("edge/name/{region}/{name}")
    }
}

/// The agents of all edges.
pub(crate) fn agents(snapshot: &Snapshot) -> Vec<Id> {
    snapshot.all::<Edge>().flat_map(|edge| edge.spec.agents.iter().copied()).collect()
}

impl Entity for Edge {
    const KIND: &'static str = "edge";
    type Status = ();

    /// An agent is that of one edge.
    fn claims(&self, _: Id) -> Vec<String> {
        let agents = self.agents.iter().map(|agent| format!("edge/agent/{agent}"));
        std::iter::once(Self::name_claim(self.region, &self.name)).chain(agents).collect()
    }

    fn references(&self) -> Vec<Reference> {
        let agents = self.agents.iter().copied().map(Reference::strong::<Agent>);
        std::iter::once(Reference::strong::<Region>(self.region)).chain(agents).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Edge {
    const NOUN: &'static str = "edge";
    const PARAMETER: &'static str = "kiwiId";
    type View = wire::Edge;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Edge {
        let Self { name, description, agents, .. } = object.spec.clone();
        wire::Edge { id: Some(object.id()), name, description, agents }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Operators
    }
}

impl Updatable for Edge {
    type Update = wire::EdgeUpdate;

    fn updated(object: &Object<Self>, change: wire::EdgeUpdate, call: &Call<'_>) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        let claim = Self::name_claim(current.region, &name);
        crud::refuse_taken::<Self>(call.snapshot, &claim, Some(object.id()), &name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        let agents = change.agents.unwrap_or_else(|| current.agents.clone());
        routes::check_agents(&agents, Some(object.id()), call)?;
        Ok(Self { region: current.region, name, description, agents })
    }
}
