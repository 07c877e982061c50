//! Tasks with a name, a stop and a policy for failures.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::backoff::Backoff;

/// Tells tasks to stop. Clones watch the same signal.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Returns when it is time to stop.
    pub async fn requested(&mut self) {
        // An error means that the supervisor is gone, and with it the reason to go on.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it is time to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Owns tasks; clones own the same.
#[derive(Debug, Clone)]
pub struct Supervisor {
    stop: Arc<watch::Sender<bool>>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { stop: Arc::new(watch::Sender::new(false)), tasks: Arc::default() }
    }
}

impl Supervisor {
    /// The signal to stop.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(self.stop.subscribe())
    }

    /// Runs a task that ends by itself, such as a connection. When it panics, that is logged.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        tasks.spawn(task.instrument(tracing::info_span!("task", name)));
    }

    /// As [`Supervisor::keep`], for work that may be dropped at any await when the stop comes.
    pub fn keep_until_stop<F>(&self, name: &'static str, work: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.keep(name, move |mut shutdown| {
            let work = work();
            async move {
                tokio::select! {
                    () = shutdown.requested() => {}
                    () = work => {}
                }
            }
        });
    }

    /// Runs a task that must go on: when it ends before the stop, it is started again after a pause.
    pub fn keep<F>(&self, name: &'static str, task: impl Fn(Shutdown) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut shutdown = self.shutdown();
        self.spawn(name, async move {
            let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_mins(1));
            while !shutdown.is_requested() {
                let mut run = JoinSet::new();
                run.spawn(task(shutdown.clone()).instrument(tracing::Span::current()));
                if let Some(ended) = run.join_next().await {
                    report(ended);
                }
                if shutdown.is_requested() {
                    return;
                }
                tracing::error!(name, "a task that must go on has ended; it is started again");
                tokio::select! {
                    () = shutdown.requested() => {}
                    () = tokio::time::sleep(backoff.next_delay()) => {}
                }
            }
        });
    }

    /// Tells all tasks to stop and waits for them; those that take too long are dropped.
    pub async fn stop(&self, patience: Duration) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let finished = async {
            while let Some(ended) = tasks.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(patience, finished).await.is_err() {
            tracing::warn!(left = tasks.len(), "some tasks did not stop in time and are dropped");
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task has panicked");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_kept_task_is_started_again_after_it_failed() {
        let supervisor = Supervisor::default();
        let runs = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&runs);
        supervisor.keep("flaky", move |mut shutdown| {
            let run = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(run >= 2, "fails twice");
                shutdown.requested().await;
            }
        });
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        supervisor.stop(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_dropped() {
        let supervisor = Supervisor::default();
        supervisor.spawn("stubborn", std::future::pending());
        supervisor.stop(Duration::from_secs(1)).await;
    }
}
