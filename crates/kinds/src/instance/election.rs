//! Election of a host: those that cannot take the machine are left out, then the least loaded one wins.
//!
//! Hosts are walked from the least loaded up (the store keeps them in that order), so the cost depends on
//! how many have to be passed over, not on how many there are.

use std::collections::BTreeMap;
use std::fmt;

use freehold_store::{Amounts, Object, Snapshot};
use freehold_types::agent::{Facts, Landing};
use freehold_types::wire::AntiAffinityPolicy;
use freehold_types::{ApiError, Id};

use super::Instance;
use crate::antiaffinity::Group;
use crate::hypervisor::Hypervisor;
use crate::zone::Zone;

/// Added to the score of a host for each machine on it with a sibling's name, such as `db1` beside `db2`.
const SIBLING_MALUS: u64 = 1_000;

/// What a machine needs of its host.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    pub name: &'a str,
    pub amounts: Amounts,
    /// Only hosts of these agents reach the machine's disks.
    pub agents: Option<&'a [Id]>,
    /// Groups whose other members must be elsewhere.
    pub groups: &'a [&'a Object<Group>],
    /// The machine itself, when it exists: it does not stand in its own way.
    pub own: Option<Id>,
    /// A host that must not be elected.
    pub except: Option<Id>,
    /// What the host tells that it comes from, when it moves: only alike hosts that take machines will do.
    pub from: Option<&'a Facts>,
    /// What is meant to come to hosts besides what is there.
    pub planned: Option<&'a BTreeMap<Id, Amounts>>,
}

/// Why hosts were passed over, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejections {
    pub offline: usize,
    pub maintenance: usize,
    pub full: usize,
    pub storage: usize,
    pub antiaffinity: usize,
    pub migration: usize,
    pub unlike: usize,
    /// The host that must not be elected; no reason that is told.
    pub own: usize,
}

impl Rejections {
    /// How many hosts were passed over for each reason.
    const fn counted(&self) -> [(usize, &'static str); 7] {
        [
            (self.offline, "offline"),
            (self.maintenance, "in maintenance"),
            (self.full, "without enough free CPU or memory"),
            (self.storage, "not attached to the storage pool"),
            (self.antiaffinity, "excluded by an anti-affinity group"),
            (self.migration, "not set up to take machines from other hosts (`migration_uri`)"),
            (self.unlike, "of another processor architecture or accelerator"),
        ]
    }

    /// Why the one host that was looked at was passed over.
    fn reason(&self) -> String {
        let reasons = self.counted().into_iter().filter(|(count, _)| *count > 0);
        reasons.map(|(_, reason)| format!("it is {reason}")).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (count, reason) in self.counted().into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{}{count} {reason}", if first { "" } else { ", " })?;
            first = false;
        }
        if first && self.own > 0 {
            f.write_str("it has no other hypervisor")
        } else if first {
            f.write_str("it has no hypervisor")
        } else {
            Ok(())
        }
    }
}

/// Elects a host of a zone.
///
/// # Errors
/// 422 when no host can take it, with the reasons.
pub fn elect<'a>(
    zone: Id,
    wish: &Wish<'_>,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<Hypervisor>, ApiError> {
    elect_or_explain(zone, wish, snapshot).map_err(|rejections| {
        let name = snapshot.get::<Zone>(zone).map_or_else(|| zone.to_string(), |zone| zone.spec.name.clone());
        ApiError::invalid(format!("no host of the zone `{name}` can take `{}`: {rejections}", wish.name))
    })
}

/// Says whether a host can take it.
///
/// # Errors
/// 422 with the reason.
pub fn check(host: &Object<Hypervisor>, wish: &Wish<'_>, snapshot: &Snapshot) -> Result<(), ApiError> {
    let (exclusions, mut rejections) = (Exclusions::of(wish, snapshot), Rejections::default());
    if is_candidate(host, wish, &exclusions, snapshot, &mut rejections) {
        return Ok(());
    }
    let reason =
        if wish.except == Some(host.id()) { "it is there already".to_owned() } else { rejections.reason() };
    Err(ApiError::invalid(format!("the host `{}` cannot take `{}`: {reason}", host.spec.name, wish.name)))
}

