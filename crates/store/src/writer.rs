//! The one writer: a thread that takes requests in order, makes them durable in groups, and publishes.
//!
//! Nothing is answered before the medium has it: an answer that rests on a commit of the same group, be it
//! a conflict or a refusal, waits for that commit too. When the medium fails, the whole group is answered
//! with the failure and the head stays where it was.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use freehold_types::Timestamp;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::backend::{Backend, BackendError, LogEntry, LogQuery};
use crate::conflict::Conflict;
use crate::snapshot::Snapshot;
use crate::store::{CommitError, Committed};
use crate::transaction::{Actor, Transaction};
use crate::watch::{Commit, Publisher};

/// Largest number of transactions that share one fsync.
const GROUP: usize = 256;

/// Requests that wait for the writer before submitters are held back.
const QUEUE: usize = 4_096;

/// What a plan comes to on the writer's head: a transaction, or nothing to do.
pub(crate) type Plan = Box<dyn FnOnce(&Snapshot) -> Option<Transaction> + Send>;

/// What became of a write. The outer error is the payload of a panic in the plan or in a kind's own code,
/// which belongs to whoever submitted it and must not take the writer down.
pub(crate) type Written = Result<Result<Committed, CommitError>, Box<dyn Any + Send>>;

pub(crate) enum Request {
    Write { plan: Plan, actor: Actor, answer: oneshot::Sender<Written> },
    Log { query: LogQuery, answer: oneshot::Sender<Result<Vec<LogEntry>, BackendError>> },
    TrimLog(Trim),
    Close { answer: oneshot::Sender<()> },
}

/// A trimming of the change log, which goes on piece by piece between the groups.
pub(crate) struct Trim {
    pub(crate) before: Timestamp,
    pub(crate) answer: oneshot::Sender<Result<(), BackendError>>,
}

/// Where requests are submitted, and where the writer takes them.
pub(crate) fn queue() -> (mpsc::Sender<Request>, mpsc::Receiver<Request>) {
    mpsc::channel(QUEUE)
}

pub(crate) struct Writer<B> {
    backend: B,
    head: Arc<Snapshot>,
    publisher: Publisher,
    trims: VecDeque<Trim>,
}

/// A transaction that was looked at, waiting for its group to be durable.
struct Pending {
    outcome: Result<Applied, Conflict>,
    answer: oneshot::Sender<Written>,
}

struct Applied {
    commit: Option<Arc<Commit>>,
    snapshot: Arc<Snapshot>,
}

impl<B: Backend> Writer<B> {
    pub(crate) fn new(backend: B, head: Arc<Snapshot>, publisher: Publisher) -> Self {
        Self { backend, head, publisher, trims: VecDeque::new() }
    }

    /// Serves until the store is closed or nobody has a handle any more.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut group = Vec::new();
        while self.receive(&mut queue, &mut group) {
            let closers = self.serve(group.drain(..));
            if !closers.is_empty() {
                // The medium is released before anybody hears that it is.
                drop(self);
                for closer in closers {
                    send(closer, ());
                }
                return;
            }
            self.trim();
        }
    }

    /// Waits for requests, unless there is trimming to go on with. False when there will be none.
    fn receive(&self, queue: &mut mpsc::Receiver<Request>, group: &mut Vec<Request>) -> bool {
        if self.trims.is_empty() {
            return queue.blocking_recv_many(group, GROUP) > 0;
        }
        while group.len() < GROUP {
            match queue.try_recv() {
                Ok(request) => group.push(request),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return !group.is_empty(),
            }
        }
        true
    }

    /// Serves a group of requests; gives back those who wait for the end.
    fn serve(&mut self, requests: impl Iterator<Item = Request>) -> Vec<oneshot::Sender<()>> {
        let mut head = Arc::clone(&self.head);
        let mut group = Vec::new();
        let mut closers = Vec::new();
        for request in requests {
            match request {
                Request::Write { plan, actor, answer } => {
                    match panic::catch_unwind(AssertUnwindSafe(|| apply(&head, plan, actor))) {
                        Ok(outcome) => {
                            if let Ok(applied) = &outcome {
                                head = Arc::clone(&applied.snapshot);
                            }
                            group.push(Pending { outcome, answer });
                        }
                        Err(payload) => send(answer, Err(payload)),
                    }
                }
                Request::Log { query, answer } => send(answer, self.backend.log(&query)),
                Request::TrimLog(trim) => self.trims.push_back(trim),
                Request::Close { answer } => closers.push(answer),
            }
        }
        self.finish(group);
        closers
    }

    /// Makes a group durable, publishes it, and answers.
    fn finish(&mut self, group: Vec<Pending>) {
        let applied = || group.iter().filter_map(|pending| pending.outcome.as_ref().ok());
        let commits: Vec<_> = applied().filter_map(|applied| applied.commit.clone()).collect();
        if !commits.is_empty() {
            if let Err(error) = self.backend.persist(&commits) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "commits could not be made durable"
                );
                let error = Arc::new(error);
                for Pending { answer, .. } in group {
                    send(answer, Ok(Err(CommitError::Backend(Arc::clone(&error)))));
                }
                return;
            }
            let published: Vec<_> = applied()
                .filter_map(|applied| Some((applied.commit.clone()?, Arc::clone(&applied.snapshot))))
                .collect();
            if let Some((_, last)) = published.last() {
                self.head = Arc::clone(last);
            }
            self.publisher.publish(published);
        }
        for Pending { outcome, answer } in group {
            let answered = outcome
                .map(|Applied { snapshot, .. }| Committed { revision: snapshot.revision(), snapshot })
                .map_err(CommitError::Conflict);
            send(answer, Ok(answered));
        }
    }

    /// Goes on with the oldest trimming, by one piece.
    fn trim(&mut self) {
        let Some(trim) = self.trims.pop_front() else { return };
        match self.backend.trim_log(trim.before) {
            Ok(false) => send(trim.answer, Ok(())),
            Ok(true) if trim.answer.is_closed() => {}
            Ok(true) => self.trims.push_front(trim),
            Err(error) => send(trim.answer, Err(error)),
        }
    }
}

/// Plans and applies on the head.
fn apply(head: &Arc<Snapshot>, plan: Plan, actor: Actor) -> Result<Applied, Conflict> {
    let unchanged = || Applied { commit: None, snapshot: Arc::clone(head) };
    let Some(transaction) = plan(head) else { return Ok(unchanged()) };
    let (next, commit) = head.apply(transaction, actor, Timestamp::now())?;
    if commit.changes.is_empty() {
        return Ok(unchanged());
    }
    Ok(Applied { commit: Some(Arc::new(commit)), snapshot: Arc::new(next) })
}

fn send<T>(answer: oneshot::Sender<T>, value: T) {
    // A receiver that is gone means that nobody waits for the answer any more.
    let _ = answer.send(value);
}
