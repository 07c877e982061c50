//! Random transactions against a slow and simple judge, and indexes against ones made from the objects alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_types::{Id, Timestamp};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::entity::{Amounts, Entity, OnDelete, Reference};
use crate::object::{AnyObject, Key, Object};
use crate::registry::Registry;
use crate::transaction::{Actor, Transaction};

/// Carries items, and is ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    group: u64,
    handicap: u64,
}

impl Entity for Node {
    const KIND: &'static str = "node";
    const RANKED: bool = true;
    type Status = u8;

    fn rank(&self, usage: &Amounts) -> Option<(Id, u64)> {
        (self.group > 0).then(|| (Id::from_u64(self.group), self.handicap + usage.instances))
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::weak::<Item>(Id::from_u64(self.group))]
    }
}

/// Names what it wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    claims: Vec<u8>,
    node: Option<u64>,
    tags: Vec<u64>,
    vcpus: u64,
}

impl Entity for Item {
    const KIND: &'static str = "item";
    type Status = u8;

    fn claims(&self, _: Id) -> Vec<String> {
        self.claims.iter().map(|claim| format!("claim/{claim}")).collect()
    }

    fn references(&self) -> Vec<Reference> {
        let tags = self.tags.iter().map(|tag| Reference::strong::<Tag>(Id::from_u64(*tag)));
        self.node.map(|node| Reference::strong::<Node>(Id::from_u64(node))).into_iter().chain(tags).collect()
    }

    fn usage(&self) -> Vec<(Id, Amounts)> {
        let amounts = Amounts { instances: self.vcpus.min(1), vcpus: self.vcpus, ..Amounts::default() };
        self.node.map(|node| (Id::from_u64(node), amounts)).into_iter().collect()
    }
}

/// Something that items need. Its ids are those of items, which must not be confused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tag {
    claim: u8,
}

impl Entity for Tag {
    const KIND: &'static str = "tag";
    type Status = ();

    fn claims(&self, id: Id) -> Vec<String> {
        vec![format!("tag/{id}"), format!("claim/{}", self.claim)]
    }

    /// Not asked, as the kind is not ranked.
    fn rank(&self, _: &Amounts) -> Option<(Id, u64)> {
        Some((Id::from_u64(1), 1))
    }
}

#[derive(Debug, Clone)]
enum Step {
    Node(u64, Node),
    Item(u64, Item),
    Tag(u64, Tag),
    ObserveNode(u64, u8),
    ObserveItem(u64, u8),
    Mark(Kind, u64),
    Delete(Kind, u64),
    ExpectStale(u64),
    Limit(u64, u64),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Node,
    Item,
    Tag,
}

const NODES: std::ops::Range<u64> = 1..4;
const OTHERS: std::ops::Range<u64> = 11..16;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![Just(Kind::Node), Just(Kind::Item), Just(Kind::Tag)];
    let target = (kind, 0_u64..5).prop_map(|(kind, number)| match kind {
        Kind::Node => (kind, NODES.start + number % 3),
        Kind::Item | Kind::Tag => (kind, OTHERS.start + number),
    });
    let vcpus = prop_oneof![8 => 0_u64..4, 1 => Just(u64::MAX / 2)];
    let item = (
        prop::collection::vec(0_u8..8, 0..3),
        prop::option::of(NODES),
        prop::collection::vec(OTHERS, 0..2),
        vcpus,
    )
        .prop_map(|(claims, node, tags, vcpus)| Item { claims, node, tags, vcpus });
    let step = prop_oneof![
        3 => (NODES, 0_u64..3, 0_u64..3).prop_map(|(id, group, handicap)| Step::Node(id, Node { group, handicap })),
        6 => (OTHERS, item).prop_map(|(id, item)| Step::Item(id, item)),
        3 => (OTHERS, 0_u8..8).prop_map(|(id, claim)| Step::Tag(id, Tag { claim })),
        2 => (NODES, 0_u8..3).prop_map(|(id, status)| Step::ObserveNode(id, status)),
        2 => (OTHERS, 0_u8..3).prop_map(|(id, status)| Step::ObserveItem(id, status)),
        1 => target.clone().prop_map(|(kind, id)| Step::Mark(kind, id)),
        3 => target.prop_map(|(kind, id)| Step::Delete(kind, id)),
        1 => NODES.prop_map(Step::ExpectStale),
        1 => (NODES, 0_u64..12).prop_map(|(id, vcpus)| Step::Limit(id, vcpus)),
    ];
    prop::collection::vec(step, 1..6)
}

