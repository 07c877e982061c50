//! Creating, changing, removing: revisions, generations and claims.

use std::time::Duration;

use freehold_store::{Amounts, Conflict, Entity, Object, Transaction};
use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::entities::{Host, Machine, Team, address_claim};
use crate::harness::{
    Medium, commit, create, get, key, machine, now, on_both_backends, team, try_write, write,
};

on_both_backends!(
    an_object_is_created_changed_and_removed,
    a_write_that_changes_nothing_is_none,
    a_stale_write_is_refused,
    an_object_that_is_only_read_can_be_expected,
    the_generation_follows_the_specification_alone,
    a_mark_stays_until_removal,
    time_does_not_go_back,
    a_claim_has_one_owner,
    claims_move_within_a_transaction,
    an_update_keeps_its_own_claims,
    writes_of_one_object_add_up,
    ranks_follow_usage_and_specification,
    an_unregistered_kind_is_refused,
    an_own_object_can_be_put,
);

async fn an_object_is_created_changed_and_removed(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    assert_eq!((red.meta.revision, red.meta.generation, red.meta.deleting), (1, 1, None));
    assert_eq!(store.snapshot().revision(), 1);
    assert_eq!(store.snapshot().count::<Team>(), 1);

    let spec = Team { name: "blue".to_owned() };
    let committed = write(&store, |transaction| transaction.update(&red, spec.clone())).await;
    let blue = get::<Team>(&store, red.id());
    assert_eq!((committed.revision, blue.meta.revision, blue.meta.generation), (2, 2, 2));
    assert_eq!((&blue.spec, blue.meta.created_at), (&spec, red.meta.created_at));
    assert_eq!(store.snapshot().claim("name/team/red"), None);
    assert_eq!(store.snapshot().claimed::<Team>("name/team/blue"), Some(&blue));
    assert_eq!(store.snapshot().claimed::<Host>("name/team/blue"), None);

    write(&store, |transaction| transaction.delete(&blue)).await;
    assert_eq!(store.snapshot().revision(), 3);
    assert_eq!(store.snapshot().everything().count(), 0);
    assert_eq!(store.snapshot().claim("name/team/blue"), None);
}

async fn a_write_that_changes_nothing_is_none(medium: Medium) {
    let store = medium.open();
    let (red, blue) = (team(&store, "red").await, team(&store, "blue").await);
    let committed = write(&store, |transaction| transaction.update(&red, red.spec.clone())).await;
    assert_eq!(committed.revision, 2);
    // In company of a real change, the unchanged object keeps its revision.
    write(&store, |transaction| {
        transaction.update(&red, red.spec.clone());
        transaction.update(&blue, Team { name: "green".to_owned() });
    })
    .await;
    assert_eq!(get::<Team>(&store, red.id()), red);
    assert_eq!(get::<Team>(&store, blue.id()).meta.revision, 3);

    assert_eq!(commit(&store, Transaction::default()).await.unwrap().revision, 3);
    let fleeting = Object::new(Id::generate(), Team { name: "fleeting".to_owned() }, now());
    let committed = write(&store, |transaction| {
        transaction.put(fleeting.clone());
        transaction.delete(&fleeting);
    })
    .await;
    assert_eq!(committed.revision, 3);
}

async fn a_stale_write_is_refused(medium: Medium) {
    let store = medium.open();
    let first = team(&store, "red").await;
    write(&store, |transaction| transaction.update(&first, Team { name: "blue".to_owned() })).await;
    let stale = Err(Conflict::Stale(key(&first)));
    let spec = || Team { name: "late".to_owned() };
    assert_eq!(try_write(&store, |t| t.update(&first, spec())).await.map(drop), stale);
    assert_eq!(try_write(&store, |t| t.delete(&first)).await.map(drop), stale);
    assert_eq!(try_write(&store, |t| t.mark_deleting(&first, now())).await.map(drop), stale);
    assert_eq!(try_write(&store, |t| t.create(first.id(), spec(), now())).await.map(drop), stale);
    let second = get::<Team>(&store, first.id());
    write(&store, |transaction| transaction.delete(&second)).await;
    assert_eq!(try_write(&store, |t| t.update(&second, spec())).await.map(drop), stale);
    assert_eq!(try_write(&store, |t| t.delete(&second)).await.map(drop), stale);
    assert_eq!(store.snapshot().revision(), 3);
}

async fn an_object_that_is_only_read_can_be_expected(medium: Medium) {
    let store = medium.open();
    let read = team(&store, "red").await;
    let create_expecting = |transaction: &mut Transaction| {
        transaction.expect(&read);
        transaction.create(Id::generate(), Team { name: Id::generate().to_string() }, now());
    };
    write(&store, create_expecting).await;
    write(&store, |transaction| transaction.update(&read, Team { name: "blue".to_owned() })).await;
    assert_eq!(try_write(&store, create_expecting).await.map(drop), Err(Conflict::Stale(key(&read))));
}

