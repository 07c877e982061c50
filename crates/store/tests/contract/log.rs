//! The change log: who did what to which object, in pages, and forgetting it.

use std::time::Duration;

use freehold_store::{LogEntry, LogQuery, Store, Transaction};
use freehold_types::{Id, Timestamp};
use tokio::task::JoinSet;

use crate::entities::{Machine, Team};
use crate::harness::{Medium, get, machine, now, on_both_backends, team, write};

on_both_backends!(
    each_change_is_a_line,
    pages_join_without_a_gap,
    the_log_outlives_its_objects,
    old_lines_are_forgotten,
    trimming_lets_writers_pass,
);

async fn lines(store: &Store, query: LogQuery) -> Vec<LogEntry> {
    store.log(query).await.unwrap()
}

async fn each_change_is_a_line(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let one = machine(&store, &red, "one").await;
    write(&store, |transaction| transaction.observe(&one, "up".to_owned())).await;
    let one = get::<Machine>(&store, one.id());
    write(&store, |transaction| transaction.update(&one, Machine { vcpus: 2, ..one.spec.clone() })).await;
    let one = get::<Machine>(&store, one.id());
    write(&store, |transaction| transaction.mark_deleting(&one, now())).await;
    let one = get::<Machine>(&store, one.id());
    write(&store, |transaction| {
        transaction.delete(&one);
        transaction.delete(&red);
    })
    .await;
    let all = lines(&store, LogQuery::default()).await;
    let told: Vec<_> = all.iter().map(|line| (line.revision, &line.action[..], &line.label[..])).collect();
    let expected = [
        (6, "delete", "red"),
        (6, "delete", "one"),
        (5, "deleting", "one"),
        (4, "update", "one"),
        (3, "status", "one"),
        (2, "create", "one"),
        (1, "create", "red"),
    ];
    assert_eq!(told, expected);
    let first = &all[6];
    assert_eq!((&first.who[..], &first.from[..], &first.why[..]), ("controller test", "", "because"));
    assert_eq!((&first.kind[..], first.id), ("team", red.id()));

    let of_red = lines(&store, LogQuery { id: Some(red.id()), ..LogQuery::default() }).await;
    assert_eq!(of_red.iter().map(|line| line.revision).collect::<Vec<_>>(), [6, 1]);
    let wanted = LogQuery { id: Some(one.id()), without_status: true, limit: 3, ..LogQuery::default() };
    let of_one = lines(&store, wanted.clone()).await;
    assert_eq!(of_one.iter().map(|line| line.revision).collect::<Vec<_>>(), [6, 5, 4]);
    let rest = lines(&store, LogQuery { before: Some(4), ..wanted }).await;
    assert_eq!(rest.iter().map(|line| line.revision).collect::<Vec<_>>(), [2]);
}

/// Seven commits of one to seven teams.
async fn staircase(store: &Store) {
    for size in 1..=7 {
        write(store, |transaction| {
            for number in 0..size {
                transaction.create(Id::generate(), Team { name: format!("{size}-{number}") }, now());
            }
        })
        .await;
    }
}

async fn pages_join_without_a_gap(medium: Medium) {
    let store = medium.open();
    staircase(&store).await;
    let all = lines(&store, LogQuery::default()).await;
    assert_eq!(all.len(), 28);
    for limit in 1..=30 {
        let mut joined = Vec::new();
        let mut before = None;
        loop {
            let page = lines(&store, LogQuery { before, limit, ..LogQuery::default() }).await;
            let Some(last) = page.last() else { break };
            before = Some(last.revision);
            // It is as long as asked for, but for the rest of its last commit.
            let whole = page.iter().filter(|line| line.revision == last.revision).count();
            assert!(page.len() < usize::try_from(limit).unwrap() + whole);
            joined.extend(page);
        }
        assert_eq!(joined, all, "with pages of {limit}");
    }
}

async fn the_log_outlives_its_objects(medium: Medium) {
    let store = medium.open();
    staircase(&store).await;
    let before = lines(&store, LogQuery::default()).await;
    store.close().await;
    let store = medium.open();
    assert_eq!(lines(&store, LogQuery::default()).await, before);
}

async fn old_lines_are_forgotten(medium: Medium) {
    let store = medium.open();
    staircase(&store).await;
    store.trim_log(Timestamp::from_millis(1)).await.unwrap();
    assert_eq!(lines(&store, LogQuery::default()).await.len(), 28);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let cut = now();
    team(&store, "late").await;
    store.trim_log(cut).await.unwrap();
    let left = lines(&store, LogQuery::default()).await;
    assert_eq!(left.iter().map(|line| &line.label[..]).collect::<Vec<_>>(), ["late"]);
    // The objects are untouched.
    assert_eq!(store.snapshot().count::<Team>(), 29);
}

async fn trimming_lets_writers_pass(medium: Medium) {
    let store = medium.open();
    let mut many = Transaction::default();
    for _ in 0..3_000 {
        many.create(Id::generate(), Team { name: Id::generate().to_string() }, now());
    }
    store.commit(many, crate::harness::actor()).await.unwrap();
    let cut = now() + Duration::from_mins(1);
    let trimming = store.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { trimming.trim_log(cut).await.unwrap() });
    for number in 0..20 {
        team(&store, &number.to_string()).await;
    }
    tasks.join_all().await;
    store.trim_log(cut).await.unwrap();
    assert_eq!(lines(&store, LogQuery::default()).await, []);
    // Trimming that nobody waits for any more stops, and the writer goes on.
    let _ = tokio::time::timeout(Duration::ZERO, store.trim_log(cut)).await;
    team(&store, "last").await;
}
