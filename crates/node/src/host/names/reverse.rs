//! Names of addresses: PTR records for private addresses, in reverse zones that zones share. Pure.
//!
//! There is a reverse zone for each /24 of IPv4 and each /64 of IPv6 in which a name has an address. Each
//! record set bears in its comment the id of the zone whose name it tells. Promise: a zone changes and
//! removes its own alone, so that two zones with machines in one network, or with the very same
//! address, do not fight: whoever was there first keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

use freehold_types::Id;

use super::records::{Change, Comment, RecordSet};

/// Whose reverse zones are.
pub(super) const ACCOUNT: &str = "freehold-reverse";

/// Where the name of an address is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) zone: String,
    pub(super) name: String,
}

/// Where the name of the address is kept; nowhere for an address that the world knows.
pub(super) fn place(address: IpAddr) -> Option<Place> {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            let shared = a == 100 && (64..128).contains(&b);
            (address.is_private() || shared).then(|| {
                let zone = format!("{c}.{b}.{a}.in-addr.arpa.");
                Place { name: format!("{d}.{zone}"), zone }
            })
        }
        IpAddr::V6(address) => address.is_unique_local().then(|| {
            let nibbles = |octets: &[u8]| {
                octets.iter().rev().fold(String::new(), |mut text, octet| {
                    // Writing to a string does not fail.
                    let _ = write!(text, "{:x}.{:x}.", octet & 15, octet >> 4);
                    text
                })
            };
            let octets = address.octets();
            let (network, host) = octets.split_at(8);
            let zone = format!("{}ip6.arpa.", nibbles(network));
            Place { name: format!("{}{zone}", nibbles(host)), zone }
        }),
    }
}

/// The record sets that the names of a zone should have, by reverse zone. An address of several names
/// tells the first of them.
pub(super) fn wanted(id: Id, names: &BTreeMap<String, Vec<IpAddr>>) -> BTreeMap<String, Vec<RecordSet>> {
    let mut places = BTreeMap::new();
    for (name, addresses) in names {
        for place in addresses.iter().filter_map(|address| place(*address)) {
            places.entry(place).or_insert(name);
        }
    }
    let mut zones: BTreeMap<String, Vec<RecordSet>> = BTreeMap::new();
    for (place, name) in places {
        let mut set = RecordSet::new(&place.name, "PTR", [name.clone()]);
        set.comments = vec![Comment { content: "made by freehold".to_owned(), account: id.to_string() }];
        zones.entry(place.zone).or_default().push(set);
    }
    zones
}

/// The reverse zones of addresses.
pub(super) fn zones_of(addresses: impl Iterator<Item = IpAddr>) -> BTreeSet<String> {
    addresses.filter_map(place).map(|place| place.zone).collect()
}

/// What to change in one reverse zone so that it holds what is wanted of the zone `id`.
pub(super) fn difference(id: Id, observed: &[RecordSet], wanted: &[RecordSet]) -> Vec<Change> {
    let ours = id.to_string();
    let owner = |set: &RecordSet| set.comments.first().map(|comment| comment.account.clone());
    let pointers = observed.iter().filter(|set| set.kind == "PTR");
    let held: BTreeMap<&str, &RecordSet> = pointers.map(|set| (set.name.as_str(), set)).collect();
    let names: BTreeSet<&str> = wanted.iter().map(|set| set.name.as_str()).collect();
    let gone = held.values().filter(|set| owner(set).as_ref() == Some(&ours));
    let gone = gone.filter(|set| !names.contains(set.name.as_str())).map(|set| set.deletion());
    let replaced = wanted.iter().filter(|set| match held.get(set.name.as_str()) {
        Some(held) => {
            // A record without a mark was made by hand, and gives way.
            owner(held).is_none_or(|owner| owner == ours) && held.settled() != set.settled()
        }
        None => true,
    });
    gone.chain(replaced.cloned().map(Change::Replace)).collect()
}

/// Whether nothing is left in a reverse zone once the changes are made.
pub(super) fn is_empty_after(observed: &[RecordSet], changes: &[Change]) -> bool {
    let mut names: BTreeSet<&str> =
        observed.iter().filter(|set| set.kind == "PTR").map(|set| set.name.as_str()).collect();
    for change in changes {
        match change {
            Change::Replace(set) => names.insert(&set.name),
            Change::Delete { name, .. } => names.remove(name.as_str()),
        };
    }
    names.is_empty()
}

#[cfg(test)]
#[path = "reverse_tests.rs"]
mod tests;
