//! A physical machine of the cluster: a simulated host, and the node that runs on it while it is up.

use freehold_node::host::sim::{Sim, SimConfig};
use freehold_node::{Link, Node, SimulatedNode};
use freehold_types::agent::Facts;
use freehold_types::{Id, Secret};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::cluster::PATIENCE;

/// What the hosts of a cluster tell of themselves, unless a test gives others: 32 threads, 128 GiB.
pub fn facts(name: &str) -> Facts {
    Facts { hostname: name.to_owned(), ..SimConfig::default().facts }
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    pub name: String,
    pub agent: Id,
    pub hypervisor: Id,
    pub key: Secret<String>,
    /// What exists on it; outlives its node.
    pub sim: Sim,
    node: Option<Node>,
    /// Its ledger, which outlives its node too.
    state: TempDir,
}

impl Machine {
    pub(crate) fn new(agent: Id, hypervisor: Id, key: Secret<String>, facts: Facts) -> Self {
        let name = facts.hostname.clone();
        let sim = Sim::new(SimConfig { facts, ..SimConfig::default() });
        let state = tempfile::tempdir().expect("a directory for the ledger");
        Self { name, agent, hypervisor, key, sim, node: None, state }
    }

    /// A node that can connect as this machine's agent with this key.
    pub fn dialler(&self, controller: &str, key: Secret<String>) -> SimulatedNode {
        SimulatedNode::new(self.agent, key, controller)
    }

    /// Starts the node, if it is not running.
    pub fn start(&mut self, controller: &str) {
        if self.node.is_none() {
            let state = Some(self.state.path().to_owned());
            let setup = SimulatedNode { state, ..self.dialler(controller, self.key.clone()) };
            self.node = Some(Node::simulated(setup, self.sim.host()).expect("the node starts"));
        }
    }

    /// Stops the node; machines and volumes stay.
    pub async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
    }

    /// The node, while it runs.
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Waits until the node says this of its connection.
    pub async fn link(&self, is: impl Fn(&Link) -> bool) {
        let node = self.node.as_ref().expect("the node runs");
        let seen = timeout(PATIENCE, node.wait_until(|status| is(&status.link))).await;
        assert!(seen.is_ok(), "{}: the connection stays {:?}", self.name, node.status().link);
    }
}
