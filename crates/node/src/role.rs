//! A node, assembled: ledger, converge loop, session and status file.
//!
//! A node runs two tasks (three with a status file), which belong to the [`Node`]: dropping it ends them,
//! [`Node::stop`] ends them gently and within a bound.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use freehold_types::agent::Slice;
use freehold_types::wire::AgentType;
use freehold_types::{Id, Secret};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{Id as TaskId, JoinSet};

use crate::board::{Board, Link, Status};
use crate::config::{ConfigError, NodeConfig};
use crate::converge::{Command, Converge, Settings};
use crate::host::{Host, HostError};
use crate::ledger::{Ledger, LedgerError, Refused};
use crate::session::{Endpoint, Identity, Session, tls};
use crate::stop::Stop;

mod real;
mod status;

pub use real::{real_host, run_real, start_real};

/// How long the tasks of a node may take to end; work on machines is given ten seconds of it.
const STOP: Duration = Duration::from_secs(15);

/// Why a node cannot run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("node: this host cannot be used")]
    Host(#[source] HostError),
    #[error("node: the {task} ended by a fault, which the log tells; it is started again by its supervisor")]
    Fault { task: &'static str },
}

/// Why a slice was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the node is stopping")]
    Stopping,
}

/// A node on a simulated host that speaks the real protocol; its ledger lasts as long as it does.
#[derive(Debug, Clone)]
pub struct SimulatedNode {
    pub agent: Id,
    pub key: Secret<String>,
    /// URL of the controller; without one the node is given slices by [`Node::deliver`] alone.
    pub controller: Option<String>,
    /// PEM file of the authorities that the controller's certificate is checked against; none: the system's.
    pub ca_file: Option<PathBuf>,
    pub role: AgentType,
    /// Directory of a real ledger, for tests of restarts.
    pub state: Option<PathBuf>,
    /// How many objects are worked on at a time, images apart.
    pub parallel: usize,
    /// How often everything is looked at anew.
    pub observe_every: Duration,
}

impl SimulatedNode {
    /// A node with the defaults of a real one.
    pub fn new(agent: Id, key: Secret<String>, controller: impl Into<String>) -> Self {
        Self { controller: Some(controller.into()), ..Self::detached(agent, key) }
    }

    /// A node without a controller.
    pub fn detached(agent: Id, key: Secret<String>) -> Self {
        Self {
            agent,
            key,
            controller: None,
            ca_file: None,
            role: AgentType::Hypervisor,
            state: None,
            parallel: 8,
            observe_every: Duration::from_mins(5),
        }
    }
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    board: Arc<Board>,
    commands: mpsc::Sender<Command>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    names: BTreeMap<TaskId, &'static str>,
}

impl Node {
    /// Runs a node until `shutdown` completes, then ends its work within a bound.
    ///
    /// # Errors
    /// When the configuration or the state directory cannot be used, or a task of the node ended by a
    /// fault. A controller that cannot be reached is no error: the node goes on from its ledger.
    pub async fn run(
        config: &NodeConfig,
        host: Host,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), NodeError> {
        Self::start(config, host)?.until(shutdown).await
    }

    /// Starts a node from its configuration; must be called within a Tokio runtime.
    ///
    /// # Errors
    /// As [`Node::run`], before anything was begun.
    pub fn start(config: &NodeConfig, host: Host) -> Result<Self, NodeError> {
        Self::start_with(config, host, Vec::new())
    }

    /// Starts a node on a host that can do more than its machines tell.
    fn start_with(config: &NodeConfig, host: Host, features: Vec<String>) -> Result<Self, NodeError> {
        config.validate()?;
        let endpoint = config.endpoint()?;
        if endpoint.is_exposed() {
            tracing::warn!(
                controller = config.controller,
                "what the controller sends, secrets included, can be read on the way: use https"
            );
        }
        let tls = tls(&endpoint, config.ca_file.as_deref()).map_err(ConfigError::Authorities)?;
        let identity = Identity {
            agent: config.agent,
            key: config.load_key()?,
            role: config.role,
            endpoint,
            tls,
            address: config.address,
            features,
        };
        let settings = Settings {
            parallel: config.parallel,
            parallel_images: config.parallel_images,
            observe_every: config.observe_every(),
        };
        let ledger = Ledger::open(&config.ledger_directory())?;
        let mut node = Self::assemble(config.agent, Some(identity), settings, ledger, host);
        let board = Arc::clone(&node.board);
        let stop = Stop::new(node.stop.subscribe());
        node.spawn("status", status::keep(config.status_file(), board, stop));
        Ok(node)
    }

