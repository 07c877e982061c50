//! Random sequences of commits: both backends tell the same story, and so does a watch.

use std::collections::BTreeMap;

use freehold_store::{CommitError, Event, Key, Snapshot, Store, Transaction, Watch};
use freehold_types::{Id, Timestamp};
use proptest::prelude::*;

use crate::entities::{Host, Machine, Team, Token};
use crate::harness::{Medium, actor, describe, outline};

#[derive(Debug, Clone)]
enum Step {
    Team(u64, u8),
    Host(u64, u64),
    Machine { id: u64, team: u64, host: Option<u64>, name: u8, address: Option<u8> },
    Token(u64, u8),
    Observe(u64, u8),
    Mark(u64),
    Delete(u64),
    Limit(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let machine = (20_u64..25, 0_u64..3, prop::option::of(10_u64..13), 0_u8..4, prop::option::of(0_u8..3));
    prop_oneof![
        2 => (0_u64..3, 0_u8..4).prop_map(|(id, name)| Step::Team(id, name)),
        2 => (10_u64..13, 0_u64..3).prop_map(|(id, handicap)| Step::Host(id, handicap)),
        4 => machine.prop_map(|(id, team, host, name, address)| Step::Machine { id, team, host, name, address }),
        1 => (30_u64..32, 0_u8..4).prop_map(|(id, value)| Step::Token(id, value)),
        2 => (20_u64..25, 0_u8..3).prop_map(|(id, status)| Step::Observe(id, status)),
        1 => (0_u64..25).prop_map(Step::Mark),
        2 => (0_u64..32).prop_map(Step::Delete),
        1 => (10_u64..13, 0_u64..3).prop_map(|(id, instances)| Step::Limit(id, instances)),
    ]
}

fn put<E: freehold_store::Entity>(snapshot: &Snapshot, transaction: &mut Transaction, id: u64, spec: E) {
    let id = Id::from_u64(id);
    match snapshot.get::<E>(id) {
        Some(object) => transaction.update(object, spec),
        None => transaction.create(id, spec, Timestamp::default()),
    }
}

fn transaction(snapshot: &Snapshot, steps: &[Step]) -> Transaction {
    let mut transaction = Transaction::default();
    let t = &mut transaction;
    let machine = |id: &u64| snapshot.get::<Machine>(Id::from_u64(*id));
    for step in steps {
        match step {
            Step::Team(id, name) => put(snapshot, t, *id, Team { name: name.to_string() }),
            Step::Host(id, handicap) => {
                put(snapshot, t, *id, Host { group: Id::from_u64(99), handicap: *handicap });
            }
            Step::Machine { id, team, host, name, address } => {
                let spec = Machine {
                    host: host.map(Id::from_u64),
                    address: address.map(|address| address.to_string()),
                    ..Machine::new(Id::from_u64(*team), &name.to_string())
                };
                put(snapshot, t, *id, spec);
            }
            Step::Token(id, value) => put(snapshot, t, *id, Token { value: value.to_string().into() }),
            Step::Observe(id, status) => {
                if let Some(found) = machine(id) {
                    t.observe(found, status.to_string());
                }
            }
            Step::Mark(id) => {
                if let Some(found) = snapshot.get::<Team>(Id::from_u64(*id)) {
                    t.mark_deleting(found, Timestamp::from_millis(5));
                } else if let Some(found) = machine(id) {
                    t.mark_deleting(found, Timestamp::from_millis(5));
                }
            }
            Step::Delete(id) => {
                let found = snapshot.everything().find(|object| object.key().id == Id::from_u64(*id));
                if let Some(found) = found {
                    t.delete_any(found.as_ref());
                }
            }
            Step::Limit(id, instances) => {
                let limit =
                    freehold_store::Amounts { instances: *instances, ..freehold_store::Amounts::UNLIMITED };
                t.limit(Id::from_u64(*id), limit);
            }
        }
    }
    transaction
}

/// Plays a sequence: what was answered to each, by revision or conflict.
async fn play(store: &Store, sequence: &[Vec<Step>]) -> Vec<String> {
    let mut answers = Vec::new();
    for steps in sequence {
        let before = store.snapshot();
        match store.commit(transaction(&before, steps), actor()).await {
            Ok(committed) => {
                assert!(
                    committed.revision == before.revision() || committed.revision == before.revision() + 1
                );
                assert_eq!(store.snapshot().revision(), committed.revision);
                answers.push(committed.revision.to_string());
            }
            Err(CommitError::Conflict(conflict)) => {
                assert_eq!(describe(&store.snapshot()), describe(&before));
                answers.push(conflict.to_string());
            }
            Err(other) => panic!("{other}"),
        }
    }
    answers
}

/// The documents that a watch leads to.
async fn follow(mut watch: Watch, to: u64) -> BTreeMap<Key, String> {
    let mut documents = BTreeMap::new();
    let mut known = None;
    while known != Some(to) {
        match watch.next().await.unwrap() {
            Event::Reset(snapshot) => {
                known = Some(snapshot.revision());
                documents = list(&snapshot);
            }
            Event::Commit(commit, _) => {
                known = Some(commit.revision);
                for change in &commit.changes {
                    match &change.after {
                        Some(after) => drop(documents.insert(change.key, after.document().unwrap())),
                        None => drop(documents.remove(&change.key)),
                    }
                }
            }
        }
    }
    documents
}

fn list(snapshot: &Snapshot) -> BTreeMap<Key, String> {
    snapshot.everything().map(|object| (object.key(), object.document().unwrap())).collect()
}

async fn compare(sequence: Vec<Vec<Step>>) {
    let mut stories = Vec::new();
    for medium in [Medium::memory(), Medium::sqlite()] {
        let store = medium.open();
        let watch = store.watch(None);
        let answers = play(&store, &sequence).await;
        let snapshot = store.snapshot();
        assert_eq!(follow(watch, snapshot.revision()).await, list(&snapshot));
        store.close().await;
        let reopened = medium.open();
        assert_eq!(describe(&reopened.snapshot()), describe(&snapshot));
        assert_eq!(reopened.snapshot().revision(), snapshot.revision());
        stories.push((answers, outline(&reopened)));
        reopened.close().await;
    }
    assert_eq!(stories[0], stories[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_backends_and_a_watch_agree(
        sequence in prop::collection::vec(prop::collection::vec(step(), 1..4), 1..25)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(sequence));
    }
}
