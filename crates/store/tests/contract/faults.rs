//! A medium that fails: whatever write it is, the state is as if it had never been asked for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use freehold_store::{
    Backend, BackendError, Commit, CommitError, Head, LogEntry, LogQuery, OpenError, Record, Store,
    Transaction,
};
use freehold_types::{Id, Timestamp};
use tokio::task::JoinSet;

use crate::entities::{Machine, NoteV1, NoteV3, Team, registry};
use crate::harness::{
    Medium, actor, commit, create, describe, get, machine, now, on_both_backends, outline, team, write,
};

on_both_backends!(
    a_failed_write_changes_nothing,
    every_write_can_fail_and_be_tried_again,
    all_that_rests_on_a_failed_write_fails,
    an_upgrade_that_fails_can_be_tried_again,
);

/// Fails the write with a given number, counted from one.
struct Faulty {
    inner: Box<dyn Backend>,
    written: u32,
    fails_at: Arc<AtomicU32>,
}

impl Faulty {
    fn new(medium: &Medium, fails_at: u32) -> (Self, Arc<AtomicU32>) {
        let fails_at = Arc::new(AtomicU32::new(fails_at));
        (Self { inner: medium.backend(), written: 0, fails_at: Arc::clone(&fails_at) }, fails_at)
    }
}

impl Backend for Faulty {
    fn load(&mut self, take: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<Head, BackendError> {
        self.inner.load(take)
    }

    fn persist(&mut self, commits: &[Arc<Commit>]) -> Result<(), BackendError> {
        self.written += 1;
        if self.written == self.fails_at.load(Ordering::SeqCst) {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(BackendError::Io { path: "faulty".into(), action: "written", source });
        }
        self.inner.persist(commits)
    }

    fn log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BackendError> {
        self.inner.log(query)
    }

    fn trim_log(&mut self, before: Timestamp) -> Result<bool, BackendError> {
        self.inner.trim_log(before)
    }
}

fn open_faulty(medium: &Medium, fails_at: u32) -> Store {
    Store::open(Faulty::new(medium, fails_at).0, registry()).unwrap()
}

async fn a_failed_write_changes_nothing(medium: Medium) {
    let store = open_faulty(&medium, 2);
    let red = team(&store, "red").await;
    let before = describe(&store.snapshot());
    let mut watch = store.watch(Some(1));
    let mut renaming = Transaction::default();
    renaming.update(&red, Team { name: "blue".to_owned() });
    let error = commit(&store, renaming.clone()).await.unwrap_err();
    assert!(matches!(error, CommitError::Backend(_)));
    let chain = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert_eq!(chain, "the write could not be made durable: the store at faulty cannot be written");
    assert_eq!(describe(&store.snapshot()), before);
    assert_eq!(store.snapshot().revision(), 1);
    // The same transaction still fits, and its revision was not used up.
    assert_eq!(commit(&store, renaming).await.unwrap().revision, 2);
    let Some(freehold_store::Event::Commit(seen, _)) = watch.next().await else { panic!("a commit was due") };
    assert_eq!(seen.revision, 2);
}

/// A small day: the steps are tried again until they succeed.
async fn day(store: &Store) -> u32 {
    let mut failures = 0;
    let ids: Vec<_> = (1..=4).map(Id::from_u64).collect();
    for step in 0..6 {
        loop {
            let mut transaction = Transaction::default();
            match step {
                0 => transaction.create(ids[0], Team { name: "red".to_owned() }, Timestamp::default()),
                1 | 2 => {
                    let spec = Machine::new(ids[0], &format!("machine {step}"));
                    transaction.create(ids[step], spec, Timestamp::default());
                }
                3 => transaction.observe(&get::<Machine>(store, ids[1]), "up".to_owned()),
                4 => transaction.mark_deleting(&get::<Machine>(store, ids[2]), Timestamp::default()),
                _ => {
                    transaction.delete(&get::<Machine>(store, ids[2]));
                    let spec = Machine::new(ids[0], "heir of machine 2");
                    transaction.create(ids[3], spec, Timestamp::default());
                }
            }
            match commit(store, transaction).await {
                Ok(_) => break,
                Err(CommitError::Backend(_)) => failures += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    failures
}

async fn every_write_can_fail_and_be_tried_again(medium: Medium) {
    let undisturbed = medium.open();
    assert_eq!(day(&undisturbed).await, 0);
    let expected = outline(&undisturbed);
    for fails_at in 1..=6 {
        let fresh = match &medium {
            Medium::Memory(_) => Medium::memory(),
            Medium::Sqlite(_) => Medium::sqlite(),
        };
        let store = open_faulty(&fresh, fails_at);
        assert_eq!(day(&store).await, 1);
        assert_eq!(outline(&store), expected, "after a failure of write {fails_at}");
        store.close().await;
        assert_eq!(outline(&fresh.open()), expected, "after a failure of write {fails_at} and a restart");
    }
}

async fn all_that_rests_on_a_failed_write_fails(medium: Medium) {
    let store = open_faulty(&medium, 2);
    let red = team(&store, "red").await;
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (store, team) = (store.clone(), red.id());
        tasks.spawn(async move {
            let mut transaction = Transaction::default();
            // All want the same name: one gets it, and the others lose to a winner that is durable.
            transaction.create(Id::generate(), Machine::new(team, "one"), now());
            store.commit(transaction, actor()).await
        });
    }
    let mut won = 0;
    for answer in tasks.join_all().await {
        match answer {
            Ok(_) => won += 1,
            Err(CommitError::Backend(_)) => {}
            Err(CommitError::Conflict(_)) => assert_eq!(store.snapshot().count::<Machine>(), 1),
            Err(CommitError::Closed) => panic!("the store is open"),
        }
    }
    assert_eq!(store.snapshot().count::<Machine>(), won);
    if won == 0 {
        machine(&store, &red, "one").await;
    }
    write(&store, |transaction| transaction.mark_deleting(&red, now())).await;
    store.close().await;
    assert_eq!(medium.open().snapshot().count::<Machine>(), 1);
}

async fn an_upgrade_that_fails_can_be_tried_again(medium: Medium) {
    let store = medium.open_with(registry().with::<NoteV1>()).unwrap();
    let note = create(&store, NoteV1 { text: "milk".to_owned() }).await;
    store.close().await;
    let faulty = Faulty::new(&medium, 1).0;
    let refused = Store::open(faulty, registry().with::<NoteV3>()).unwrap_err();
    assert!(matches!(refused, OpenError::Backend(_)));
    let old = medium.open_with(registry().with::<NoteV1>()).unwrap();
    assert_eq!(get::<NoteV1>(&old, note.id()), note);
    old.close().await;
    let upgraded = medium.open_with(registry().with::<NoteV3>()).unwrap();
    assert_eq!(get::<NoteV3>(&upgraded, note.id()).spec.tags, ["milk"]);
}
