//! Links between objects: what must exist, and what keeps its target.

use freehold_store::{Conflict, Key, Object};
use freehold_types::Id;

use crate::entities::{Host, Machine, Team};
use crate::harness::{Medium, create, get, key, machine, now, on_both_backends, team, try_write, write};

on_both_backends!(
    a_strong_link_must_lead_somewhere,
    a_used_object_is_not_removed,
    both_ends_go_together,
    nothing_new_is_tied_to_what_goes,
    a_weak_link_may_dangle,
    referrers_are_found_by_kind,
);

async fn a_strong_link_must_lead_somewhere(medium: Medium) {
    let store = medium.open();
    let (machine, nowhere) = (Id::generate(), Id::generate());
    let create =
        |id| move |t: &mut freehold_store::Transaction| t.create(machine, Machine::new(id, "one"), now());
    let missing = Conflict::Missing { from: Key::of::<Machine>(machine), kind: "team", id: nowhere };
    assert_eq!(
        missing.to_string(),
        format!("machine {machine} refers to team {nowhere}, which does not exist")
    );
    assert_eq!(try_write(&store, create(nowhere)).await.map(drop), Err(missing));
    // An object of another kind does not do.
    let host = crate::harness::create(&store, Host { group: nowhere, handicap: 0 }).await;
    assert!(matches!(try_write(&store, create(host.id())).await, Err(Conflict::Missing { .. })));
    // A target of the same transaction does, in any order.
    write(&store, |transaction| {
        create(nowhere)(transaction);
        transaction.create(nowhere, Team { name: "red".to_owned() }, now());
    })
    .await;
    // An update is held to the same.
    let one = get::<Machine>(&store, machine);
    let spec = Machine { host: Some(Id::generate()), ..one.spec.clone() };
    assert!(matches!(try_write(&store, |t| t.update(&one, spec)).await, Err(Conflict::Missing { .. })));
}

async fn a_used_object_is_not_removed(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let one = machine(&store, &red, "one").await;
    let blocked = Conflict::Referenced(key(&red), key(&one));
    assert_eq!(try_write(&store, |t| t.delete(&red)).await.map(drop), Err(blocked));
    assert_eq!(store.snapshot().blocker(red.id()).map(|object| object.key()), Some(key(&one)));
    // Nor while the one that uses it is only observed in the same transaction.
    let observed = try_write(&store, |transaction| {
        transaction.observe(&one, "running".to_owned());
        transaction.delete(&red);
    });
    assert!(matches!(observed.await, Err(Conflict::Referenced(..))));
    // It is once that one has turned to another.
    let blue = team(&store, "blue").await;
    write(&store, |transaction| {
        transaction.delete(&red);
        transaction.update(&one, Machine::new(blue.id(), "one"));
    })
    .await;
    assert_eq!(store.snapshot().blockers(red.id()).count(), 0);
}

async fn both_ends_go_together(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let one = machine(&store, &red, "one").await;
    let two = machine(&store, &red, "two").await;
    write(&store, |transaction| {
        transaction.delete(&one);
        transaction.delete(&red);
        transaction.delete_any(&two);
    })
    .await;
    assert_eq!(store.snapshot().everything().count(), 0);
    assert_eq!(store.snapshot().referrer_keys(red.id()).count(), 0);
}

async fn nothing_new_is_tied_to_what_goes(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let one = machine(&store, &red, "one").await;
    write(&store, |transaction| transaction.mark_deleting(&red, now())).await;
    let late = Id::generate();
    let refused = try_write(&store, |t| t.create(late, Machine::new(red.id(), "two"), now())).await;
    assert_eq!(refused.map(drop), Err(Conflict::Deleting { from: Key::of::<Machine>(late), to: key(&red) }));
    // Who was tied before can still be changed, as its own removal needs it.
    write(&store, |transaction| transaction.update(&one, Machine { vcpus: 0, ..one.spec.clone() })).await;
    let one = get::<Machine>(&store, one.id());
    write(&store, |transaction| transaction.mark_deleting(&one, now())).await;

    let host = create(&store, Host { group: red.id(), handicap: 0 }).await;
    let blue = team(&store, "blue").await;
    let at_once = try_write(&store, |transaction| {
        transaction.create(late, Machine { host: Some(host.id()), ..Machine::new(blue.id(), "two") }, now());
        transaction.mark_deleting(&host, now());
    });
    assert!(matches!(at_once.await, Err(Conflict::Deleting { .. })));
}

async fn a_weak_link_may_dangle(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let buddy = machine(&store, &red, "buddy").await;
    let with_buddy = |name: &str, id| Machine { buddy: Some(id), ..Machine::new(red.id(), name) };
    let one = create(&store, with_buddy("one", buddy.id())).await;
    create(&store, with_buddy("two", Id::generate())).await;
    let named: Vec<_> = store.snapshot().referrers::<Machine>(buddy.id()).map(Object::id).collect();
    assert_eq!(named, [one.id()]);
    assert!(store.snapshot().blocker(buddy.id()).is_none());
    write(&store, |transaction| transaction.mark_deleting(&buddy, now())).await;
    create(&store, with_buddy("three", buddy.id())).await;
    write(&store, |transaction| transaction.delete(&get::<Machine>(&store, buddy.id()))).await;
    assert_eq!(store.snapshot().referrer_keys(buddy.id()).count(), 2);
}

async fn referrers_are_found_by_kind(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let mut expected = Vec::new();
    for number in 0..20 {
        expected.push(machine(&store, &red, &number.to_string()).await.id());
    }
    let snapshot = store.snapshot();
    assert_eq!(snapshot.referrers::<Machine>(red.id()).map(Object::id).collect::<Vec<_>>(), expected);
    assert_eq!(snapshot.referrers::<Host>(red.id()).count(), 0);
    assert_eq!(snapshot.referrer_keys(red.id()).count(), 20);
}
