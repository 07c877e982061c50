//! What a machine is doing, in the words of the contract.

use freehold_store::{Object, Snapshot};
use freehold_types::agent::{Detail, MachineDetail, Phase};
use freehold_types::wire::InstanceState;

use super::Instance;
use crate::hypervisor::Hypervisor;

/// The state as its node last told it. A machine that no node has told of has none.
pub fn wire_state(instance: &Object<Instance>, snapshot: &Snapshot) -> InstanceState {
    let answer =
        |state: &str, reason: &str| InstanceState { state: state.to_owned(), reason: reason.to_owned() };
    let online = snapshot
        .get::<Hypervisor>(instance.spec.hypervisor)
        .is_some_and(|host| host.spec.is_online(snapshot));
    match instance.status.on(instance.spec.agent(snapshot)) {
        _ if !online => answer("No State", "Unknown"),
        None => answer("No State", "Starting Up"),
        Some(state) => match (&state.detail, state.phase) {
            (Some(Detail::Machine(MachineDetail { state, reason, .. })), _) => answer(state, reason),
            (_, Phase::Failed) => answer("No State", "Failed"),
            (_, Phase::Working) => answer("No State", "Starting Up"),
            (_, Phase::Ready | Phase::Absent) => answer("No State", "Unknown"),
        },
    }
}

/// Whether its node told that it runs.
pub(crate) fn is_running(instance: &Object<Instance>, snapshot: &Snapshot) -> bool {
    is_in(instance, &["Running", "Blocked"], snapshot)
}

/// Whether its node told that it is frozen.
pub(crate) fn is_paused(instance: &Object<Instance>, snapshot: &Snapshot) -> bool {
    is_in(instance, &["Paused", "PM Suspended"], snapshot)
}

fn is_in(instance: &Object<Instance>, states: &[&str], snapshot: &Snapshot) -> bool {
    instance.status.on(instance.spec.agent(snapshot)).is_some_and(|state| match &state.detail {
        Some(Detail::Machine(detail)) => states.contains(&detail.state.as_str()),
        _ => false,
    })
}
