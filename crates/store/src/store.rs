//! The store: the current snapshot, the one writer, and the watch.
//!
//! Writers plan on a snapshot and submit the transaction; when somebody was faster, the plan is made again
//! *inside* the writer, on its head, where nobody can be faster. So a conflict that is reported is real.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arc_swap::ArcSwap;
use freehold_types::{Id, Timestamp};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::backend::{Backend, BackendError, LogEntry, LogQuery, sqlite};
use crate::conflict::Conflict;
use crate::registry::{DecodeError, Registry};
use crate::snapshot::Snapshot;
use crate::transaction::{Actor, Transaction};
use crate::watch::{Commit, Event, Recent, Watch};

/// Largest number of transactions that share one fsync.
const GROUP: usize = 256;

/// Requests that wait for the writer before submitters are held back.
const QUEUE: usize = 4_096;

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
    #[error("the write could not be made durable: {0}")]
    Backend(Arc<BackendError>),
    #[error("the store is closed")]
    Closed,
}

/// A commit that was made, and the state after it.
#[derive(Debug, Clone)]
pub struct Committed {
    pub revision: u64,
    pub snapshot: Arc<Snapshot>,
}

type Plan = Box<dyn FnOnce(&Snapshot) -> Option<Transaction> + Send>;

enum Request {
    Write { plan: Plan, actor: Actor, answer: oneshot::Sender<Result<Committed, CommitError>> },
    Log { query: LogQuery, answer: oneshot::Sender<Result<Vec<LogEntry>, BackendError>> },
    TrimLog { before: Timestamp, answer: oneshot::Sender<Result<(), BackendError>> },
    Close { answer: oneshot::Sender<()> },
}

struct Shared {
    current: Arc<ArcSwap<Snapshot>>,
    recent: Mutex<Recent>,
    events: broadcast::Sender<(Arc<Commit>, Arc<Snapshot>)>,
}

/// A handle; clones are cheap and share everything.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    path: Option<Arc<Path>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store at revision {}", self.shared.current.load().revision())
    }
}

impl Store {
    /// Reads everything, upgrades old documents, and starts the writer.
    ///
    /// # Errors
    /// When the medium fails, a document cannot be read, or the objects contradict each other.
    pub fn open(mut backend: impl Backend, registry: Registry) -> Result<Self, OpenError> {
        let loaded = backend.load()?;
        let registry = Arc::new(registry);
        let mut snapshot = Snapshot::empty(Arc::clone(&registry), loaded.lineage, loaded.revision);
        let mut upgraded = Vec::new();
        for record in &loaded.records {
            let (object, is_upgraded) =
                registry.decode(&record.kind, record.id, record.revision, record.schema, &record.document)?;
            if is_upgraded {
                upgraded.push(Arc::clone(&object));
            }
            snapshot.insert(object)?;
        }
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
        let shared = Arc::new(Shared {
            current: Arc::new(ArcSwap::new(Arc::clone(&snapshot))),
            recent: Mutex::default(),
            events: broadcast::channel(1_024).0,
        });
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = Writer { backend, head: snapshot, shared: Arc::clone(&shared) };
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(OpenError::Thread)?;
        Ok(Self { shared, requests, path })
    }

    /// The current state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Commits a transaction as it is.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when it does not fit the current state.
    pub async fn commit(&self, transaction: Transaction, actor: Actor) -> Result<Committed, CommitError> {
        self.submit(Box::new(move |_| Some(transaction)), actor).await
    }

    /// Plans on the current state and commits; when the state has moved on, plans again inside the writer.
    /// The plan must be pure. Its extra result is that of the plan that was committed.
    ///
    /// # Errors
    /// `Ok(Err(_))` is the plan's own refusal; `Err` is a conflict that a fresh plan does not avoid.
    pub async fn transact<T, E, F>(&self, actor: Actor, plan: F) -> Result<Result<(T, Committed), E>, CommitError>
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
        receiver.await.map_err(|_| CommitError::Closed)?
    }

    /// Watches from a revision, or from now with the state as the first event.
    pub fn watch(&self, from: Option<u64>) -> Watch {
        // Holding `recent` keeps the writer from publishing between the subscription and the look at the past.
        let recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.shared.events.subscribe();
        let snapshot = self.shared.current.load_full();
        let head = snapshot.revision();
        let pending = match from.and_then(|revision| recent.after(revision, head)) {
            Some(commits) => {
                commits.into_iter().map(|commit| Event::Commit(commit, Arc::clone(&snapshot))).collect()
            }
            None => VecDeque::from([Event::Reset(snapshot)]),
        };
        Watch { pending, receiver, current: Arc::clone(&self.shared.current), seen: head }
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

    /// Forgets the part of the change log before a time.
    ///
    /// # Errors
    /// When the medium fails or the store is closed.
    pub async fn trim_log(&self, before: Timestamp) -> Result<(), CommitError> {
        self.ask(|answer| Request::TrimLog { before, answer }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, BackendError>>) -> Request,
    ) -> Result<T, CommitError> {
        let (answer, receiver) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| CommitError::Closed)?;
        receiver.await.map_err(|_| CommitError::Closed)?.map_err(|error| CommitError::Backend(Arc::new(error)))
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
        self.shared.current.load().lineage()
    }
}

