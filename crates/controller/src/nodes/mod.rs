//! Nodes: their sessions, and who must be told of what.

pub(crate) mod dispatch;
pub(crate) mod session;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_kinds::environment::Environment;
use freehold_kinds::instance::Instance;
use freehold_kinds::placed::Placed;
use freehold_runtime::Supervisor;
use freehold_store::{Key, Store};
use freehold_types::agent::{Answer, Query};
use freehold_types::{ApiError, Id};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

/// How long a node may take to answer a question.
const ANSWER: Duration = Duration::from_secs(10);
/// How many peers may be about to prove who they are.
const GREETINGS: usize = 256;

/// The sessions; clones share them.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    store: Store,
    environment: Arc<Environment>,
    supervisor: Supervisor,
    sessions: Mutex<HashMap<Id, Arc<Link>>>,
    next: AtomicU64,
    /// Taken by each peer that has not proved who it is yet.
    greetings: Arc<Semaphore>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

/// What others may do with a session: mark objects that it must look at again, ask, and end it.
pub(crate) struct Link {
    number: u64,
    dirty: Mutex<BTreeSet<Key>>,
    wake: Notify,
    end: Notify,
    questions: mpsc::Sender<Question>,
}

/// A question to a node, and who waits for the answer.
pub(crate) struct Question {
    query: Query,
    answer: oneshot::Sender<Answer>,
}

impl Link {
    /// The objects marked since the last call.
    fn take_dirty(&self) -> BTreeSet<Key> {
        std::mem::take(&mut self.dirty.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Hub {
    pub(crate) fn new(store: Store, environment: Arc<Environment>, supervisor: Supervisor) -> Self {
        let (sessions, next) = (Mutex::default(), AtomicU64::new(0));
        let greetings = Arc::new(Semaphore::new(GREETINGS));
        Self(Arc::new(Inner { store, environment, supervisor, sessions, next, greetings }))
    }

    /// Registers a session; an older one of the same agent ends.
    fn register(&self, agent: Id) -> (Arc<Link>, mpsc::Receiver<Question>) {
        let (questions, receiver) = mpsc::channel(16);
        let link = Arc::new(Link {
            number: self.0.next.fetch_add(1, Ordering::Relaxed),
            dirty: Mutex::default(),
            wake: Notify::new(),
            end: Notify::new(),
            questions,
        });
        let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(older) = sessions.insert(agent, Arc::clone(&link)) {
            older.end.notify_one();
        }
        (link, receiver)
    }

    /// Takes a session out. `false` when a newer one has taken its place.
    fn unregister(&self, agent: Id, link: &Link) -> bool {
        let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let current = sessions.get(&agent).is_some_and(|known| known.number == link.number);
        if current {
            sessions.remove(&agent);
        }
        current
    }

    /// Whether an agent has a session now.
    fn has_session(&self, agent: Id) -> bool {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&agent)
    }

    /// Marks an object for the nodes of these agents.
    fn mark(&self, key: Key, agents: &[Id]) {
        let sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for link in agents.iter().filter_map(|agent| sessions.get(agent)) {
            link.dirty.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            link.wake.notify_one();
        }
    }

    /// Ends the session of an agent, if it has one.
    fn end(&self, agent: Id) {
        let sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = sessions.get(&agent) {
            link.end.notify_one();
        }
    }

    /// The keys of all agents with a session.
    fn agents(&self) -> Vec<Id> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Asks a machine's node where the machine's screen is.
    ///
    /// # Errors
    /// 404 for an unknown machine, 422 when the node is away or has no answer.
    pub(crate) async fn console(&self, machine: Id) -> Result<String, ApiError> {
        let snapshot = self.0.store.snapshot();
        let instance = snapshot
            .get::<Instance>(machine)
            .ok_or_else(|| freehold_kinds::route::not_found::<Instance>(machine))?;
        let agents = Instance::agents(instance, &snapshot);
        let away =
            || ApiError::invalid(format!("the host of `{}` is not connected; try later", instance.spec.name));
        let link = agents.first().and_then(|agent| {
            self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(agent).cloned()
        });
        let (answer, receiver) = oneshot::channel();
        let question = Question { query: Query::Console { machine }, answer };
        let link = link.ok_or_else(away)?;
        let answered = async {
            // Errors mean that the session has ended, before the question or after it.
            link.questions.send(question).await.ok()?;
            receiver.await.ok()
        };
        match tokio::time::timeout(ANSWER, answered).await {
            Ok(Some(Answer::Console { url })) => Ok(url),
            Ok(Some(Answer::Failed { reason })) => Err(ApiError::invalid(reason)),
            Ok(None) => Err(away()),
            Err(_) => Err(ApiError::invalid(format!(
                "the host of `{}` did not answer within {} s; try again",
                instance.spec.name,
                ANSWER.as_secs()
            ))),
        }
    }
}
