//! Following the state: nothing is skipped, and whoever falls behind starts over.

use std::sync::Arc;
use std::time::Duration;

use freehold_store::{Event, Store, Transaction, Watch};
use freehold_types::Id;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::entities::Team;
use crate::harness::{Medium, describe, get, now, on_both_backends, team, write};

on_both_backends!(
    a_first_watch_begins_with_the_state,
    a_watch_resumes_where_it_stopped,
    a_watch_from_long_ago_starts_over,
    a_slow_watch_starts_over,
    a_watch_ends_with_the_store,
    a_condition_is_waited_for,
    watchers_that_come_while_writers_write_miss_nothing,
);

/// The next event as (what, its revision, the state's revision).
async fn next(watch: &mut Watch) -> Option<(&'static str, u64, u64)> {
    let event = timeout(Duration::from_secs(5), watch.next()).await.unwrap()?;
    Some(match event {
        Event::Reset(snapshot) => ("reset", snapshot.revision(), snapshot.revision()),
        Event::Commit(commit, snapshot) => ("commit", commit.revision, snapshot.revision()),
    })
}

async fn a_first_watch_begins_with_the_state(medium: Medium) {
    let store = medium.open();
    team(&store, "red").await;
    let mut watch = store.watch(None);
    assert_eq!(next(&mut watch).await, Some(("reset", 1, 1)));
    let blue = team(&store, "blue").await;
    let Some(Event::Commit(commit, snapshot)) = watch.next().await else { panic!("a commit was due") };
    assert_eq!((commit.revision, &commit.actor.who[..]), (2, "controller test"));
    assert_eq!(snapshot.get::<Team>(blue.id()), Some(&blue));
    let [change] = &commit.changes[..] else { panic!("one change was due") };
    assert!(change.before.is_none());
    assert_eq!(change.after.as_deref().and_then(|after| after.downcast::<Team>()), Some(&blue));
    write(&store, |transaction| transaction.delete(&blue)).await;
    let Some(Event::Commit(commit, _)) = watch.next().await else { panic!("a commit was due") };
    assert_eq!((commit.changes[0].before.is_some(), commit.changes[0].after.is_none()), (true, true));
}

async fn a_watch_resumes_where_it_stopped(medium: Medium) {
    let store = medium.open();
    for number in 1..=5 {
        team(&store, &number.to_string()).await;
    }
    let mut watch = store.watch(Some(3));
    assert_eq!(next(&mut watch).await, Some(("commit", 4, 5)));
    assert_eq!(next(&mut watch).await, Some(("commit", 5, 5)));
    team(&store, "6").await;
    assert_eq!(next(&mut watch).await, Some(("commit", 6, 6)));
    // From the head on, there is nothing to be told yet.
    let mut current = store.watch(Some(6));
    team(&store, "7").await;
    assert_eq!(next(&mut current).await, Some(("commit", 7, 7)));
}

async fn a_watch_from_long_ago_starts_over(medium: Medium) {
    let store = medium.open();
    for number in 1..=3 {
        team(&store, &number.to_string()).await;
    }
    store.close().await;
    // The commits before the start of the process are not kept.
    let store = medium.open();
    assert_eq!(next(&mut store.watch(Some(1))).await, Some(("reset", 3, 3)));
    let mut watch = store.watch(Some(3));
    team(&store, "4").await;
    assert_eq!(next(&mut watch).await, Some(("commit", 4, 4)));
    // A revision from another history's future is not believed.
    assert_eq!(next(&mut store.watch(Some(99))).await, Some(("reset", 4, 4)));
}

/// More commits than are kept for one who does not listen.
async fn flood(store: &Store) {
    let mut tasks = JoinSet::new();
    for _ in 0..1_500 {
        let store = store.clone();
        tasks.spawn(async move { team(&store, &Id::generate().to_string()).await });
    }
    tasks.join_all().await;
}

