//! The cluster: one controller and its machines.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use freehold_controller::{Controller, ControllerConfig};
use freehold_kinds::agent::Agent;
use freehold_kinds::environment::Environment;
use freehold_kinds::mail::Mail;
use freehold_kinds::network::Network;
use freehold_kinds::placed::{self, Placed};
use freehold_kinds::slice;
use freehold_store::{Backend, Memory, Object, Sealer, Snapshot, Sqlite};
use freehold_types::agent::Facts;
use freehold_types::{Id, Secret};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::client::Client;
use crate::machine::Machine;

/// Opens everything.
pub const MASTER_KEY: &str = "master";

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Where the state is kept.
#[derive(Debug)]
pub enum Medium {
    Memory(Memory),
    Sqlite(TempDir),
}

impl Medium {
    /// In memory.
    pub fn memory() -> Self {
        Self::Memory(Memory::default())
    }

    /// In a file that goes with the cluster.
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a directory for the store"))
    }

    fn open(&self) -> Box<dyn Backend> {
        match self {
            Self::Memory(memory) => Box::new(memory.clone()),
            Self::Sqlite(directory) => {
                let path = directory.path().join("store.db");
                Box::new(Sqlite::open(&path, Sealer::new(&[7; 32])).expect("the store opens"))
            }
        }
    }
}

/// A controller, and machines whose nodes connect to it.
#[derive(Debug)]
pub struct Cluster {
    controller: Option<Controller>,
    config: ControllerConfig,
    environment: Environment,
    medium: Medium,
    /// By name.
    pub machines: BTreeMap<String, Machine>,
}

impl Cluster {
    /// A controller in memory, without machines.
    pub async fn start() -> Self {
        Self::with(Medium::memory(), ControllerConfig::default()).await
    }

