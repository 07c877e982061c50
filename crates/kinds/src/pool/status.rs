//! What the nodes found of a pool, for operators. Beyond the contract.

use freehold_store::Object;
use freehold_types::Id;
use freehold_types::agent::Detail;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Pool, Space, space};
use crate::placed::NodeState;

/// The space of a pool, and how far each host has come with it. Amounts are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "StoragePoolStatus")]
pub(super) struct PoolStatus {
    pub(super) capacity: u64,
    pub(super) allocated: u64,
    pub(super) available: u64,
    pub(super) nodes: Vec<PoolNodeStatus>,
}

/// A pool on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "StoragePoolNodeStatus")]
pub(super) struct PoolNodeStatus {
    pub(super) agent: Id,
    /// `working`, `ready`, `failed` or `absent`.
    #[schemars(with = "String")]
    pub(super) phase: freehold_types::agent::Phase,
    /// Why it is not ready, and what to do.
    pub(super) message: String,
    pub(super) capacity: u64,
    pub(super) allocated: u64,
    pub(super) available: u64,
}

/// The status of a pool.
pub(super) fn status(pool: &Object<Pool>) -> PoolStatus {
    let Space { capacity, allocated, available } = space(pool);
    let nodes = pool.status.nodes.iter().map(|(agent, state)| node_status(*agent, state)).collect();
    PoolStatus { capacity, allocated, available, nodes }
}

fn node_status(agent: Id, state: &NodeState) -> PoolNodeStatus {
    let (capacity, allocated, available) = match state.detail {
        Some(Detail::Pool { capacity, allocated, available }) => (capacity, allocated, available),
        _ => (0, 0, 0),
    };
    PoolNodeStatus {
        agent,
        phase: state.phase,
        message: state.message.clone(),
        capacity,
        allocated,
        available,
    }
}