    /// Starts a simulated node; must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the controller's URL or the state directory cannot be used.
    pub fn simulated(setup: SimulatedNode, host: Host) -> Result<Self, NodeError> {
        let SimulatedNode { agent, key, controller, ca_file, role, state, parallel, observe_every } = setup;
        let identity = match controller {
            None => None,
            Some(controller) => {
                let endpoint = Endpoint::parse(&controller).map_err(ConfigError::Controller)?;
                let tls = tls(&endpoint, ca_file.as_deref()).map_err(ConfigError::Controller)?;
                Some(Identity { agent, key, role, endpoint, tls, address: None, features: Vec::new() })
            }
        };
        let ledger = state.map_or_else(|| Ok(Ledger::in_memory()), |state| Ledger::open(&state))?;
        let settings = Settings { parallel, parallel_images: 2, observe_every };
        Ok(Self::assemble(agent, identity, settings, ledger, host))
    }

    /// The node as it is now.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// Waits until the node is as asked, and returns it as it was then.
    pub async fn wait_until(&self, mut is: impl FnMut(&Status) -> bool) -> Status {
        let mut changes = self.board.subscribe();
        loop {
            changes.mark_unchanged();
            let status = self.status();
            // The board outlives this call, so its changes do not end.
            if is(&status) || changes.changed().await.is_err() {
                return status;
            }
        }
    }

    /// Hands a slice to the node as if its controller had sent it; returns when it is durable.
    ///
    /// # Errors
    /// When the node must not follow it, or is stopping.
    pub async fn deliver(&self, slice: Slice) -> Result<(), DeliverError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Slice { slice, reply };
        self.commands.send(command).await.map_err(|_| DeliverError::Stopping)?;
        Ok(answer.await.map_err(|_| DeliverError::Stopping)??)
    }

    /// Ends the node: nothing new is begun, work on machines may end, the rest is cut off.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended =
            tokio::time::timeout(STOP, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("the node did not end in time and is cut off");
        }
        self.tasks.shutdown().await;
    }

    /// Goes on until `shutdown` completes or a task ends by a fault, then ends the node.
    async fn until(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), NodeError> {
        let result = tokio::select! {
            () = shutdown => Ok(()),
            fault = self.fault() => Err(fault),
        };
        self.stop().await;
        result
    }

    /// Completes when a task of the node ends though it was not told to.
    async fn fault(&mut self) -> NodeError {
        let ended = self.tasks.join_next_with_id().await;
        let id = match &ended {
            Some(Ok((id, ()))) => Some(*id),
            Some(Err(error)) => Some(error.id()),
            None => None,
        };
        let task = id.and_then(|id| self.names.get(&id)).copied().unwrap_or("node");
        if let Some(Err(error)) = ended {
            tracing::error!(task, %error, "a task of the node ended by a fault");
        }
        NodeError::Fault { task }
    }

    fn assemble(
        agent: Id,
        identity: Option<Identity>,
        settings: Settings,
        ledger: Ledger,
        host: Host,
    ) -> Self {
        let link = if identity.is_some() { Link::Dialling } else { Link::None };
        let board = Arc::new(Board::new(agent, link));
        let (stop, stopped) = watch::channel(false);
        let stopped = Stop::new(stopped);
        let (commands, requests) = mpsc::channel(4);
        let mut node = Self {
            board: Arc::clone(&board),
            commands: commands.clone(),
            stop,
            tasks: JoinSet::new(),
            names: BTreeMap::new(),
        };
        let converge = Converge::new(host.clone(), settings, ledger, Arc::clone(&board), stopped.clone());
        node.spawn("converge loop", converge.run(requests));
        if let Some(identity) = identity {
            node.spawn("session", Session::new(identity, host, board, commands, stopped).run());
        }
        node
    }

    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name);
    }
}