    /// A controller with settings. It listens on a free port of loopback, whatever they say.
    pub async fn with(medium: Medium, config: ControllerConfig) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let environment =
            Environment { admin_email: Some("operator@example.org".to_owned()), ..Environment::for_tests() };
        let config = ControllerConfig { listen, ..config };
        let mut cluster = Self { controller: None, config, environment, medium, machines: BTreeMap::new() };
        cluster.start_controller().await;
        cluster
    }

    /// Starts the controller again, on the same address and the same state.
    pub async fn start_controller(&mut self) {
        let (config, environment) = (self.config.clone(), self.environment.clone());
        let controller = Controller::start(config, environment, self.medium.open()).await;
        let controller = controller.expect("the controller starts");
        self.config.listen = controller.address();
        self.controller = Some(controller);
    }

    /// Stops the controller; the nodes go on without it.
    pub async fn stop_controller(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.stop().await;
        }
    }

    /// The controller, which must be running.
    pub fn controller(&self) -> &Controller {
        self.controller.as_ref().expect("the controller runs")
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("http://{}", self.config.listen)
    }

    /// A client without credentials.
    pub fn anonymous(&self) -> Client {
        Client::new(self.url())
    }

    /// A client with the master key.
    pub fn operator(&self) -> Client {
        self.anonymous().with_key(MASTER_KEY)
    }

    /// The state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.controller().store().snapshot()
    }

    /// Calls an operation in process, with the master key; it must work.
    #[track_caller]
    pub fn call(&self, operation: &str, ids: &[Id], query: &str, body: Value) -> impl Future<Output = Value> {
        let (engine, operation) = (self.controller().engine().clone(), operation.to_owned());
        let (ids, query) = (ids.to_vec(), query.to_owned());
        async move {
            let answer = engine.call(&operation, &ids, &query, body).await;
            answer.unwrap_or_else(|error| panic!("{operation} was refused: {error}"))
        }
    }

    /// Makes an object in process, with the master key; the id is that of the answer.
    pub async fn make(&self, operation: &str, ids: &[Id], query: &str, body: Value) -> Id {
        let answer = self.call(operation, ids, query, body).await;
        id_in(&answer)
    }

    /// A machine in a zone: its agent with a key, its hypervisor, and its node, connected.
    pub async fn machine(&mut self, zone: Id, facts: Facts) -> &mut Machine {
        let name = facts.hostname.clone();
        let agent = self.make("create_agent", &[], "", json!({ "name": name, "type": "Kaktus" })).await;
        let key = self.agent_key(agent, "").await;
        let body = json!({ "name": name, "agents": [agent] });
        let hypervisor = self.make("create_zone_kaktus", &[zone], "", body).await;
        let mut machine = Machine::new(agent, hypervisor, key, facts);
        machine.start(&self.url());
        self.machines.insert(name.clone(), machine);
        self.until("the node connects", |snapshot| {
            snapshot
                .get::<Agent>(agent)
                .is_some_and(|agent| agent.status.connected && agent.status.facts.is_some())
        })
        .await;
        self.named_mut(&name)
    }

    /// A machine by name.
    #[track_caller]
    pub fn named(&self, name: &str) -> &Machine {
        self.machines.get(name).unwrap_or_else(|| panic!("no machine is called {name}"))
    }

    /// A machine by name, to start and stop it.
    #[track_caller]
    pub fn named_mut(&mut self, name: &str) -> &mut Machine {
        self.machines.get_mut(name).unwrap_or_else(|| panic!("no machine is called {name}"))
    }

    /// Starts the node of a machine again, and waits until it is connected.
    pub async fn machine_up(&mut self, name: &str) {
        let url = self.url();
        self.named_mut(name).start(&url);
        let agent = self.named(name).agent;
        self.presence(agent, true).await;
    }

    /// Stops the node of a machine, and waits until the controller knows.
    pub async fn machine_down(&mut self, name: &str) {
        self.named_mut(name).stop().await;
        let agent = self.named(name).agent;
        self.presence(agent, false).await;
    }

    /// Waits until an agent is connected, or not.
    pub async fn presence(&self, agent: Id, connected: bool) {
        self.until("the presence of a node is as expected", |snapshot| {
            snapshot.get::<Agent>(agent).is_some_and(|agent| agent.status.connected == connected)
        })
        .await;
    }

    /// Issues a key for an agent, with a query such as `expirationDate=2030-01-01`.
    pub async fn agent_key(&self, agent: Id, query: &str) -> Secret<String> {
        self.call("set_agent_api_token", &[agent], query, Value::Null).await;
        self.mailed_key()
    }

    /// The key in the newest mail that holds one.
    #[track_caller]
    pub fn mailed_key(&self) -> Secret<String> {
        let snapshot = self.snapshot();
        let keys = snapshot.all::<Mail>().filter_map(|mail| {
            let lines = mail.spec.text.expose().lines().map(str::trim);
            let key = lines
                .filter(|line| line.len() == 64)
                .find(|line| line.bytes().all(|b| b.is_ascii_alphanumeric()));
            key.map(|key| (mail.meta.revision, key.to_owned()))
        });
        let (_, key) = keys.max_by_key(|(revision, _)| *revision).expect("a mail with a key");
        Secret::new(key)
    }

    /// Waits until the state is as asked.
    pub async fn until(&self, what: &str, met: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let store = self.controller().store().clone();
        let Ok(snapshot) = timeout(PATIENCE, store.wait_until(met)).await else {
            let left = unsettled(&store.snapshot());
            panic!("in {} s it did not happen that {what}; not settled: {left:?}", PATIENCE.as_secs());
        };
        snapshot.expect("the store is open")
    }

    /// Waits until everything is what it should be on its hosts, and nothing is on its way out.
    pub async fn settle(&self) -> Arc<Snapshot> {
        self.until("everything is settled", |snapshot| unsettled(snapshot).is_empty()).await
    }

    /// Stops everything in order.
    pub async fn stop(mut self) {
        for machine in self.machines.values_mut() {
            machine.stop().await;
        }
        self.stop_controller().await;
    }
}

/// What nodes still have to make or to remove; the first few.
fn unsettled(snapshot: &Snapshot) -> Vec<String> {
    let objects = snapshot.everything().filter(|object| {
        let is_leftover = object.downcast::<Network>().is_some_and(|network| is_leftover(network, snapshot));
        object.meta().deleting.is_some() || is_leftover || !slice::is_settled(object.key(), snapshot)
    });
    objects.map(|object| object.key().to_string()).take(10).collect()
}

/// Whether a network is still on a host where no machine needs it any more.
fn is_leftover(network: &Object<Network>, snapshot: &Snapshot) -> bool {
    placed::holders(network, snapshot).len() > Network::agents(network, snapshot).len()
}

#[track_caller]
pub(crate) fn id_in(answer: &Value) -> Id {
    answer["id"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{answer} has no id"))
}