async fn a_slow_watch_starts_over(medium: Medium) {
    let store = medium.open();
    let mut watch = store.watch(None);
    assert_eq!(next(&mut watch).await, Some(("reset", 0, 0)));
    flood(&store).await;
    assert_eq!(next(&mut watch).await, Some(("reset", 1_500, 1_500)));
    // What the reset already showed is not told again.
    team(&store, "red").await;
    assert_eq!(next(&mut watch).await, Some(("commit", 1_501, 1_501)));
}

async fn a_watch_ends_with_the_store(medium: Medium) {
    let store = medium.open();
    let mut watch = store.watch(None);
    next(&mut watch).await;
    team(&store, "red").await;
    store.close().await;
    assert_eq!(next(&mut watch).await, Some(("commit", 1, 1)));
    assert_eq!(next(&mut watch).await, None);
    assert_eq!(timeout(Duration::from_secs(5), store.wait_until(|_| false)).await.unwrap().map(drop), None);
    // Who comes later sees the last state, and then the end.
    let mut late = store.watch(None);
    assert_eq!(next(&mut late).await, Some(("reset", 1, 1)));
    assert_eq!(next(&mut late).await, None);
}

async fn a_condition_is_waited_for(medium: Medium) {
    let store = medium.open();
    let waiting = store.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        waiting.wait_until(|snapshot| snapshot.count::<Team>() >= 3).await.unwrap().revision()
    });
    for number in 1..=4 {
        team(&store, &number.to_string()).await;
    }
    assert!((3..=4).contains(&tasks.join_next().await.unwrap().unwrap()));
}

/// Follows from nothing to a revision, and gives the state that the events alone lead to.
async fn follow(store: Store, to: u64) {
    let mut watch = store.watch(None);
    let mut known = 0;
    let mut names = std::collections::BTreeMap::new();
    while known < to || names.is_empty() {
        match watch.next().await.unwrap() {
            Event::Reset(snapshot) => {
                known = snapshot.revision();
                names = snapshot.all::<Team>().map(|team| (team.id(), team.spec.name.clone())).collect();
            }
            Event::Commit(commit, snapshot) => {
                assert_eq!(commit.revision, known + 1);
                assert!(snapshot.revision() >= commit.revision);
                known = commit.revision;
                for change in &commit.changes {
                    match change.after.as_deref().and_then(|after| after.downcast::<Team>()) {
                        Some(team) => drop(names.insert(team.id(), team.spec.name.clone())),
                        None => drop(names.remove(&change.key.id)),
                    }
                }
            }
        }
    }
    let snapshot = store.snapshot();
    let listed = snapshot.all::<Team>().map(|team| (team.id(), team.spec.name.clone())).collect();
    assert_eq!(names, listed, "{:?}", describe(&snapshot));
}

async fn watchers_that_come_while_writers_write_miss_nothing(medium: Medium) {
    let store = medium.open();
    let mut writers = JoinSet::new();
    let mut watchers = JoinSet::new();
    let gate = Arc::new(tokio::sync::Semaphore::new(8));
    for number in 0..100 {
        let (store, gate) = (store.clone(), Arc::clone(&gate));
        watchers.spawn(follow(store.clone(), 300));
        writers.spawn(async move {
            let _pass = gate.acquire().await.unwrap();
            let mut transaction = Transaction::default();
            let id = Id::generate();
            transaction.create(id, Team { name: number.to_string() }, now());
            store.commit(transaction, crate::harness::actor()).await.unwrap();
            let created = get::<Team>(&store, id);
            write(&store, |t| t.update(&created, Team { name: format!("new {number}") })).await;
            let updated = get::<Team>(&store, id);
            if number % 2 == 0 {
                write(&store, |transaction| transaction.delete(&updated)).await;
            } else {
                write(&store, |transaction| transaction.mark_deleting(&updated, now())).await;
            }
        });
    }
    writers.join_all().await;
    watchers.join_all().await;
    assert_eq!(store.snapshot().revision(), 300);
}
