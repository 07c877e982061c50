//! Makes the host what the ledger says, for ever.
//!
//! One task owns the ledger, the queue and what is known of each object; host calls run beside it, bounded
//! in number, and come back as values. It is level-triggered: slices, host events, retries and the slow
//! look-around all do no more than put keys into the queue; what is to be done is decided from the ledger
//! when a key's turn comes.
//!
//! Promises: one key is never worked on twice at once; what changed while it was worked on is worked on
//! again; what a machine did is durable before it is told; failures are retried with growing delays, which
//! events do not shorten and a changed specification does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use freehold_types::agent::{ObjectKey, Slice};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id as TaskId, JoinError, JoinSet};
use tokio::time::Instant;

mod object;
mod plan;
mod queue;
mod settle;
mod work;

use object::Object;
pub(crate) use plan::needs;
use plan::{Job, On};
use queue::Queue;
use work::{Finished, Progress};

use crate::backoff;
use crate::board::Board;
use crate::host::Host;
use crate::ledger::{Change, Ledger, Refused};
use crate::stop::Stop;

/// How long machine work may go on after the node was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Delays between tries to write the ledger.
const LEDGER_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Bounds and periods of the loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Host calls at a time, images apart.
    pub(crate) parallel: usize,
    /// Images fetched at a time.
    pub(crate) parallel_images: usize,
    /// How often everything is looked at anew, give or take a quarter.
    pub(crate) observe_every: Duration,
}

/// What the loop is asked.
#[derive(Debug)]
pub(crate) enum Command {
    Slice { slice: Slice, reply: oneshot::Sender<Result<(), Refused>> },
}

/// The loop's state.
#[derive(Debug)]
pub(crate) struct Converge {
    host: Host,
    settings: Settings,
    ledger: Ledger,
    board: Arc<Board>,
    objects: BTreeMap<ObjectKey, Object>,
    queue: Queue<ObjectKey>,
    work: JoinSet<Finished>,
    /// The job of each running task, for when it ends without telling.
    jobs: BTreeMap<TaskId, Job>,
    running_images: usize,
    progress: (mpsc::UnboundedSender<Progress>, mpsc::UnboundedReceiver<Progress>),
    next_look: Instant,
    stop: Stop,
}

/// How a task ended.
type Joined = Result<(TaskId, Finished), JoinError>;

impl Converge {
    /// Starts from what the ledger holds; everything in it is looked at first.
    pub(crate) fn new(host: Host, settings: Settings, ledger: Ledger, board: Arc<Board>, stop: Stop) -> Self {
        let mut this = Self {
            host,
            settings,
            ledger,
            board,
            objects: BTreeMap::new(),
            queue: Queue::new(),
            work: JoinSet::new(),
            jobs: BTreeMap::new(),
            running_images: 0,
            progress: mpsc::unbounded_channel(),
            next_look: Instant::now(),
            stop,
        };
        let keys: Vec<ObjectKey> = this.ledger.state().keys().collect();
        for key in keys {
            this.enter(key);
            this.queue.add(key);
        }
        this.board.set_held(this.ledger.state().held());
        this.plan_look();
        this
    }