fn elect_or_explain<'a>(
    zone: Id,
    wish: &Wish<'_>,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<Hypervisor>, Rejections> {
    let exclusions = Exclusions::of(wish, snapshot);
    let mut rejections = Rejections::default();
    let mut best: Option<(u64, &Object<Hypervisor>)> = None;
    for (score, id) in snapshot.ranked(zone) {
        if best.is_some_and(|(lowest, _)| score >= lowest) {
            break;
        }
        let Some(host) = snapshot.get::<Hypervisor>(id) else { continue };
        if !is_candidate(host, wish, &exclusions, snapshot, &mut rejections) {
            continue;
        }
        let total = score + SIBLING_MALUS * siblings(host.id(), wish, snapshot);
        if best.is_none_or(|(lowest, _)| total < lowest) {
            best = Some((total, host));
        }
    }
    best.map(|(_, host)| host).ok_or(rejections)
}

/// Elects a host of the least loaded zone that has one.
///
/// # Errors
/// 422 when no host of any zone can take it.
pub fn elect_in_region<'a>(
    region: Id,
    wish: &Wish<'_>,
    snapshot: &'a Snapshot,
) -> Result<&'a Object<Hypervisor>, ApiError> {
    let mut zones: Vec<(u64, Id)> = snapshot
        .referrers::<Zone>(region)
        .map(|zone| (snapshot.ranked(zone.id()).map(|(score, _)| score).sum(), zone.id()))
        .collect();
    zones.sort_unstable();
    let mut reasons = Vec::new();
    for (_, zone) in zones {
        match elect(zone, wish, snapshot) {
            Ok(host) => return Ok(host),
            Err(error) => reasons.push(error.reason),
        }
    }
    Err(nowhere(&reasons))
}

/// That no zone of a region has a host, with the reason of each.
pub(crate) fn nowhere(reasons: &[String]) -> ApiError {
    if reasons.is_empty() {
        return ApiError::invalid("the region has no zone; make one, with a hypervisor in it");
    }
    ApiError::invalid(reasons.join("; "))
}

/// Hosts and zones where other members of the groups are.
#[derive(Debug, Default)]
struct Exclusions {
    hosts: Vec<Id>,
    zones: Vec<Id>,
}

impl Exclusions {
    fn of(wish: &Wish<'_>, snapshot: &Snapshot) -> Self {
        let mut exclusions = Self::default();
        for group in wish.groups {
            let others = group.spec.members(snapshot).filter(|member| Some(member.id()) != wish.own);
            match group.spec.policy {
                AntiAffinityPolicy::Host => {
                    let hosts =
                        |member: &Object<Instance>| [Some(member.spec.hypervisor), member.spec.going_to()];
                    exclusions.hosts.extend(others.flat_map(hosts).flatten());
                }
                AntiAffinityPolicy::Zone => {
                    let going = |member: &Object<Instance>| {
                        Some(snapshot.get::<Hypervisor>(member.spec.going_to()?)?.spec.zone)
                    };
                    let zones = |member: &Object<Instance>| [Some(member.spec.zone), going(member)];
                    exclusions.zones.extend(others.flat_map(zones).flatten());
                }
            }
        }
        exclusions
    }
}

fn is_candidate(
    host: &Object<Hypervisor>,
    wish: &Wish<'_>,
    exclusions: &Exclusions,
    snapshot: &Snapshot,
    rejections: &mut Rejections,
) -> bool {
    let spec = &host.spec;
    let reason = if spec.maintenance {
        &mut rejections.maintenance
    } else if !spec.is_online(snapshot) {
        &mut rejections.offline
    } else if !wish.agents.is_none_or(|agents| spec.agent().is_some_and(|agent| agents.contains(&agent))) {
        &mut rejections.storage
    } else if exclusions.hosts.contains(&host.id()) || exclusions.zones.contains(&spec.zone) {
        &mut rejections.antiaffinity
    } else if wish.from.is_some() && landing_of(host, snapshot).is_none() {
        &mut rejections.migration
    } else if !wish.from.is_none_or(|from| is_alike(from, host, snapshot)) {
        &mut rejections.unlike
    } else if !has_room(host, wish, snapshot) {
        &mut rejections.full
    } else {
        let own = wish.except == Some(host.id());
        rejections.own += usize::from(own);
        return !own;
    };
    *reason += 1;
    false
}

/// Where machines can come to on a host.
pub(crate) fn landing_of<'a>(host: &Object<Hypervisor>, snapshot: &'a Snapshot) -> Option<&'a Landing> {
    host.spec.facts(snapshot)?.landing.as_ref()
}

