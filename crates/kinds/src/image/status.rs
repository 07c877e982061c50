//! How far an image has come on the hosts that need it. Beyond the contract.

use freehold_store::Object;
use freehold_types::Id;
use freehold_types::agent::{Detail, Phase};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Image, virtual_size};
use crate::placed::NodeState;

/// How far an image has come. Amounts are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "TemplateStatus")]
pub(super) struct ImageStatus {
    /// Whether every host that needs it has it as it is now.
    pub(super) ready: bool,
    /// Absent until a host has fetched it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) virtual_size: Option<u64>,
    pub(super) nodes: Vec<ImageNodeStatus>,
}

/// An image on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "TemplateNodeStatus")]
pub(super) struct ImageNodeStatus {
    /// Whose host it is; shown to operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<Id>,
    /// `working`, `ready`, `failed` or `absent`.
    #[schemars(with = "String")]
    pub(super) phase: Phase,
    /// Why it is not ready, and what to do.
    pub(super) message: String,
    pub(super) virtual_size: u64,
    pub(super) fetched: u64,
    /// Absent while the source has not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
}

/// The status of an image on the hosts of `agents`, whose names only operators may know.
pub(super) fn status(image: &Object<Image>, agents: &[Id], is_operator: bool) -> ImageStatus {
    let mut ids: Vec<Id> = agents.to_vec();
    ids.extend(image.status.nodes.keys().filter(|id| !agents.contains(id)));
    let nodes = ids
        .into_iter()
        .map(|id| node_status(image.status.nodes.get(&id), is_operator.then_some(id)))
        .collect();
    ImageStatus {
        ready: !agents.is_empty() && image.status.is_ready(agents, image.meta.generation),
        virtual_size: virtual_size(image),
        nodes,
    }
}

fn node_status(state: Option<&NodeState>, agent: Option<Id>) -> ImageNodeStatus {
    let (virtual_size, fetched, total) = match state.and_then(|state| state.detail.as_ref()) {
        Some(Detail::Image { virtual_size, fetched, total }) => (*virtual_size, *fetched, *total),
        _ => (0, 0, None),
    };
    ImageNodeStatus {
        agent,
        phase: state.map_or(Phase::Working, |state| state.phase),
        message: state
            .map_or_else(|| "the host has not told of it yet".to_owned(), |state| state.message.clone()),
        virtual_size,
        fetched,
        total,
    }
}