async fn the_generation_follows_the_specification_alone(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let created = machine(&store, &red, "one").await;
    write(&store, |transaction| transaction.observe(&created, "running".to_owned())).await;
    let observed = get::<Machine>(&store, created.id());
    assert_eq!(observed.status, "running");
    assert_eq!((observed.meta.generation, observed.meta.revision), (1, 3));
    assert_eq!(observed.meta.updated_at, created.meta.updated_at);

    let spec = Machine { vcpus: 4, ..observed.spec.clone() };
    write(&store, |transaction| transaction.update(&observed, spec)).await;
    let updated = get::<Machine>(&store, created.id());
    assert_eq!((updated.meta.generation, updated.meta.revision), (2, 4));
    assert_eq!(updated.status, "running");
}

async fn a_mark_stays_until_removal(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let since = Timestamp::from_millis(77);
    write(&store, |transaction| transaction.mark_deleting(&red, since)).await;
    let marked = get::<Team>(&store, red.id());
    assert!(marked.is_deleting());
    assert_eq!((marked.meta.deleting, marked.meta.generation), (Some(since), 2));
    // Marking again is no change, and the first time counts.
    let again = write(&store, |transaction| transaction.mark_deleting(&marked, now())).await;
    assert_eq!(again.revision, 2);
    write(&store, |transaction| transaction.observe(&marked, ())).await;
    assert_eq!(store.snapshot().claim("name/team/red"), Some(key(&red)));
    store.close().await;
    let store = medium.open();
    assert_eq!(get::<Team>(&store, red.id()), marked);
}

async fn time_does_not_go_back(medium: Medium) {
    let store = medium.open();
    let future = now() + Duration::from_hours(1);
    let id = Id::generate();
    write(&store, |transaction| transaction.create(id, Team { name: "red".to_owned() }, future)).await;
    let created = get::<Team>(&store, id);
    write(&store, |transaction| transaction.update(&created, Team { name: "blue".to_owned() })).await;
    assert_eq!(get::<Team>(&store, id).meta.updated_at, future);
}

async fn a_claim_has_one_owner(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let refused = |transaction: &mut Transaction| {
        transaction.create(Id::generate(), Team { name: "blue".to_owned() }, now());
        transaction.create(Id::generate(), Team { name: "red".to_owned() }, now());
    };
    let taken = Conflict::Claimed { claim: "name/team/red".to_owned(), owner: key(&red) };
    assert_eq!(taken.to_string(), format!("`name/team/red` is taken by team {}", red.id()));
    assert_eq!(try_write(&store, refused).await.map(drop), Err(taken));
    assert_eq!(store.snapshot().claim("name/team/blue"), None);
    // Two of one transaction do not get it either.
    let twins = |transaction: &mut Transaction| {
        transaction.create(Id::generate(), Team { name: "green".to_owned() }, now());
        transaction.create(Id::generate(), Team { name: "green".to_owned() }, now());
    };
    assert!(matches!(try_write(&store, twins).await, Err(Conflict::Claimed { .. })));
    assert_eq!(store.snapshot().count::<Team>(), 1);
}

async fn claims_move_within_a_transaction(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let with_address = |name: &str, address: &str| Machine {
        address: Some(address.to_owned()),
        ..Machine::new(red.id(), name)
    };
    let one = create(&store, with_address("one", "10.0.0.1")).await;
    let two = create(&store, with_address("two", "10.0.0.2")).await;
    // They exchange their addresses.
    write(&store, |transaction| {
        transaction.update(&one, with_address("one", "10.0.0.2"));
        transaction.update(&two, with_address("two", "10.0.0.1"));
    })
    .await;
    let owner = |address: &str| store.snapshot().claim(&address_claim(address));
    assert_eq!((owner("10.0.0.1"), owner("10.0.0.2")), (Some(key(&two)), Some(key(&one))));
    // A new one inherits from one that goes, whatever the order of the writes.
    let heir = Id::generate();
    let one = get::<Machine>(&store, one.id());
    write(&store, |transaction| {
        transaction.create(heir, with_address("heir", "10.0.0.2"), now());
        transaction.delete(&one);
    })
    .await;
    assert_eq!(owner("10.0.0.2").map(|key| key.id), Some(heir));
    store.close().await;
    let store = medium.open();
    assert_eq!(store.snapshot().claim(&address_claim("10.0.0.2")).map(|key| key.id), Some(heir));
}