struct Writer<B> {
    backend: B,
    head: Arc<Snapshot>,
    shared: Arc<Shared>,
}

/// A transaction that fits, waiting for its group to be durable.
struct Applied {
    commit: Option<Arc<Commit>>,
    snapshot: Arc<Snapshot>,
    answer: oneshot::Sender<Result<Committed, CommitError>>,
}

impl<B: Backend> Writer<B> {
    fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            let mut applied = Vec::with_capacity(group.len());
            let mut closing = None;
            for request in group.drain(..) {
                match request {
                    Request::Write { plan, actor, answer } => {
                        let head = applied.last().map_or_else(|| Arc::clone(&self.head), |last: &Applied| Arc::clone(&last.snapshot));
                        applied.extend(apply(&head, plan, &actor, answer));
                    }
                    // A receiver that is gone means that nobody waits for the answer any more.
                    Request::Log { query, answer } => drop(answer.send(self.backend.log(&query))),
                    Request::TrimLog { before, answer } => drop(answer.send(self.backend.trim_log(before))),
                    Request::Close { answer } => closing = Some(answer),
                }
            }
            self.finish(applied);
            if let Some(answer) = closing {
                drop(self);
                // A receiver that is gone means that nobody waits for the answer any more.
                let _ = answer.send(());
                return;
            }
        }
    }

    /// Makes a group durable, publishes it, and answers.
    fn finish(&mut self, applied: Vec<Applied>) {
        let commits: Vec<_> = applied.iter().filter_map(|applied| applied.commit.clone()).collect();
        if !commits.is_empty()
            && let Err(error) = self.backend.persist(&commits)
        {
            tracing::error!(error = &error as &dyn std::error::Error, "commits could not be made durable");
            let error = Arc::new(error);
            for Applied { answer, .. } in applied {
                // A receiver that is gone means that nobody waits for the answer any more.
                let _ = answer.send(Err(CommitError::Backend(Arc::clone(&error))));
            }
            return;
        }
        if let Some(last) = applied.last() {
            self.head = Arc::clone(&last.snapshot);
            self.publish(&applied);
        }
        for Applied { snapshot, answer, .. } in applied {
            // A receiver that is gone means that nobody waits for the answer any more.
            let _ = answer.send(Ok(Committed { revision: snapshot.revision(), snapshot }));
        }
    }

    fn publish(&self, applied: &[Applied]) {
        let mut recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.current.store(Arc::clone(&self.head));
        for applied in applied {
            if let Some(commit) = &applied.commit {
                recent.push(Arc::clone(commit));
                // An error means that nobody watches.
                let _ = self.shared.events.send((Arc::clone(commit), Arc::clone(&applied.snapshot)));
            }
        }
    }
}

/// Plans and applies on the head; answers at once when it does not fit.
fn apply(
    head: &Arc<Snapshot>,
    plan: Plan,
    actor: &Actor,
    answer: oneshot::Sender<Result<Committed, CommitError>>,
) -> Option<Applied> {
    let Some(transaction) = plan(head) else {
        return Some(Applied { commit: None, snapshot: Arc::clone(head), answer });
    };
    match head.apply(&transaction, actor, Timestamp::now()) {
        Ok((_, commit)) if commit.changes.is_empty() => {
            Some(Applied { commit: None, snapshot: Arc::clone(head), answer })
        }
        Ok((next, commit)) => {
            Some(Applied { commit: Some(Arc::new(commit)), snapshot: Arc::new(next), answer })
        }
        Err(conflict) => {
            // A receiver that is gone means that nobody waits for the answer any more.
            let _ = answer.send(Err(conflict.into()));
            None
        }
    }
}
