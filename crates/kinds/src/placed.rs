//! Objects that have something on nodes: what is wanted there, what was found, and when they may go.

use std::collections::BTreeMap;

use freehold_store::{AnyObject, Object, Snapshot, Transaction};
use freehold_types::Id;
use freehold_types::agent::{Desired, Detail, ObjectKey, ObjectKind, Observed, Phase, Specification, State};
use serde::{Deserialize, Serialize};

use crate::agent;
use crate::environment::Environment;
use crate::kind::Kind;

/// What was found, per agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlacedStatus {
    #[serde(default)]
    pub nodes: BTreeMap<Id, NodeState>,
}

/// What one agent found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    pub phase: Phase,
    /// The generation of the object that this tells of.
    pub generation: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

impl From<&Observed> for NodeState {
    fn from(observed: &Observed) -> Self {
        let Observed { generation, phase, message, detail, .. } = observed.clone();
        Self { phase, generation, message, detail }
    }
}

impl NodeState {
    /// Whether nothing of this generation is left.
    pub fn is_gone(&self, generation: u64) -> bool {
        self.phase == Phase::Absent && self.generation >= generation
    }
}

impl PlacedStatus {
    /// What one of the agents found; for objects that are on one node only.
    pub fn first(&self) -> Option<&NodeState> {
        self.nodes.values().next()
    }

    /// What an agent found.
    pub fn on(&self, agent: Option<Id>) -> Option<&NodeState> {
        self.nodes.get(&agent?)
    }

    /// Whether an agent told that nothing of this generation is left on its node.
    pub fn is_gone(&self, agent: Id, generation: u64) -> bool {
        self.nodes.get(&agent).is_some_and(|state| state.is_gone(generation))
    }

    /// Whether each of the agents has made this generation ready.
    pub fn is_ready(&self, agents: &[Id], generation: u64) -> bool {
        agents.iter().all(|agent| {
            self.nodes
                .get(agent)
                .is_some_and(|state| state.phase == Phase::Ready && state.generation >= generation)
        })
    }
}

/// A kind that nodes make.
pub trait Placed: Kind<Status = PlacedStatus> {
    const OBJECT: ObjectKind;

    /// The agents on whose nodes it must be.
    fn agents(object: &Object<Self>, snapshot: &Snapshot) -> Vec<Id>;

    /// What it is made of on a node; `None` while something that it needs is missing.
    fn specification(
        object: &Object<Self>,
        agent: Id,
        snapshot: &Snapshot,
        environment: &Environment,
    ) -> Option<Specification>;

    /// Whether it must be on the node of an agent.
    fn is_assigned(object: &Object<Self>, agent: Id, snapshot: &Snapshot) -> bool {
        Self::agents(object, snapshot).contains(&agent)
    }

    /// Whether each node has made it what it should be.
    fn is_settled(object: &Object<Self>, snapshot: &Snapshot) -> bool {
        object.status.is_ready(&Self::agents(object, snapshot), object.meta.generation)
    }

    /// Whether it is wanted there, or only not removed yet.
    fn is_wanted(object: &Object<Self>, agent: Id, snapshot: &Snapshot) -> bool {
        let _ = (agent, snapshot);
        !object.is_deleting()
    }
}

/// The agents that matter to an object: those that must have it, and those that still do.
pub fn holders<K: Placed>(object: &Object<K>, snapshot: &Snapshot) -> Vec<Id> {
    let mut agents = K::agents(object, snapshot);
    for (agent, state) in &object.status.nodes {
        if state.phase != Phase::Absent && !agents.contains(agent) {
            agents.push(*agent);
        }
    }
    agents
}

/// What a node must make of an object.
pub fn desired<K: Placed>(
    object: &Object<K>,
    agent: Id,
    snapshot: &Snapshot,
    environment: &Environment,
) -> Option<Desired> {
    let assigned = K::is_assigned(object, agent, snapshot);
    let held = object.status.nodes.get(&agent).is_some_and(|state| state.phase != Phase::Absent);
    if !assigned && !held {
        return None;
    }
    let specification = K::specification(object, agent, snapshot, environment)?;
    let wanted = assigned && K::is_wanted(object, agent, snapshot);
    let state = if wanted { State::Present(specification) } else { State::Absent(specification) };
    let key = ObjectKey { kind: K::OBJECT, id: object.id() };
    Some(Desired { key, generation: object.meta.generation, state })
}

/// Whether an object on its way out has nothing left on any node, and nobody names it.
pub fn may_go<K: Placed>(object: &Object<K>, snapshot: &Snapshot) -> bool {
    object.is_deleting()
        && snapshot.blocker(object.id()).is_none()
        && holders(object, snapshot).into_iter().all(|agent| {
            // A node that never connected has nothing to remove.
            !agent::has_connected(agent, snapshot) || object.status.is_gone(agent, object.meta.generation)
        })
}

/// Notes what an agent found. Tells of an older generation than is known do not count.
pub fn observe<K: Placed>(object: &Object<K>, agent: Id, observed: &Observed, transaction: &mut Transaction) {
    // A store that was restored knows of fewer generations than its nodes.
    let newest = object.meta.generation;
    if observed.generation > newest {
        return;
    }
    let mut status = object.status.clone();
    let known = status.nodes.get(&agent).map(|known| known.generation);
    if known.is_some_and(|known| known <= newest && known > observed.generation) {
        return;
    }
    status.nodes.insert(agent, NodeState::from(observed));
    transaction.observe(object, status);
}

/// What the rest of the program does with objects of any kind that nodes make.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub kind: &'static str,
    pub object: ObjectKind,
    pub desired: fn(&dyn AnyObject, Id, &Snapshot, &Environment) -> Option<Desired>,
    pub holders: fn(&dyn AnyObject, &Snapshot) -> Vec<Id>,
    pub status: fn(&dyn AnyObject) -> Option<&PlacedStatus>,
    pub is_settled: fn(&dyn AnyObject, &Snapshot) -> bool,
    pub observe: fn(&dyn AnyObject, Id, &Observed, &mut Transaction),
    pub may_go: fn(&dyn AnyObject, &Snapshot) -> bool,
}

impl Row {
    /// The row of a kind. Its functions do nothing with objects of other kinds.
    pub const fn of<K: Placed>() -> Self {
        Self {
            kind: K::KIND,
            object: K::OBJECT,
            desired: |object, agent, snapshot, environment| {
                desired(object.downcast::<K>()?, agent, snapshot, environment)
            },
            holders: |object, snapshot| {
                object.downcast::<K>().map(|object| holders(object, snapshot)).unwrap_or_default()
            },
            status: |object| object.downcast::<K>().map(|object| &object.status),
            is_settled: |object, snapshot| {
                object.downcast::<K>().is_some_and(|object| K::is_settled(object, snapshot))
            },
            observe: |object, agent, observed, transaction| {
                if let Some(object) = object.downcast::<K>() {
                    observe(object, agent, observed, transaction);
                }
            },
            may_go: |object, snapshot| object.downcast::<K>().is_some_and(|object| may_go(object, snapshot)),
        }
    }
}