async fn an_update_keeps_its_own_claims(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let spec = Machine { address: Some("10.0.0.1".to_owned()), ..Machine::new(red.id(), "one") };
    let one = create(&store, spec.clone()).await;
    write(&store, |transaction| transaction.update(&one, Machine { vcpus: 8, ..spec })).await;
    assert_eq!(store.snapshot().claim(&address_claim("10.0.0.1")), Some(key(&one)));
    assert_eq!(store.snapshot().claim(&format!("name/{}/one", red.id())), Some(key(&one)));
}

async fn writes_of_one_object_add_up(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let one = machine(&store, &red, "one").await;
    let mut renaming = Transaction::default();
    renaming.update(&one, Machine { name: "uno".to_owned(), ..one.spec.clone() });
    renaming.observe(&one, "running".to_owned());
    renaming.mark_deleting(&one, now());
    commit(&store, renaming).await.unwrap();
    let written = get::<Machine>(&store, one.id());
    assert_eq!((written.spec.name.as_str(), written.status.as_str()), ("uno", "running"));
    assert!(written.is_deleting());
    assert_eq!((written.meta.revision, written.meta.generation), (3, 2));

    // What was decided on two states of one object cannot both hold.
    let mut fresh = Transaction::default();
    fresh.observe(&written, "stopped".to_owned());
    let mut stale = Transaction::default();
    stale.delete(&one);
    fresh.merge(stale);
    assert_eq!(try_write(&store, |t| t.merge(fresh)).await.map(drop), Err(Conflict::Stale(key(&one))));
}

async fn ranks_follow_usage_and_specification(medium: Medium) {
    let store = medium.open();
    let group = Id::generate();
    let red = team(&store, "red").await;
    let busy = create(&store, Host { group, handicap: 0 }).await;
    let idle = create(&store, Host { group, handicap: 5 }).await;
    let on = |host: &Object<Host>, name: &str, vcpus| Machine {
        host: Some(host.id()),
        vcpus,
        ..Machine::new(red.id(), name)
    };
    let one = create(&store, on(&busy, "one", 10)).await;
    let ranked = || store.snapshot().ranked(group).collect::<Vec<_>>();
    assert_eq!(ranked(), [(5, idle.id()), (10, busy.id())]);
    assert_eq!(store.snapshot().usage(busy.id()), Amounts { instances: 1, vcpus: 10, ..Amounts::default() });

    // The host and what it carries change at once, in both orders.
    write(&store, |transaction| {
        transaction.update(&busy, Host { group, handicap: 1 });
        transaction.update(&one, on(&idle, "one", 3));
        transaction.create(Id::generate(), on(&busy, "two", 2), now());
        transaction.update(&idle, Host { group, handicap: 2 });
    })
    .await;
    assert_eq!(ranked(), [(3, busy.id()), (5, idle.id())]);
    write(&store, |transaction| transaction.observe(&get::<Host>(&store, idle.id()), "up".to_owned())).await;
    assert_eq!(ranked(), [(3, busy.id()), (5, idle.id())]);

    let elsewhere = Id::generate();
    write(&store, |transaction| {
        transaction.delete(&get::<Machine>(&store, one.id()));
        transaction.update(&get(&store, idle.id()), Host { group: elsewhere, handicap: 2 });
    })
    .await;
    assert_eq!(ranked(), [(3, busy.id())]);
    assert_eq!(store.snapshot().ranked(elsewhere).collect::<Vec<_>>(), [(2, idle.id())]);
    assert_eq!(store.snapshot().usage(idle.id()), Amounts::default());
}

/// A kind that nobody registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stranger;

impl Entity for Stranger {
    const KIND: &'static str = "stranger";
    type Status = ();
}

async fn an_unregistered_kind_is_refused(medium: Medium) {
    let store = medium.open();
    let id = Id::generate();
    let refused = try_write(&store, |transaction| transaction.create(id, Stranger, now())).await;
    assert!(matches!(refused, Err(Conflict::Unregistered(key)) if key.id == id), "{refused:?}");
    store.close().await;
    assert_eq!(medium.open().snapshot().revision(), 0);
}

async fn an_own_object_can_be_put(medium: Medium) {
    let store = medium.open();
    let red = Object::new(Id::generate(), Team { name: "red".to_owned() }, now());
    write(&store, |transaction| {
        transaction.put(red.clone());
        transaction.update(&red, Team { name: "blue".to_owned() });
    })
    .await;
    assert_eq!(get::<Team>(&store, red.id()).spec.name, "blue");
    let again = try_write(&store, |transaction| transaction.put(red.clone())).await;
    assert_eq!(again.map(drop), Err(Conflict::Stale(key(&red))));
}
