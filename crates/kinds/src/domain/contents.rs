//! What is in a domain: the names of machines, and records. Pure.
//!
//! A record goes before a machine of the same name. Machines of the same name, in projects that share the
//! domain, are all answered.

use std::collections::BTreeMap;
use std::net::IpAddr;

use freehold_store::{AnyObject, Object, Snapshot};
use freehold_types::service::{DnsName, DnsZone};
use freehold_types::{ApiError, Id};

use super::Domain;
use crate::instance::{self, Instance};
use crate::project::Project;
use crate::record::Record;

/// Everything in a domain.
pub(super) fn zone(domain: &Object<Domain>, snapshot: &Snapshot) -> DnsZone {
    let owners = || domain.spec.projects.iter().chain(&domain.spec.regions).copied();
    let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for machine in owners().flat_map(|owner| snapshot.referrers::<Instance>(owner)) {
        if let Some(address) = published(machine, &domain.spec, snapshot) {
            names.entry(machine.spec.name.to_ascii_lowercase()).or_default().push(address);
        }
    }
    let mut records: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for record in owners().flat_map(|owner| snapshot.referrers::<Record>(owner)) {
        let name = record.spec.name.to_ascii_lowercase();
        records.entry(name).or_default().extend(record.spec.addresses.iter().copied());
    }
    names.extend(records);
    let names = names.into_iter().map(|(name, mut addresses)| {
        addresses.sort_unstable();
        addresses.dedup();
        DnsName { name, addresses }
    });
    DnsZone { domain: domain.spec.name.clone(), names: names.collect() }
}

/// The address that a machine's name stands for: a private one, never a public one. Its region names it too,
/// but only the project's domain has its name.
fn published(machine: &Object<Instance>, domain: &Domain, snapshot: &Snapshot) -> Option<IpAddr> {
    let listed = domain.projects.contains(&machine.spec.project) && !machine.is_deleting();
    listed.then(|| instance::local_address_of(&machine.spec, snapshot)).flatten().map(IpAddr::V4)
}

/// Who holds a name in a domain, other than `own`.
pub(crate) fn holder_of<'a>(
    domain: &Object<Domain>,
    name: &str,
    own: Option<Id>,
    snapshot: &'a Snapshot,
) -> Option<&'a dyn AnyObject> {
    let machine = || {
        domain.spec.projects.iter().find_map(|project| {
            let claim = Instance::name_claim(*project, name);
            snapshot.claimed::<Instance>(&claim).filter(|machine| Some(machine.id()) != own)
        })
    };
    match record_of(domain, name, own, snapshot) {
        Some(record) => Some(record),
        None => machine().map(|machine| machine as &dyn AnyObject),
    }
}

/// Refuses a name for a machine of a project that a record in its domain has.
///
/// # Errors
/// 409.
pub(crate) fn refuse_recorded(
    project: &Object<Project>,
    name: &str,
    snapshot: &Snapshot,
) -> Result<(), ApiError> {
    let domain = project.spec.domain.as_deref().and_then(|domain| super::named(domain, snapshot));
    match domain.and_then(|domain| record_of(domain, name, None, snapshot)) {
        Some(_) => Err(ApiError::conflict(format!(
            "`{name}` is the name of a DNS record in the domain of the project; take another name, or remove the record"
        ))),
        None => Ok(()),
    }
}

fn record_of<'a>(
    domain: &Object<Domain>,
    name: &str,
    own: Option<Id>,
    snapshot: &'a Snapshot,
) -> Option<&'a Object<Record>> {
    let owners = domain.spec.projects.iter().chain(&domain.spec.regions).copied();
    owners
        .flat_map(|owner| snapshot.referrers::<Record>(owner))
        .find(|record| Some(record.id()) != own && record.spec.name.eq_ignore_ascii_case(name))
}