fn write<E: Entity>(snapshot: &Snapshot, transaction: &mut Transaction, id: u64, spec: E) {
    let id = Id::from_u64(id);
    match snapshot.get::<E>(id) {
        Some(object) => transaction.update(object, spec),
        None => transaction.create(id, spec, Timestamp::default()),
    }
}

fn with<E: Entity>(snapshot: &Snapshot, id: u64, act: impl FnOnce(&Object<E>)) {
    if let Some(object) = snapshot.get::<E>(Id::from_u64(id)) {
        act(object);
    }
}

fn transaction(snapshot: &Snapshot, steps: Vec<Step>) -> Transaction {
    let mut t = Transaction::default();
    let now = Timestamp::from_millis(1);
    for step in steps {
        match step {
            Step::Node(id, node) => write(snapshot, &mut t, id, node),
            Step::Item(id, item) => write(snapshot, &mut t, id, item),
            Step::Tag(id, tag) => write(snapshot, &mut t, id, tag),
            Step::ObserveNode(id, status) => with::<Node>(snapshot, id, |node| t.observe(node, status)),
            Step::ObserveItem(id, status) => with::<Item>(snapshot, id, |item| t.observe(item, status)),
            Step::Mark(Kind::Node, id) => with::<Node>(snapshot, id, |node| t.mark_deleting(node, now)),
            Step::Mark(Kind::Item, id) => with::<Item>(snapshot, id, |item| t.mark_deleting(item, now)),
            Step::Mark(Kind::Tag, id) => with::<Tag>(snapshot, id, |tag| t.mark_deleting(tag, now)),
            Step::Delete(Kind::Node, id) => with::<Node>(snapshot, id, |node| t.delete(node)),
            Step::Delete(Kind::Item, id) => with::<Item>(snapshot, id, |item| t.delete(item)),
            Step::Delete(Kind::Tag, id) => with::<Tag>(snapshot, id, |tag| t.delete_any(tag)),
            Step::ExpectStale(id) => with::<Node>(snapshot, id, |node| {
                let mut stale = node.clone();
                // Sometimes right, as often wrong.
                stale.meta.revision -= node.meta.revision % 2;
                t.expect(&stale);
            }),
            Step::Limit(id, vcpus) => t.limit(Id::from_u64(id), Amounts { vcpus, ..Amounts::UNLIMITED }),
        }
    }
    t
}

type Objects = BTreeMap<Key, Arc<dyn AnyObject>>;

fn objects(snapshot: &Snapshot) -> Objects {
    snapshot.everything().map(|object| (object.key(), Arc::clone(object))).collect()
}

fn strong(object: &dyn AnyObject) -> BTreeSet<Key> {
    let links = object.references().into_iter().filter(|link| link.on_delete == OnDelete::Block);
    links.map(|link| Key { kind: link.kind, id: link.id }).collect()
}

/// What is used of each target, unless it cannot be counted.
fn sums(objects: &Objects) -> Option<BTreeMap<Id, Amounts>> {
    let mut sums: BTreeMap<Id, Amounts> = BTreeMap::new();
    for (target, amounts) in objects.values().flat_map(|object| object.usage()) {
        let sum = sums.entry(target).or_default();
        sum.instances += amounts.instances;
        sum.vcpus = sum.vcpus.checked_add(amounts.vcpus)?;
    }
    sums.retain(|_, sum| *sum != Amounts::default());
    Some(sums)
}

/// What the objects are to be after a transaction, when it is to be accepted.
fn judge(before: &Objects, transaction: &Transaction) -> Option<Objects> {
    let revision = |key: &Key| before.get(key).map(|object| object.meta().revision);
    let expectations = transaction.writes.iter().map(|write| (write.key, write.expected));
    let mut expectations = expectations.chain(transaction.expectations.iter().copied());
    if !expectations.all(|(key, expected)| revision(&key) == expected) {
        return None;
    }
    let mut after = before.clone();
    for write in &transaction.writes {
        match &write.object {
            Some(object) => drop(after.insert(write.key, Arc::clone(object))),
            None => drop(after.remove(&write.key)),
        }
    }
    let mut owners = BTreeMap::new();
    for (key, object) in &after {
        for claim in object.claims() {
            if *owners.entry(claim).or_insert(*key) != *key {
                return None;
            }
        }
        let known = before.get(key).map(|object| strong(object.as_ref())).unwrap_or_default();
        for link in strong(object.as_ref()) {
            let target = after.get(&link)?;
            if target.meta().deleting.is_some() && !known.contains(&link) {
                return None;
            }
        }
    }
    let sums = sums(&after)?;
    let used = |target: &Id| sums.get(target).copied().unwrap_or_default();
    transaction.limits.iter().all(|(target, limit)| used(target).exceeds(limit).is_none()).then_some(after)
}

