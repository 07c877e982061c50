//! Carries moves of machines between hosts on, and sends the machines of hosts that are to be emptied away.
//!
//! Woken by commits; at a start, and after falling behind, it looks at everything. While a move is under way or a
//! host is being emptied it also looks now and then, since time alone can bring the next step. What to do is
//! decided in [`freehold_kinds::migration`], from the state alone.

use std::collections::BTreeSet;
use std::time::Duration;

use freehold_kinds::hypervisor::Hypervisor;
use freehold_kinds::migration::{evacuation, follow};
use freehold_runtime::Supervisor;
use freehold_store::{Actor, Entity, Event, Key, Snapshot, Store, Transaction};
use freehold_types::{Id, Timestamp};

/// How often it looks while there is something to wait for.
const EVERY: Duration = Duration::from_secs(5);

/// Starts the task.
pub(crate) fn start(store: &Store, supervisor: &Supervisor) {
    let store = store.clone();
    supervisor.keep_until_stop("mover", move || {
        let store = store.clone();
        async move { run(&store).await }
    });
}

async fn run(store: &Store) {
    let mut watch = store.watch(None);
    let mut mover = Mover::default();
    loop {
        let wait = async {
            if mover.is_idle() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(EVERY).await;
        };
        tokio::select! {
            event = watch.next() => match event {
                Some(Event::Reset(snapshot)) => {
                    mover.look(&snapshot);
                    mover.work(store).await;
                }
                Some(Event::Commit(commit, snapshot)) => {
                    if mover.hear(&commit.changes, &snapshot) {
                        mover.work(store).await;
                    }
                }
                None => return,
            },
            () = wait => mover.work(store).await,
        }
    }
}

/// What is under way.
#[derive(Debug, Default)]
struct Mover {
    moves: BTreeSet<Key>,
    hosts: BTreeSet<Id>,
}

impl Mover {
    fn is_idle(&self) -> bool {
        self.moves.is_empty() && self.hosts.is_empty()
    }

    /// Finds all that is under way.
    fn look(&mut self, snapshot: &Snapshot) {
        let keys = snapshot.everything().map(|object| object.key());
        self.moves = keys.filter(|key| follow::is_under_way(*key, snapshot)).collect();
        let hosts = snapshot.all::<Hypervisor>().filter(|host| host.spec.evacuation.is_some());
        self.hosts = hosts.map(freehold_store::Object::id).collect();
    }

    /// Takes changes in; says whether any of them matters.
    fn hear(&mut self, changes: &[freehold_store::Change], snapshot: &Snapshot) -> bool {
        let mut matters = false;
        for change in changes {
            for key in follow::affected(change, snapshot) {
                matters = true;
                self.moves.insert(key);
            }
            let id = change.key.id;
            if change.key.kind == Hypervisor::KIND
                && snapshot.get::<Hypervisor>(id).is_some_and(|host| host.spec.evacuation.is_some())
            {
                matters = true;
                self.hosts.insert(id);
            }
        }
        matters
    }

    /// Makes every step that can be made now, and forgets what has ended.
    async fn work(&mut self, store: &Store) {
        for key in self.moves.clone() {
            let step = move |snapshot: &Snapshot| follow::step(key, snapshot, Timestamp::now());
            act(store, "a machine moves", step).await;
        }
        for host in self.hosts.clone() {
            let next = move |snapshot: &Snapshot| evacuation::next(host, snapshot, Timestamp::now());
            // One at a time, each from the state that the one before it left.
            while act(store, "a host is being emptied", next).await {}
        }
        let snapshot = store.snapshot();
        self.moves.retain(|key| follow::is_under_way(*key, &snapshot));
        let now = Timestamp::now();
        self.hosts.retain(|id| {
            snapshot.get::<Hypervisor>(*id).is_some_and(|host| evacuation::is_active(host, &snapshot, now))
        });
    }
}

/// Commits what a plan gives, if anything; says whether it did.
async fn act(
    store: &Store,
    why: &str,
    plan: impl Fn(&Snapshot) -> Option<Transaction> + Clone + Send + Sync + 'static,
) -> bool {
    if plan(&store.snapshot()).is_none() {
        return false;
    }
    let commit = move |snapshot: &Snapshot| {
        let transaction = plan(snapshot);
        let done = transaction.is_some();
        Ok::<_, ()>((transaction.unwrap_or_default(), done))
    };
    match store.transact(Actor::internal("mover", why), commit).await {
        Ok(Ok((done, _))) => done,
        // The plan never refuses.
        Ok(Err(())) => false,
        Err(error) => {
            tracing::warn!(%error, "a move could not be carried on yet; it is tried again");
            false
        }
    }
}
