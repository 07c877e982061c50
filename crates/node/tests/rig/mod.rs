//! A node on a simulated host, and how to wait for it.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::time::Duration;

use freehold_node::host::sim::Sim;
use freehold_node::{Node, SimulatedNode, Status};
use freehold_types::Secret;
use freehold_types::agent::{ObjectKey, ObjectKind, Observed, Phase};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::fixture::{MACHINE, id, key};

pub(crate) fn node(sim: &Sim, state: Option<&TempDir>) -> Node {
    let mut setup = SimulatedNode::detached(id(1), Secret::new("key".to_owned()));
    setup.state = state.map(|state| state.path().to_owned());
    Node::simulated(setup, sim.host()).unwrap()
}

/// Ends a node as a kill would: nothing is ended gently. Its tasks are gone when this returns.
pub(crate) async fn kill(node: Node) {
    drop(node);
    sleep(Duration::from_millis(1)).await;
}

pub(crate) fn observed(status: &Status, key: ObjectKey) -> Option<&Observed> {
    status.objects.iter().find(|object| object.key == key)
}

pub(crate) fn all(status: &Status, phase: Phase) -> bool {
    status.idle && status.objects.iter().all(|object| object.phase == phase)
}

pub(crate) async fn settled(node: &Node, phase: Phase) -> Status {
    let bound = Duration::from_hours(1);
    let settled = timeout(bound, node.wait_until(|status| all(status, phase))).await;
    settled.unwrap_or_else(|_| panic!("never settled: {:#?}", node.status()))
}

pub(crate) async fn ready_or_gone(node: &Node) {
    let done = |object: &Observed| matches!(object.phase, Phase::Ready | Phase::Absent);
    let end = node.wait_until(|status| status.idle && status.objects.iter().all(done));
    let settled = timeout(Duration::from_hours(10), end).await;
    assert!(settled.is_ok(), "never settled: {:#?}", node.status());
}

pub(crate) fn machine_key(n: u64) -> ObjectKey {
    key(ObjectKind::Machine, MACHINE + n)
}