/// That every index is what follows from the objects, with nothing left over.
fn check_indexes(snapshot: &Snapshot) {
    let objects = objects(snapshot);
    let mut claims = BTreeMap::new();
    let mut referrers: BTreeMap<Id, BTreeSet<Key>> = BTreeMap::new();
    let mut ranks: BTreeMap<Id, BTreeSet<(u64, Id)>> = BTreeMap::new();
    let usage = sums(&objects).unwrap();
    for (key, object) in &objects {
        claims.extend(object.claims().into_iter().map(|claim| (claim, *key)));
        for link in object.references() {
            referrers.entry(link.id).or_default().insert(*key);
        }
        if let Some(node) = object.downcast::<Node>()
            && let Some((group, score)) = node.spec.rank(&usage.get(&key.id).copied().unwrap_or_default())
        {
            ranks.entry(group).or_default().insert((score, key.id));
        }
    }
    let held = snapshot.claims.iter().map(|(claim, key)| (claim.to_string(), *key)).collect();
    assert_eq!(claims, held);
    let held = snapshot.referrers.iter().map(|(id, keys)| (*id, keys.iter().copied().collect())).collect();
    assert_eq!(referrers, held);
    assert_eq!(usage, snapshot.usage.iter().map(|(id, amounts)| (*id, *amounts)).collect());
    let held = snapshot.ranks.iter().map(|(id, members)| (*id, members.iter().copied().collect())).collect();
    assert_eq!(ranks, held);
}

fn registry() -> Arc<Registry> {
    Arc::new(Registry::default().with::<Tag>().with::<Node>().with::<Item>())
}

/// The same objects, as a store that is opened would have them.
fn loaded(snapshot: &Snapshot) -> Snapshot {
    let mut loaded = Snapshot::empty(registry());
    for object in snapshot.everything() {
        loaded.insert(Arc::clone(object)).unwrap();
    }
    loaded
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_state_is_what_the_judge_says(sequence in prop::collection::vec(steps(), 1..40)) {
        let mut snapshot = Snapshot::empty(registry());
        for (number, steps) in sequence.into_iter().enumerate() {
            let before = objects(&snapshot);
            let transaction = transaction(&snapshot, steps);
            let expected = judge(&before, &transaction);
            let now = Timestamp::from_millis(number as u64);
            let applied = snapshot.apply(transaction.clone(), Actor::internal("test", ""), now);
            // Whatever came of it, the snapshot it was applied to is as it was.
            check_indexes(&snapshot);
            prop_assert_eq!(objects(&snapshot).len(), before.len());
            let (next, commit) = match (applied, expected) {
                (Ok(next), Some(expected)) => {
                    let after = objects(&next.0);
                    prop_assert!(after.keys().eq(expected.keys()));
                    prop_assert!(after.values().zip(expected.values()).all(|(a, b)| a.same(b.as_ref())));
                    next
                }
                (Err(_), None) => continue,
                (applied, expected) => {
                    let verdict = applied.map(drop);
                    prop_assert!(false, "{verdict:?}, but {expected:?} for {transaction:?}");
                    unreachable!()
                }
            };
            check_indexes(&next);
            check_indexes(&loaded(&next));
            prop_assert_eq!(commit.revision, snapshot.revision() + 1);
            for change in &commit.changes {
                prop_assert_eq!(change.before.is_some(), before.contains_key(&change.key));
                let Some(after) = &change.after else { continue };
                prop_assert_eq!(after.meta().revision, commit.revision);
                if let Some(before) = &change.before {
                    let grown = after.meta().generation - before.meta().generation;
                    prop_assert_eq!(grown, u64::from(!after.same_spec(before.as_ref())));
                    prop_assert!(after.meta().updated_at >= before.meta().updated_at);
                    prop_assert!(!after.same(before.as_ref()));
                }
            }
            if !commit.changes.is_empty() {
                snapshot = next;
            }
        }
    }
}