/// Whether what runs on one host can run on another.
fn is_alike(from: &Facts, host: &Object<Hypervisor>, snapshot: &Snapshot) -> bool {
    host.spec.facts(snapshot).is_some_and(|facts| {
        (&facts.architecture, &facts.accelerator) == (&from.architecture, &from.accelerator)
    })
}

fn has_room(host: &Object<Hypervisor>, wish: &Wish<'_>, snapshot: &Snapshot) -> bool {
    let Some(facts) = host.spec.facts(snapshot) else { return false };
    let planned = wish.planned.and_then(|planned| planned.get(&host.id())).copied().unwrap_or_default();
    let used = snapshot.usage(host.id()).plus(wish.amounts).plus(planned);
    used.exceeds(&host.spec.capacity(facts)).is_none()
}

fn siblings(host: Id, wish: &Wish<'_>, snapshot: &Snapshot) -> u64 {
    let count = snapshot
        .referrers::<Instance>(host)
        .filter(|instance| Some(instance.id()) != wish.own && are_siblings(&instance.spec.name, wish.name))
        .count();
    u64::try_from(count).unwrap_or(u64::MAX / SIBLING_MALUS)
}

/// Whether two names look like members of one set: at most one edit apart, or one the successor of the other.
fn are_siblings(one: &str, other: &str) -> bool {
    within_one_edit(one.as_bytes(), other.as_bytes()) || successor(one) == other || successor(other) == one
}

fn within_one_edit(one: &[u8], other: &[u8]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if long.len() - short.len() > 1 {
        return false;
    }
    let prefix = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (short_rest, long_rest) = (&short[prefix..], &long[prefix..]);
    match (short_rest, long_rest) {
        ([], _) => true,
        ([_, short_tail @ ..], [_, long_tail @ ..]) if short.len() == long.len() => short_tail == long_tail,
        (_, [_, long_tail @ ..]) => short_rest == long_tail,
        (_, []) => false,
    }
}

/// The next name in counting: `web09` → `web10`, `az` → `ba`, `z` → `aa`.
fn successor(name: &str) -> String {
    let mut bytes = name.as_bytes().to_vec();
    let mut position = bytes.len();
    while position > 0 {
        position -= 1;
        let (next, carries, lead) = match bytes[position] {
            b'9' => (b'0', true, b'1'),
            b'z' => (b'a', true, b'a'),
            b'Z' => (b'A', true, b'A'),
            byte if byte.is_ascii_alphanumeric() => (byte + 1, false, byte),
            _ => break,
        };
        bytes[position] = next;
        if !carries {
            break;
        }
        if position == 0 || !bytes[position - 1].is_ascii_alphanumeric() {
            bytes.insert(position, lead);
            break;
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn siblings_are_recognised() {
        for (one, other) in [
            ("db1", "db2"),
            ("web09", "web10"),
            ("az", "ba"),
            ("z", "aa"),
            ("db", "db1"),
            ("a", "b"),
            ("x-9", "x-10"),
        ] {
            assert!(are_siblings(one, other), "{one} {other}");
            assert!(are_siblings(other, one), "{other} {one}");
        }
        for (one, other) in [("web", "database"), ("db1", "web1"), ("node10", "node34")] {
            assert!(!are_siblings(one, other), "{one} {other}");
        }
    }

    fn distance(one: &[u8], other: &[u8]) -> usize {
        let mut row: Vec<usize> = (0..=other.len()).collect();
        for (i, a) in one.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, b) in other.iter().enumerate() {
                let cost = (diagonal + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = row[j + 1];
                row[j + 1] = cost;
            }
        }
        row[other.len()]
    }

    proptest! {
        #[test]
        fn one_edit_agrees_with_the_distance(one in "[ab1]{0,5}", other in "[ab1]{0,5}") {
            prop_assert_eq!(
                within_one_edit(one.as_bytes(), other.as_bytes()),
                distance(one.as_bytes(), other.as_bytes()) <= 1
            );
        }
    }

    #[test]
    fn rejections_read_well() {
        let text = Rejections { offline: 2, full: 1, ..Rejections::default() }.to_string();
        assert_eq!(text, "2 offline, 1 without enough free CPU or memory");
        assert_eq!(Rejections::default().to_string(), "it has no hypervisor");
    }
}
