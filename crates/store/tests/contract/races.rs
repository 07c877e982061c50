//! Many writers at once: limits hold, nothing is given twice, everybody reads their own writes.

use std::collections::BTreeSet;
use std::convert::Infallible;

use freehold_store::{Amounts, CommitError, Conflict, Snapshot, Store, Transaction};
use freehold_types::Id;
use tokio::task::JoinSet;

use crate::entities::{Machine, address_claim};
use crate::harness::{Medium, actor, create, get, machine, now, on_both_backends, team, try_write, write};

on_both_backends!(
    a_limit_is_exact,
    a_race_for_units_gives_out_each_once,
    a_race_for_addresses_gives_each_another,
    writers_read_what_they_wrote,
    a_plan_that_refuses_writes_nothing,
    a_plan_that_panics_takes_nobody_down,
    nothing_to_do_needs_no_commit,
    what_cannot_be_counted_is_refused,
);

const FOUR: Amounts = Amounts { vcpus: 4, ..Amounts::UNLIMITED };

async fn a_limit_is_exact(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await.id();
    let create = |vcpus| {
        move |transaction: &mut Transaction| {
            let name = Id::generate().to_string();
            transaction.create(Id::generate(), Machine { vcpus, ..Machine::new(red, &name) }, now());
            transaction.limit(red, FOUR);
        }
    };
    write(&store, create(3)).await;
    let over = Conflict::Exhausted { target: red, resource: "vcpus" };
    assert_eq!(try_write(&store, create(2)).await.map(drop), Err(over.clone()));
    write(&store, create(1)).await;
    assert_eq!(store.snapshot().usage(red).vcpus, 4);
    assert_eq!(try_write(&store, create(1)).await.map(drop), Err(over.clone()));
    // The limit alone, without a write, is judged as well.
    write(&store, |transaction| transaction.limit(red, FOUR)).await;
    let none = Amounts { vcpus: 3, ..FOUR };
    assert_eq!(try_write(&store, |t| t.limit(red, none)).await.map(drop), Err(over));
}

async fn a_race_for_units_gives_out_each_once(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let limit = Amounts { instances: 100, ..Amounts::UNLIMITED };
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let (store, team) = (store.clone(), red.id());
        tasks.spawn(async move {
            let plan = move |_: &Snapshot| {
                let mut transaction = Transaction::default();
                transaction.create(Id::generate(), Machine::new(team, &number.to_string()), now());
                transaction.limit(team, limit);
                Ok::<_, Infallible>((transaction, ()))
            };
            match store.transact(actor(), plan).await {
                Ok(Ok(_)) => true,
                Err(CommitError::Conflict(Conflict::Exhausted { .. })) => false,
                other => panic!("{other:?}"),
            }
        });
    }
    let succeeded = tasks.join_all().await.into_iter().filter(|succeeded| *succeeded).count();
    assert_eq!(succeeded, 100);
    assert_eq!(store.snapshot().count::<Machine>(), 100);
    assert_eq!(store.snapshot().usage(red.id()).instances, 100);
}

fn lowest_free_address(snapshot: &Snapshot) -> String {
    (1..100_000)
        .map(|number| format!("10.0.{}.{}", number / 256, number % 256))
        .find(|address| snapshot.claim(&address_claim(address)).is_none())
        .unwrap()
}

async fn elect(store: Store, team: Id) -> String {
    let plan = move |snapshot: &Snapshot| {
        let address = lowest_free_address(snapshot);
        let mut transaction = Transaction::default();
        let spec = Machine { address: Some(address.clone()), ..Machine::new(team, &address) };
        transaction.create(Id::generate(), spec, now());
        Ok::<_, Infallible>((transaction, address))
    };
    let Ok((address, committed)) = store.transact(actor(), plan).await.unwrap();
    assert!(committed.snapshot.claim(&address_claim(&address)).is_some());
    assert!(store.snapshot().claim(&address_claim(&address)).is_some());
    address
}

