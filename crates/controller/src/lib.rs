//! The controller role, assembled: store, kinds, HTTP, node sessions, mail and metrics.
//!
//! It promises that an answered write is durable and visible, and that everything else follows from the
//! state: after a restart nothing is lost and nothing is done twice. It never talks to a host but
//! through the host's own node.

pub mod config;
mod finalizer;
mod housekeeping;
mod http;
mod mailer;
mod metrics;
mod mover;
mod nodes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_kinds::agent::{Agent, AgentStatus};
use freehold_kinds::environment::Environment;
use freehold_kinds::registry;
use freehold_runtime::Supervisor;
use freehold_store::{Actor, Backend, Store, Transaction};

pub use config::{ControllerConfig, MailPace, SmtpConfig, SmtpSecurity, Tls};
pub use http::engine::Engine;
pub use mailer::MailerError;

/// How long an orderly stop may take before what is left is dropped.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Why a controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the store cannot be opened")]
    Store(#[from] freehold_store::OpenError),
    #[error("cannot listen on {address}; is another controller running there? choose another with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the TLS certificate and key cannot be used")]
    Tls(#[from] http::tls::TlsError),
    #[error("the store could not be prepared")]
    Prepare(#[from] freehold_store::CommitError),
    #[error("mails cannot be sent as configured")]
    Mail(#[from] mailer::MailerError),
}

/// A running controller.
#[derive(Debug)]
pub struct Controller {
    store: Store,
    engine: Engine,
    supervisor: Supervisor,
    address: SocketAddr,
}

impl Controller {
    /// Opens the store and starts to serve.
    ///
    /// # Errors
    /// When the store does not open, or the address cannot be listened on.
    pub async fn start(
        config: ControllerConfig,
        environment: Environment,
        backend: impl Backend,
    ) -> Result<Self, StartError> {
        let store = Store::open(backend, registry::store_registry())?;
        forget_presence(&store).await?;
        let supervisor = Supervisor::default();
        let environment = Arc::new(environment);
        let hub = nodes::Hub::new(store.clone(), Arc::clone(&environment), supervisor.clone());
        let engine = Engine::new(store.clone(), environment, hub.clone(), metrics::Metrics::default());
        let acceptor = config.tls.as_ref().map(http::tls::acceptor).transpose()?;
        let listener = tokio::net::TcpListener::bind(config.listen)
            .await
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
        // First, since it may refuse its settings.
        if let Some(smtp) = &config.smtp {
            mailer::start(&store, smtp, &supervisor)?;
        }
        nodes::dispatch::start(&hub, &supervisor);
        finalizer::start(&store, &supervisor);
        mover::start(&store, &supervisor);
        housekeeping::start(&store, config.keep_log, &supervisor);
        http::server::start(listener, acceptor, http::router(engine.clone(), hub), &supervisor);
        tracing::info!(%address, tls = config.tls.is_some(), "controller is ready");
        Ok(Self { store, engine, supervisor, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The state, for set-up and tests.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The settings that decisions depend on.
    pub fn environment(&self) -> &Environment {
        self.engine.environment()
    }

    /// Calls operations without HTTP, for set-up.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Stops in order: no new requests, running ones finish, writes are durable.
    pub async fn stop(self) {
        self.supervisor.stop(STOP_PATIENCE).await;
        self.store.close().await;
    }
}

/// Nobody is connected to a controller that has just started.
async fn forget_presence(store: &Store) -> Result<(), freehold_store::CommitError> {
    let snapshot = store.snapshot();
    let mut transaction = Transaction::default();
    for agent in snapshot.all::<Agent>().filter(|agent| agent.status.connected) {
        transaction.observe(agent, AgentStatus { connected: false, ..agent.status.clone() });
    }
    if !transaction.is_empty() {
        store.commit(transaction, Actor::internal("nodes", "start")).await?;
    }
    Ok(())
}
