//! Removes objects on their way out as soon as nothing is left of them on any node.
//!
//! Woken by commits; at a start, and after falling behind, it looks at everything.

use freehold_kinds::finalize;
use freehold_runtime::Supervisor;
use freehold_store::{Actor, Event, Key, Snapshot, Store};

/// Starts the task.
pub(crate) fn start(store: &Store, supervisor: &Supervisor) {
    let store = store.clone();
    supervisor.keep("finalizer", move |mut shutdown| {
        let store = store.clone();
        async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = run(&store) => {}
            }
        }
    });
}

async fn run(store: &Store) {
    let mut watch = store.watch(None);
    while let Some(event) = watch.next().await {
        match event {
            Event::Reset(snapshot) => {
                let deleting = snapshot.everything().filter(|object| object.meta().deleting.is_some());
                for key in deleting.map(|object| object.key()).collect::<Vec<_>>() {
                    remove(store, key, &snapshot).await;
                }
            }
            Event::Commit(commit, snapshot) => {
                for change in &commit.changes {
                    for key in finalize::affected(change, &snapshot) {
                        remove(store, key, &store.snapshot()).await;
                    }
                }
            }
        }
    }
}

async fn remove(store: &Store, key: Key, snapshot: &Snapshot) {
    if finalize::removal(key, snapshot).is_none() {
        return;
    }
    let actor = Actor::internal("finalizer", "nothing is left on any node");
    let plan =
        move |snapshot: &Snapshot| Ok::<_, ()>((finalize::removal(key, snapshot).unwrap_or_default(), ()));
    if let Err(error) = store.transact(actor, plan).await {
        // The next change of the object, or the next start, tries again.
        tracing::warn!(%key, %error, "an object could not be removed yet");
    }
}