async fn a_race_for_addresses_gives_each_another(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let mut tasks = JoinSet::new();
    for _ in 0..1_000 {
        tasks.spawn(elect(store.clone(), red.id()));
    }
    let elected: BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(elected.len(), 1_000);
    // None is left out either.
    assert_eq!(lowest_free_address(&store.snapshot()), "10.0.3.233");
    assert_eq!(store.snapshot().revision(), 1_001);
}

async fn writers_read_what_they_wrote(medium: Medium) {
    let store = medium.open();
    let mut tasks = JoinSet::new();
    for writer in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0..20 {
                let created = team(&store, &format!("{writer}-{number}")).await;
                assert_eq!(get(&store, created.id()), created);
                assert!(store.snapshot().revision() >= created.meta.revision);
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.snapshot().revision(), 320);
}

async fn a_plan_that_refuses_writes_nothing(medium: Medium) {
    let store = medium.open();
    let refused = store.transact(actor(), |_| Err::<(Transaction, ()), _>("no")).await.unwrap();
    assert_eq!(refused.map(drop), Err("no"));
    // A refusal on the writer's head counts too: the first plan is too late, the second sees why.
    let red = team(&store, "red").await;
    let one = machine(&store, &red, "one").await;
    let stale = one.clone();
    write(&store, |transaction| transaction.observe(&one, "running".to_owned())).await;
    let tries = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = std::sync::Arc::clone(&tries);
    let plan = move |_: &Snapshot| {
        if counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            return Err("gave up");
        }
        let mut transaction = Transaction::default();
        transaction.delete(&stale);
        Ok((transaction, ()))
    };
    assert_eq!(store.transact(actor(), plan).await.unwrap().map(drop), Err("gave up"));
    assert_eq!(tries.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert_eq!(store.snapshot().revision(), 3);
}

async fn a_plan_that_panics_takes_nobody_down(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let stale = red.clone();
    write(&store, |transaction| transaction.mark_deleting(&red, now())).await;
    let mut tasks = JoinSet::new();
    let handle = store.clone();
    tasks.spawn(async move {
        let plan = move |snapshot: &Snapshot| {
            let mut transaction = Transaction::default();
            transaction.delete(&stale);
            // The first attempt, on the caller's side, comes back stale; this is the writer's.
            assert!(
                std::thread::current().name() != Some("store-writer"),
                "at revision {}",
                snapshot.revision()
            );
            Ok::<_, Infallible>((transaction, ()))
        };
        handle.transact(actor(), plan).await.map(drop)
    });
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    create(&store, crate::entities::Team { name: "blue".to_owned() }).await;
}

async fn nothing_to_do_needs_no_commit(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let plan = |_: &Snapshot| Ok::<_, Infallible>((Transaction::default(), "done"));
    let Ok((extra, committed)) = store.transact(actor(), plan).await.unwrap();
    assert_eq!((extra, committed.revision), ("done", 1));
    store.close().await;
    // It does not even need the writer; a demand does.
    let Ok((_, committed)) = store.transact(actor(), plan).await.unwrap();
    assert_eq!(committed.snapshot.get(red.id()), Some(&red));
    let demand = move |_: &Snapshot| {
        let mut transaction = Transaction::default();
        transaction.expect(&red);
        Ok::<_, Infallible>((transaction, ()))
    };
    assert!(matches!(store.transact(actor(), demand).await, Err(CommitError::Closed)));
}

async fn what_cannot_be_counted_is_refused(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let huge = |name: &str| Machine { vcpus: u64::MAX, ..Machine::new(red.id(), name) };
    let one = create(&store, huge("one")).await;
    let second =
        try_write(&store, |transaction| transaction.create(Id::generate(), huge("two"), now())).await;
    assert_eq!(second.map(drop), Err(Conflict::Exhausted { target: red.id(), resource: "vcpus" }));
    write(&store, |transaction| transaction.delete(&one)).await;
    assert_eq!(store.snapshot().usage(red.id()), Amounts::default());
}
