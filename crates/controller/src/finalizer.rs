//! Removes objects on their way out as soon as nothing is left of them on any node, and at a start makes what
//! an older version did not know of.
//!
//! Woken by commits; at a start, and after falling behind, it looks at everything. What could not be removed
//! is tried again after a while.

use std::collections::BTreeSet;
use std::time::Duration;

use freehold_kinds::{domain, finalize};
use freehold_runtime::{Backoff, Supervisor};
use freehold_store::{Actor, CommitError, Event, Key, Snapshot, Store};
use freehold_types::Timestamp;
use tokio::time::Instant;

/// How long failed removals wait before they are tried again, and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const MOST_WAIT: Duration = Duration::from_mins(1);

/// Starts the task.
pub(crate) fn start(store: &Store, supervisor: &Supervisor) {
    let store = store.clone();
    supervisor.keep_until_stop("finalizer", move || {
        let store = store.clone();
        async move { run(&store).await }
    });
}

async fn run(store: &Store) {
    let mut watch = store.watch(None);
    let mut removals = Removals::new();
    loop {
        tokio::select! {
            event = watch.next() => match event {
                Some(event) => removals.hear(store, event).await,
                None => return,
            },
            () = removals.due() => removals.retry(store).await,
        }
    }
}

/// Removals, and those that have failed.
struct Removals {
    failed: BTreeSet<Key>,
    backoff: Backoff,
    next: Instant,
}

impl Removals {
    fn new() -> Self {
        Self { failed: BTreeSet::new(), backoff: Backoff::new(FIRST_WAIT, MOST_WAIT), next: Instant::now() }
    }

    async fn hear(&mut self, store: &Store, event: Event) {
        match event {
            Event::Reset(snapshot) => {
                complete(store).await;
                let deleting = snapshot.everything().filter(|object| object.meta().deleting.is_some());
                for key in deleting.map(|object| object.key()).collect::<Vec<_>>() {
                    self.remove(store, key).await;
                }
            }
            Event::Commit(commit, snapshot) => {
                for change in &commit.changes {
                    for key in finalize::affected(change, &snapshot) {
                        self.remove(store, key).await;
                    }
                }
            }
        }
    }

    /// When failed removals are to be tried again; never, when there are none.
    async fn due(&self) {
        if self.failed.is_empty() {
            return std::future::pending().await;
        }
        tokio::time::sleep_until(self.next).await;
    }

    async fn retry(&mut self, store: &Store) {
        for key in std::mem::take(&mut self.failed) {
            self.remove(store, key).await;
        }
        if self.failed.is_empty() {
            self.backoff.reset();
        } else {
            self.next = Instant::now() + self.backoff.next_delay();
        }
    }

    async fn remove(&mut self, store: &Store, key: Key) {
        if let Err(error) = remove(store, key).await {
            tracing::warn!(%key, %error, "an object could not be removed yet");
            if self.failed.is_empty() {
                self.next = Instant::now() + FIRST_WAIT;
            }
            self.failed.insert(key);
        }
    }
}

/// Makes what is missing of the controller's own objects.
async fn complete(store: &Store) {
    while domain::missing(&store.snapshot(), Timestamp::now()).is_some() {
        let actor = Actor::internal("finalizer", "an older version did not know of domains");
        let plan = |snapshot: &Snapshot| {
            Ok::<_, ()>((domain::missing(snapshot, Timestamp::now()).unwrap_or_default(), ()))
        };
        if let Err(error) = store.transact(actor, plan).await {
            tracing::error!(%error, "domains could not be made; edges may not answer for all names until a restart");
            return;
        }
    }
}

async fn remove(store: &Store, key: Key) -> Result<(), CommitError> {
    if finalize::removal(key, &store.snapshot()).is_none() {
        return Ok(());
    }
    let actor = Actor::internal("finalizer", "nothing is left on any node");
    let plan =
        move |snapshot: &Snapshot| Ok::<_, ()>((finalize::removal(key, snapshot).unwrap_or_default(), ()));
    // The plan never refuses, so the inner result is always good.
    store.transact(actor, plan).await.map(drop)
}
