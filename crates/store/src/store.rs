//! The store: a handle on the current snapshot, the one writer, and the watch.
//!
//! Writers plan on a snapshot and submit the transaction; when somebody was faster, the plan is made again
//! *inside* the writer, on its head, where nobody can be faster. So a conflict that is reported is real.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::{fmt, panic, thread};

use freehold_types::{Id, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::backend::{Backend, BackendError, LogEntry, LogQuery, Record, sqlite};
use crate::conflict::Conflict;
use crate::object::AnyObject;
use crate::registry::{DecodeError, Registry};
use crate::snapshot::Snapshot;
use crate::transaction::{Actor, Transaction};
use crate::watch::{Board, Commit, Event, Watch};
use crate::writer::{self, Plan, Request, Trim, Writer};

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the store contradicts itself")]
    Inconsistent(#[from] Conflict),
    #[error("the writer cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Why a commit was not made; nothing of it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The medium failed, for instance because it is full. It is safe to try again.
    #[error("the write could not be made durable")]
    Backend(#[source] Arc<BackendError>),
    #[error("the store is closed")]
    Closed,
}

/// A commit that was made, and the state after it.
#[derive(Debug, Clone)]
pub struct Committed {
    pub revision: u64,
    pub snapshot: Arc<Snapshot>,
}

/// A handle; clones are cheap and share everything.
#[derive(Clone)]
pub struct Store {
    board: Arc<Board>,
    requests: mpsc::Sender<Request>,
    path: Option<Arc<Path>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store at revision {}", self.board.current().revision())
    }
}

impl Store {
    /// Reads everything, upgrades old documents, and starts the writer.
    ///
    /// # Errors
    /// When the medium fails, a document cannot be read, or the objects contradict each other.
    pub fn open(mut backend: impl Backend, registry: Registry) -> Result<Self, OpenError> {
        let registry = Arc::new(registry);
        let mut snapshot = Snapshot::empty(Arc::clone(&registry));
        let mut upgraded = Vec::new();
        let mut outcome = Ok(());
        let head = backend.load(&mut |record| {
            outcome = insert(&mut snapshot, &mut upgraded, &registry, record);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome?;
        snapshot.stand_at(head);
        if !upgraded.is_empty() {
            let commit = Commit::upgrade(snapshot.revision() + 1, upgraded);
            backend.persist(&[Arc::new(commit)])?;
            return Self::open(backend, Arc::unwrap_or_clone(registry));
        }
        Self::start(backend, snapshot)
    }

    fn start(backend: impl Backend, snapshot: Snapshot) -> Result<Self, OpenError> {
        let path = backend.path().map(Arc::from);
        let snapshot = Arc::new(snapshot);
        let (board, publisher) = Board::new(Arc::clone(&snapshot));
        let (requests, queue) = writer::queue();
        let writer = Writer::new(backend, snapshot, publisher);
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(OpenError::Thread)?;
        Ok(Self { board, requests, path })
    }

    /// The current state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.board.current()
    }

    /// Commits a transaction as it is.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when it does not fit the current state.
    pub async fn commit(&self, transaction: Transaction, actor: Actor) -> Result<Committed, CommitError> {
        self.submit(Box::new(move |_| Some(transaction)), actor).await
    }

    /// Plans on the current state and commits; when the state has moved on, plans again inside the writer.
    /// The plan must be pure and quick: others wait for it. Its extra result is that of the plan that was
    /// committed. A panic in it unwinds here, wherever it ran.
    ///
    /// # Errors
    /// `Ok(Err(_))` is the plan's own refusal; `Err` is a conflict that a fresh plan does not avoid.
    pub async fn transact<T, E, F>(
        &self,
        actor: Actor,
        plan: F,
    ) -> Result<Result<(T, Committed), E>, CommitError>
    where
        F: Fn(&Snapshot) -> Result<(Transaction, T), E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let snapshot = self.snapshot();
        let (transaction, extra) = match plan(&snapshot) {
            Ok(planned) => planned,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if transaction.is_empty() && transaction.limits.is_empty() && transaction.expectations.is_empty() {
            return Ok(Ok((extra, Committed { revision: snapshot.revision(), snapshot })));
        }
        match self.commit(transaction, actor.clone()).await {
            Ok(committed) => Ok(Ok((extra, committed))),
            Err(CommitError::Conflict(_)) => self.transact_at_head(actor, plan).await,
            Err(other) => Err(other),
        }
    }

    async fn transact_at_head<T, E, F>(
        &self,
        actor: Actor,
        plan: F,
    ) -> Result<Result<(T, Committed), E>, CommitError>
    where
        F: Fn(&Snapshot) -> Result<(Transaction, T), E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (extra_sender, extra_receiver) = oneshot::channel();
        let in_writer: Plan = Box::new(move |head| match plan(head) {
            Ok((transaction, extra)) => extra_sender.send(Ok(extra)).is_ok().then_some(transaction),
            Err(refusal) => {
                // A closed receiver means that the caller has gone, and nobody wants the refusal.
                let _ = extra_sender.send(Err(refusal));
                None
            }
        });
        let committed = self.submit(in_writer, actor).await?;
        match extra_receiver.await {
            Ok(Ok(extra)) => Ok(Ok((extra, committed))),
            Ok(Err(refusal)) => Ok(Err(refusal)),
            Err(_) => Err(CommitError::Closed),
        }
    }

    async fn submit(&self, plan: Plan, actor: Actor) -> Result<Committed, CommitError> {
        let (answer, receiver) = oneshot::channel();
        let request = Request::Write { plan, actor, answer };
        self.requests.send(request).await.map_err(|_| CommitError::Closed)?;
        match receiver.await {
            Ok(Ok(written)) => written,
            Ok(Err(payload)) => panic::resume_unwind(payload),
            Err(_) => Err(CommitError::Closed),
        }
    }

    /// Watches from a revision, or from now with the state as the first event. A revision that is too long
    /// ago, or not of this history, begins with the state as well.
    pub fn watch(&self, from: Option<u64>) -> Watch {
        self.board.watch(from)
    }

    /// Waits until the state meets a condition, however long it takes; `None` when the store has closed.
    pub async fn wait_until(&self, mut met: impl FnMut(&Snapshot) -> bool) -> Option<Arc<Snapshot>> {
        let mut watch = self.watch(None);
        while let Some(event) = watch.next().await {
            let (Event::Reset(snapshot) | Event::Commit(_, snapshot)) = event;
            if met(&snapshot) {
                return Some(snapshot);
            }
        }
        None
    }

    /// Reads the change log.
    ///
    /// # Errors
    /// When the medium fails or the store is closed.
    pub async fn log(&self, query: LogQuery) -> Result<Vec<LogEntry>, CommitError> {
        self.ask(|answer| Request::Log { query, answer }).await
    }

    /// Forgets the part of the change log before a time, in pieces that let other writes pass. Goes on only
    /// while it is awaited.
    ///
    /// # Errors
    /// When the medium fails or the store is closed.
    pub async fn trim_log(&self, before: Timestamp) -> Result<(), CommitError> {
        self.ask(|answer| Request::TrimLog(Trim { before, answer })).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, BackendError>>) -> Request,
    ) -> Result<T, CommitError> {
        let (answer, receiver) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| CommitError::Closed)?;
        receiver
            .await
            .map_err(|_| CommitError::Closed)?
            .map_err(|error| CommitError::Backend(Arc::new(error)))
    }

    /// Copies the store to a new file while it is in use. Blocks; call it off the runtime's threads.
    ///
    /// # Errors
    /// When there is no file to copy, the target exists, or the medium fails.
    pub fn backup(&self, to: &Path) -> Result<(), BackendError> {
        sqlite::backup(self.path.as_deref().ok_or(BackendError::Unsupported)?, to)
    }

    /// Finishes the writes that were submitted, and releases the medium.
    pub async fn close(&self) {
        let (answer, receiver) = oneshot::channel();
        if self.requests.send(Request::Close { answer }).await.is_ok() {
            // An error means that the writer has already gone, which is what is wanted.
            let _ = receiver.await;
        }
    }

    /// The history's identity.
    pub fn lineage(&self) -> Id {
        self.board.current().lineage()
    }
}

/// Decodes a record into the snapshot, and keeps in mind when it came in an old shape.
fn insert(
    snapshot: &mut Snapshot,
    upgraded: &mut Vec<Arc<dyn AnyObject>>,
    registry: &Registry,
    record: Record,
) -> Result<(), OpenError> {
    let Record { kind, id, revision, schema, document } = record;
    let (object, is_upgraded) = registry.decode(&kind, id, revision, schema, &document)?;
    if is_upgraded {
        upgraded.push(Arc::clone(&object));
    }
    Ok(snapshot.insert(object)?)
}
