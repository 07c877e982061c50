//! Hypervisor: a host that runs machines.

mod routes;

use freehold_store::{Amounts, Entity, Object, Reference, Snapshot};
use freehold_types::agent::Facts;
use freehold_types::size::GIB;
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::agent::{self, Agent};
use crate::cost::Price;
use crate::crud;
use crate::instance::Instance;
use crate::kind::{Kind, Scope, Updatable};
use crate::migration::evacuation;
use crate::route::Call;
use crate::zone::Zone;

pub use routes::ROWS;
pub(crate) use routes::check_agents;

/// What a hypervisor is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hypervisor {
    pub zone: Id,
    pub name: String,
    pub description: Option<String>,
    /// Monthly prices of the whole host.
    pub cpu_cost: Price,
    pub memory_cost: Price,
    pub overcommit_cpu_ratio: u32,
    pub overcommit_memory_ratio: u32,
    /// The first is the one that acts.
    pub agents: Vec<Id>,
    pub maintenance: bool,
    /// In maintenance: its machines are to be moved elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evacuation: Option<evacuation::Wish>,
}

impl Hypervisor {
    /// Keeps names of hypervisors of a zone apart.
    pub fn name_claim(zone: Id, name: &str) -> String {
        format!("hypervisor/name/{zone}/{name}")
    }

    /// The agent that acts on it.
    pub fn agent(&self) -> Option<Id> {
        self.agents.first().copied()
    }

    /// What its node told of it, once it has connected.
    pub fn facts<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Facts> {
        snapshot.get::<Agent>(self.agent()?)?.status.facts.as_ref()
    }

    /// Whether its node is connected.
    pub fn is_online(&self, snapshot: &Snapshot) -> bool {
        self.agent().is_some_and(|agent| agent::is_connected(agent, snapshot))
    }

    /// What may be placed on it in all, overcommitment included.
    pub fn capacity(&self, facts: &Facts) -> Amounts {
        Amounts {
            vcpus: u64::from(facts.threads) * u64::from(self.overcommit_cpu_ratio),
            memory: facts.memory.saturating_mul(u64::from(self.overcommit_memory_ratio)),
            ..Amounts::UNLIMITED
        }
    }

    /// How loaded it is: 2 per instance, 1 per virtual CPU, 1 per GiB; the lowest is elected.
    pub fn score(usage: &Amounts) -> u64 {
        2 * usage.instances + usage.vcpus + usage.memory / GIB
    }
}

impl Entity for Hypervisor {
    const KIND: &'static str = "hypervisor";
    const RANKED: bool = true;
    type Status = ();

    /// An agent acts on one host only, or its processors would count twice.
    fn claims(&self, _: Id) -> Vec<String> {
        let agent = self.agent().map(|agent| format!("hypervisor/agent/{agent}"));
        std::iter::once(Self::name_claim(self.zone, &self.name)).chain(agent).collect()
    }

    fn references(&self) -> Vec<Reference> {
        let agents = self.agents.iter().copied().map(Reference::strong::<Agent>);
        std::iter::once(Reference::strong::<Zone>(self.zone)).chain(agents).collect()
    }

    fn rank(&self, usage: &Amounts) -> Option<(Id, u64)> {
        Some((self.zone, Self::score(usage)))
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Hypervisor {
    const NOUN: &'static str = "hypervisor";
    const PARAMETER: &'static str = "kaktusId";
    type View = wire::Hypervisor;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Hypervisor {
        let spec = object.spec.clone();
        wire::Hypervisor {
            id: Some(object.id()),
            name: spec.name,
            description: spec.description,
            cpu_cost: Some(spec.cpu_cost.into()),
            memory_cost: Some(spec.memory_cost.into()),
            overcommit_cpu_ratio: spec.overcommit_cpu_ratio,
            overcommit_memory_ratio: spec.overcommit_memory_ratio,
            agents: spec.agents,
            maintenance: spec.maintenance,
        }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Operators
    }
}

impl Updatable for Hypervisor {
    type Update = wire::HypervisorUpdate;
    const READ_ONLY: &'static [&'static str] = &["id", "maintenance"];

    fn updated(
        object: &Object<Self>,
        change: wire::HypervisorUpdate,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let current = object.spec.clone();
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        crud::refuse_taken::<Self>(
            call.snapshot,
            &Self::name_claim(current.zone, &name),
            Some(object.id()),
            &name,
        )?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        let spec = Self {
            name,
            description,
            cpu_cost: change.cpu_cost.map_or(Ok(current.cpu_cost), Price::try_from)?,
            memory_cost: change.memory_cost.map_or(Ok(current.memory_cost), Price::try_from)?,
            overcommit_cpu_ratio: change.overcommit_cpu_ratio.unwrap_or(current.overcommit_cpu_ratio),
            overcommit_memory_ratio: change
                .overcommit_memory_ratio
                .unwrap_or(current.overcommit_memory_ratio),
            agents: change.agents.unwrap_or(current.agents),
            ..current
        };
        routes::check(&spec, call)?;
        if spec.agent() != object.spec.agent()
            && let Some(instance) = call.snapshot.referrers::<Instance>(object.id()).next()
        {
            return Err(ApiError::conflict(format!(
                "the acting agent of the hypervisor {} cannot change while machines are on it, such as the {}; \
                 list it first among the agents, or remove the machines",
                crud::named(object),
                crud::describe(instance),
            )));
        }
        Ok(spec)
    }
}