    /// Runs until told to stop, then lets machine work end within a bound.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut events = self.host.machines.events();
        let mut service_events = self.host.services.events();
        let mut stop = self.stop.clone();
        loop {
            self.pump();
            self.board.set_idle(self.queue.is_idle());
            let deadline = self.queue.deadline().map_or(self.next_look, |due| due.min(self.next_look));
            tokio::select! {
                biased;
                () = stop.asked() => break,
                Some(command) = commands.recv() => self.command(command).await,
                Some(joined) = self.work.join_next_with_id() => self.collect(joined).await,
                Some(key) = events.recv() => self.event(key),
                Some(key) = service_events.recv() => self.event(key),
                Some(progress) = self.progress.1.recv() => self.progressed(progress),
                () = tokio::time::sleep_until(deadline) => self.tick(),
            }
        }
        self.drain().await;
    }

    /// Starts what may start.
    fn pump(&mut self) {
        loop {
            let images = self.running_images < self.settings.parallel_images;
            let others = self.work.len() - self.running_images < self.settings.parallel;
            let free = |key: ObjectKey| if is_image(key) { images } else { others };
            let Some(key) = self.queue.next(free) else { return };
            match self.prepare(key) {
                Some((job, memory)) => {
                    self.running_images += usize::from(is_image(key));
                    let task = work::run(self.host.clone(), job.clone(), memory, self.progress.0.clone());
                    let id = self.work.spawn(task).id();
                    self.jobs.insert(id, job);
                }
                None => {
                    self.queue.finish(key);
                }
            }
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Slice { slice, reply } => {
                let answer = match self.ledger.state().judge(slice) {
                    Err(refused) => Err(refused),
                    Ok(update) => {
                        if !self.commit(&Change::Update(update.clone())).await {
                            return;
                        }
                        self.updated(update);
                        Ok(())
                    }
                };
                // Who asked may have hung up; the slice counts all the same.
                let _ = reply.send(answer);
            }
        }
    }

    /// Takes in what has ended: first what machines did is made durable, then it is told.
    async fn collect(&mut self, first: Joined) {
        let mut ended = vec![first];
        while let Some(joined) = self.work.try_join_next_with_id() {
            ended.push(joined);
        }
        let ended: Vec<Finished> = ended.into_iter().filter_map(|joined| self.end(joined)).collect();
        let memories: Vec<_> = ended
            .iter()
            .filter_map(|finished| {
                let key = finished.job.desired.key;
                let memory = finished.memory.as_ref()?;
                let entry = self.ledger.state().get(key)?;
                (entry.memory != *memory).then(|| (key.id, memory.clone()))
            })
            .collect();
        if !memories.is_empty() && !self.commit(&Change::Memories(memories)).await {
            return;
        }
        for finished in ended {
            self.settle(finished);
        }
    }

    fn end(&mut self, joined: Joined) -> Option<Finished> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let job = self.jobs.remove(&id)?;
        self.running_images -= usize::from(matches!(job.on, On::Image { .. }));
        match joined {
            Ok((_, finished)) => Some(finished),
            Err(error) if error.is_cancelled() => None,
            Err(error) => {
                tracing::error!(object = %job.desired.key, %error, "host work ended in a fault of the node");
                let reason = "a fault of the node, which its log tells; please report it".to_owned();
                Some(Finished { job, result: Err(crate::host::HostError::Failed(reason)), memory: None })
            }
        }
    }

    /// Makes a change durable, however long it takes: until then nothing else is done. Says no when the
    /// node was told to stop first.
    async fn commit(&mut self, change: &Change) -> bool {
        let mut failures = 0;
        loop {
            match self.ledger.commit(change).await {
                Ok(()) => {
                    self.board.set_ledger_fault(None);
                    return true;
                }
                Err(error) => {
                    failures += 1;
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "nothing is begun until the ledger can be written"
                    );
                    self.board.set_ledger_fault(Some(error.to_string()));
                }
            }
            let wait = backoff::delay(failures, LEDGER_RETRY.0, LEDGER_RETRY.1);
            if self.stop.or(tokio::time::sleep(wait)).await.is_none() {
                return false;
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.queue.advance(now);
        if now >= self.next_look {
            let keys: Vec<ObjectKey> = self.ledger.state().keys().collect();
            for key in keys {
                // What failed has its own time.
                if !self.queue.is_delayed(key) && !self.queue.is_running(key) {
                    self.queue.add(key);
                }
            }
            self.plan_look();
        }
    }

    fn plan_look(&mut self) {
        self.next_look = Instant::now() + backoff::jitter(self.settings.observe_every, 0.75, 1.25);
    }

    /// Lets machine work end, so that what was done is remembered; other calls may be cut off anywhere.
    async fn drain(mut self) {
        let machines = self.jobs.values().filter(|job| matches!(job.on, On::Machine { .. })).count();
        if machines > 0 {
            tracing::info!(machines, "waiting for the work on machines to end");
        }
        let deadline = Instant::now() + DRAIN;
        while self.jobs.values().any(|job| matches!(job.on, On::Machine { .. })) {
            match tokio::time::timeout_at(deadline, self.work.join_next_with_id()).await {
                Ok(Some(joined)) => self.collect(joined).await,
                Ok(None) => break,
                Err(_) => {
                    tracing::warn!("work on machines did not end in time and is cut off");
                    break;
                }
            }
        }
        self.work.shutdown().await;
    }
}

const fn is_image(key: ObjectKey) -> bool {
    matches!(key.kind, freehold_types::agent::ObjectKind::Image)
}

#[cfg(test)]
mod tests;
