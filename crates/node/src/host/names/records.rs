//! Record sets: what PowerDNS's API says of a zone, what there should be, and the difference. Pure.
//!
//! A zone of ours is ours whole: whatever else is in it is taken out. In a reverse zone only those record
//! sets are ours that bear the zone's id in their comment; see [`super::reverse`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use freehold_types::service::DnsZone;
use serde::{Deserialize, Serialize};

/// Seconds for which others may remember an address: internal names change with their machines.
pub(super) const TTL: u32 = 60;

/// Seconds for which others may remember that there is no such name.
const NEGATIVE_TTL: u32 = 10;

/// Longest name in text, with the dot at its end.
const NAME_LIMIT: usize = 254;

/// A zone as the API tells and takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) kind: String,
    /// Whose it is: the id of our zone, or [`super::reverse::ACCOUNT`].
    #[serde(default)]
    pub(super) account: String,
    /// How the serial number goes up with each change.
    #[serde(default)]
    pub(super) soa_edit_api: String,
    /// Empty where the API lists zones.
    #[serde(default)]
    pub(super) rrsets: Vec<RecordSet>,
}

/// The records of a name that are of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordSet {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) ttl: u32,
    #[serde(default)]
    pub(super) records: Vec<Record>,
    #[serde(default)]
    pub(super) comments: Vec<Comment>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) content: String,
    #[serde(default)]
    pub(super) disabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Comment {
    pub(super) content: String,
    pub(super) account: String,
}

/// What to do to a record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "changetype", rename_all = "UPPERCASE")]
pub(super) enum Change {
    Replace(RecordSet),
    Delete {
        name: String,
        #[serde(rename = "type")]
        kind: String,
    },
}

impl Change {
    /// The name that answers change for.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Replace(set) => &set.name,
            Self::Delete { name, .. } => name,
        }
    }
}

impl RecordSet {
    pub(super) fn new(name: &str, kind: &str, contents: impl IntoIterator<Item = String>) -> Self {
        let record = |content| Record { content, disabled: false };
        let records = contents.into_iter().map(record).collect();
        Self { name: name.to_owned(), kind: kind.to_owned(), ttl: TTL, records, comments: Vec::new() }
    }

    pub(super) fn deletion(&self) -> Change {
        Change::Delete { name: self.name.clone(), kind: self.kind.clone() }
    }

    /// The addresses of its records.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let addresses = matches!(self.kind.as_str(), "A" | "AAAA");
        self.records.iter().filter(move |_| addresses).filter_map(|record| record.content.parse().ok())
    }

    /// The same with its records in one order and way of writing. The serial number of a zone's SOA goes
    /// up by itself and is left out.
    pub(super) fn settled(&self) -> Self {
        let mut set = self.clone();
        for record in &mut set.records {
            if let Ok(address) = record.content.parse::<IpAddr>() {
                record.content = address.to_string();
            }
            if set.kind == "SOA" {
                let mut words: Vec<&str> = record.content.split_whitespace().collect();
                if let Some(serial) = words.get_mut(2) {
                    *serial = "-";
                }
                record.content = words.join(" ");
            }
        }
        set.records.sort();
        set.records.dedup();
        set.comments.sort();
        set
    }
}

/// The name with a dot at its end, as the API wants it; else why it is no host name.
pub(super) fn host_name(name: &str) -> Result<String, String> {
    let lower = name.to_ascii_lowercase();
    let fits = |label: &str| {
        let letters = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && letters && !label.starts_with('-') && !label.ends_with('-')
    };
    if lower.len() < NAME_LIMIT && lower.split('.').all(fits) {
        Ok(format!("{lower}."))
    } else {
        Err(format!(
            "`{name}` is no host name; use labels of at most 63 letters, digits and inner hyphens, with dots between them"
        ))
    }
}

/// The domain in the API's writing; else why it cannot be served.
pub(super) fn domain_name(domain: &str) -> Result<String, String> {
    let name = host_name(domain)?;
    if name == "arpa." || name.ends_with(".arpa.") {
        return Err(format!("`{domain}` is kept for names of addresses; use another domain"));
    }
    Ok(name)
}

/// The zone with its SOA and NS, and nothing else.
///
/// Its server is its own top, as RFC 6303 has it for zones that the world does not see: nobody follows a
/// delegation to it.
pub(super) fn empty_zone(name: &str, account: &str) -> Zone {
    let authority = format!("{name} nobody.invalid. 1 3600 1200 604800 {NEGATIVE_TTL}");
    Zone {
        name: name.to_owned(),
        kind: "Native".to_owned(),
        account: account.to_owned(),
        soa_edit_api: "DEFAULT".to_owned(),
        rrsets: vec![RecordSet::new(name, "SOA", [authority]), RecordSet::new(name, "NS", [name.to_owned()])],
    }
}

/// Each name of a zone with its addresses, in the API's writing; else which one cannot be served.
pub(super) fn addresses(zone: &DnsZone) -> Result<BTreeMap<String, Vec<IpAddr>>, String> {
    let domain = domain_name(&zone.domain)?;
    let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for name in &zone.names {
        let whole = match name.name.as_str() {
            "@" => domain.clone(),
            relative => {
                host_name(relative)?;
                host_name(&format!("{relative}.{}", domain.trim_end_matches('.')))?
            }
        };
        names.entry(whole).or_default().extend(&name.addresses);
    }
    for addresses in names.values_mut() {
        addresses.sort_unstable();
        addresses.dedup();
    }
    Ok(names)
}

/// The record sets that a zone should have.
pub(super) fn wanted(domain: &str, names: &BTreeMap<String, Vec<IpAddr>>) -> Vec<RecordSet> {
    let mut sets = empty_zone(domain, "").rrsets;
    for (name, addresses) in names {
        let of = |kind, fits: fn(&IpAddr) -> bool| {
            RecordSet::new(
                name,
                kind,
                addresses.iter().filter(|address| fits(address)).map(IpAddr::to_string),
            )
        };
        let both = [of("A", IpAddr::is_ipv4), of("AAAA", IpAddr::is_ipv6)];
        sets.extend(both.into_iter().filter(|set| !set.records.is_empty()));
    }
    sets
}

/// What to change so that what is observed becomes what is wanted; nothing when it is.
pub(super) fn difference(observed: &[RecordSet], wanted: &[RecordSet]) -> Vec<Change> {
    let key = |set: &RecordSet| (set.name.to_ascii_lowercase(), set.kind.clone());
    let mut held: BTreeMap<_, &RecordSet> = observed.iter().map(|set| (key(set), set)).collect();
    let mut replaced = Vec::new();
    for set in wanted {
        let same = held.remove(&key(set)).is_some_and(|held| held.settled() == set.settled());
        if !same {
            replaced.push(Change::Replace(set.clone()));
        }
    }
    // What is in the way goes first: a CNAME suffers nothing beside it.
    held.into_values().map(RecordSet::deletion).chain(replaced).collect()
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
