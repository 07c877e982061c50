//! Opens stores on either backend, and says in a few words what tests do all the time.

use std::path::PathBuf;
use std::sync::Arc;

use freehold_store::{
    Actor, Backend, Committed, Conflict, Entity, Memory, Object, OpenError, Registry, Sealer, Snapshot,
    Sqlite, Store, Transaction,
};
use freehold_store::{CommitError, Key};
use freehold_types::{Id, Timestamp};
use tempfile::TempDir;

use crate::entities::{Machine, Team, registry};

/// Makes a test of each function for each backend.
macro_rules! on_both_backends {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::harness::Medium::memory()).await;
            })*
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::harness::Medium::sqlite()).await;
            })*
        }
    };
}
pub(crate) use on_both_backends;

/// Where a store keeps its data, and can be opened again.
#[derive(Debug, Clone)]
pub(crate) enum Medium {
    Memory(Memory),
    Sqlite(Arc<TempDir>),
}

pub(crate) fn sealer() -> Sealer {
    Sealer::new(&[42; 32])
}

impl Medium {
    pub(crate) fn memory() -> Self {
        Self::Memory(Memory::default())
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(Arc::new(TempDir::new().unwrap()))
    }

    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Memory(_) => None,
            Self::Sqlite(directory) => Some(directory.path().join("store.db")),
        }
    }

    pub(crate) fn backend(&self) -> Box<dyn Backend> {
        match self {
            Self::Memory(memory) => Box::new(memory.clone()),
            Self::Sqlite(_) => Box::new(Sqlite::open(&self.path().unwrap(), sealer()).unwrap()),
        }
    }

    pub(crate) fn open(&self) -> Store {
        self.open_with(registry()).unwrap()
    }

    pub(crate) fn open_with(&self, registry: Registry) -> Result<Store, OpenError> {
        Store::open(self.backend(), registry)
    }
}

pub(crate) fn actor() -> Actor {
    Actor::internal("test", "because")
}

pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

pub(crate) async fn commit(store: &Store, transaction: Transaction) -> Result<Committed, CommitError> {
    store.commit(transaction, actor()).await
}

/// Commits what is built in the closure.
pub(crate) async fn write(store: &Store, build: impl FnOnce(&mut Transaction)) -> Committed {
    try_write(store, build).await.unwrap()
}

/// Commits what is built in the closure, or tells the conflict.
pub(crate) async fn try_write(
    store: &Store,
    build: impl FnOnce(&mut Transaction),
) -> Result<Committed, Conflict> {
    let mut transaction = Transaction::default();
    build(&mut transaction);
    match commit(store, transaction).await {
        Ok(committed) => Ok(committed),
        Err(CommitError::Conflict(conflict)) => Err(conflict),
        Err(other) => panic!("{other}"),
    }
}

pub(crate) async fn create<E: Entity>(store: &Store, spec: E) -> Object<E> {
    let id = Id::generate();
    let committed = write(store, |transaction| transaction.create(id, spec, now())).await;
    committed.snapshot.get(id).unwrap().clone()
}

pub(crate) async fn team(store: &Store, name: &str) -> Object<Team> {
    create(store, Team { name: name.to_owned() }).await
}

pub(crate) async fn machine(store: &Store, team: &Object<Team>, name: &str) -> Object<Machine> {
    create(store, Machine::new(team.id(), name)).await
}

pub(crate) fn get<E: Entity>(store: &Store, id: Id) -> Object<E> {
    store.snapshot().get(id).unwrap().clone()
}

pub(crate) fn key<E: Entity>(object: &Object<E>) -> Key {
    object.key()
}

/// Everything a snapshot knows, in comparable words.
pub(crate) fn describe(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    for object in snapshot.everything() {
        let id = object.key().id;
        let document = object.document().unwrap();
        lines.push(format!("{} {} {} {document}", object.key(), object.meta().revision, object.schema()));
        lines.extend(object.claims().iter().map(|claim| format!("{claim} {:?}", snapshot.claim(claim))));
        let referrers: Vec<_> = snapshot.referrer_keys(id).collect();
        lines.push(format!("named by {referrers:?}, used {:?}", snapshot.usage(id)));
        if let Some((group, _)) = object.rank(&snapshot.usage(id)) {
            lines.push(format!("ranked {:?}", snapshot.ranked(group).collect::<Vec<_>>()));
        }
    }
    lines.sort();
    lines
}

/// The state without its times, which differ from run to run, but with its revision.
pub(crate) fn outline(store: &Store) -> Vec<String> {
    let times = |line: String| {
        let (start, rest) = line.split_once("\"updated_at\":").unwrap_or((&line, ""));
        format!("{start}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
    };
    let mut lines: Vec<_> = describe(&store.snapshot()).into_iter().map(times).collect();
    lines.push(format!("revision {}", store.snapshot().revision()));
    lines
}
