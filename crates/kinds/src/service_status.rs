//! How the instances of a network service are, for members and operators. Beyond the contract. Pure.
//!
//! Members learn how their service is, by zones; which host it is on, and what its files are called, is for
//! operators.

use freehold_store::Snapshot;
use freehold_types::Id;
use freehold_types::agent::{Detail, Phase};
use freehold_types::service::{BackendState, TunnelState};
use schemars::JsonSchema;
use serde::Serialize;

use crate::access::Caller;
use crate::placed::PlacedStatus;
use crate::service::Member;
use crate::zone::Zone;

/// How a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ServiceStatus {
    /// Each instance is as it should be.
    pub(crate) ready: bool,
    pub(crate) instances: Vec<InstanceStatus>,
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ServiceInstanceStatus")]
pub(crate) struct InstanceStatus {
    /// Name of its zone.
    pub(crate) zone: String,
    /// `working`, `ready`, `failed` or `absent`.
    #[schemars(with = "String")]
    pub(crate) phase: Phase,
    /// Why it is not ready, and what to do; for operators.
    pub(crate) message: String,
    /// The host's agent; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<Id>,
    /// The virtual addresses that it holds.
    pub(crate) holds: Vec<String>,
    pub(crate) tunnels: Vec<TunnelStatus>,
    pub(crate) backends: Vec<BackendStatus>,
}

/// How an IPsec connection is at an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "TunnelStatus")]
pub(crate) struct TunnelStatus {
    pub(crate) ipsec: Id,
    pub(crate) up: bool,
    /// Why it is not.
    pub(crate) reason: String,
}

/// How a backend is, as an instance's checks see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "BackendStatus")]
pub(crate) struct BackendStatus {
    pub(crate) endpoint: String,
    pub(crate) address: String,
    pub(crate) healthy: bool,
    /// Connections so far.
    pub(crate) connections: u64,
}

/// The status of a service; `holds` names the addresses of an instance from what its node told.
pub(crate) fn of(
    members: &[Member],
    status: &PlacedStatus,
    generation: u64,
    caller: &Caller,
    snapshot: &Snapshot,
    holds: impl Fn(&Detail) -> Vec<String>,
) -> ServiceStatus {
    let instances: Vec<InstanceStatus> =
        members.iter().map(|member| instance(member, status, caller, snapshot, &holds)).collect();
    let agents: Vec<Id> = members.iter().filter_map(|member| member.agent(snapshot)).collect();
    ServiceStatus { ready: status.is_ready(&agents, generation), instances }
}

fn instance(
    member: &Member,
    status: &PlacedStatus,
    caller: &Caller,
    snapshot: &Snapshot,
    holds: &impl Fn(&Detail) -> Vec<String>,
) -> InstanceStatus {
    let agent = member.agent(snapshot);
    let state = agent.and_then(|agent| status.nodes.get(&agent));
    let detail = state.and_then(|state| state.detail.as_ref());
    let tunnels = match detail {
        Some(Detail::Gateway(gateway)) => gateway.tunnels.iter().map(tunnel).collect(),
        _ => Vec::new(),
    };
    let backends = match detail {
        Some(Detail::Balancer(balancer)) => balancer.backends.iter().map(backend).collect(),
        _ => Vec::new(),
    };
    let zone = snapshot.get::<Zone>(member.zone).map(|zone| zone.spec.name.clone());
    InstanceStatus {
        zone: zone.unwrap_or_default(),
        phase: state.map_or(Phase::Working, |state| state.phase),
        message: state
            .filter(|_| caller.is_operator())
            .map(|state| state.message.clone())
            .unwrap_or_default(),
        agent: agent.filter(|_| caller.is_operator()),
        holds: detail.map(holds).unwrap_or_default(),
        tunnels,
        backends,
    }
}

fn tunnel(state: &TunnelState) -> TunnelStatus {
    TunnelStatus { ipsec: state.id, up: state.up, reason: state.reason.clone() }
}

fn backend(state: &BackendState) -> BackendStatus {
    BackendStatus {
        endpoint: state.endpoint.clone(),
        address: state.address.to_string(),
        healthy: state.healthy,
        connections: state.connections,
    }
}
