//! Public models: moves of machines between hosts, and what a host's evacuation is at.

use crate::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a machine is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum MigrationDestination {
    /// To the host that the request names.
    Manual,
    /// To the best host of its zone.
    Zone,
    /// To the best host of its region.
    Region,
    /// As `region`.
    #[default]
    Auto,
}

/// A wish to move a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KMotionPlanRequest")]
#[serde(deny_unknown_fields)]
pub struct MigrationRequest {
    #[serde(default)]
    pub destination: MigrationDestination,
    /// The host to go to, with the destination `manual` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kaktus: Option<Id>,
    /// Whether the guest goes on running.
    #[serde(default = "default_live")]
    pub live: bool,
}

const fn default_live() -> bool {
    true
}

/// What would be done; good for one commit, within the hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KMotionPlan")]
pub struct MigrationPlan {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub instance: Id,
    /// The host that it is on.
    pub source: Id,
    /// The host that it would go to.
    pub target: Id,
    pub live: bool,
}

/// The plan that is to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KMotionCommitRequest")]
#[serde(deny_unknown_fields)]
pub struct MigrationCommit {
    pub plan: String,
}

/// How far a move is, or how the last one ended. Beyond the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MigrationStatus")]
pub struct MigrationStatus {
    /// `none`, `preparing`, `moving`, `done` or `failed`.
    pub state: MigrationState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// What it waits for, or why it failed.
    #[serde(default)]
    pub message: String,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MigrationState {
    /// The machine was never moved.
    None,
    /// The target makes disks and networks.
    Preparing,
    /// Under way.
    Moving,
    Done,
    /// The machine is where it was.
    Failed,
}

/// What an evacuation of a host does, or would do. Beyond the contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Evacuation")]
pub struct Evacuation {
    /// Whether it has been asked for and is under way.
    pub active: bool,
    /// When it gives up, in seconds of the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// Machines that move, or would, with their targets.
    pub moves: Vec<MigrationPlan>,
    /// Machines that cannot move now.
    pub stuck: Vec<EvacuationObstacle>,
}

/// A machine that cannot move, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EvacuationObstacle")]
pub struct EvacuationObstacle {
    pub instance: Id,
    pub name: String,
    pub reason: String,
}
