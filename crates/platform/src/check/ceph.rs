//! Ceph: pools that can place their copies, file systems of the right pools, clients with sensible rights.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::fault::Fault;
use crate::model::{Application, Ceph, DiskUse, FailureDomain, Machine, Pool, Role};
use crate::near;
use crate::path::path_to;
use crate::words::Name;

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let Some(ceph) = &context.platform.services.ceph else { return Vec::new() };
    let mut faults = Vec::new();
    let (domains, noun) = domains(context, ceph.failure_domain);
    for (name, pool) in &ceph.pools {
        faults.extend(pool_faults(name, pool, domains, noun));
    }
    faults.extend(groups_per_osd(context, ceph));
    faults.extend(filesystems(context, ceph));
    faults.extend(clients(ceph));
    faults
}

fn osds(machine: &Machine) -> usize {
    machine.disks.values().filter(|disk| disk.purpose == DiskUse::CephOsd).count()
}

/// How many places there are over which copies are spread, and what they are.
fn domains(context: &Context<'_>, domain: FailureDomain) -> (usize, &'static str) {
    let hosts = context.with(Role::CephOsd);
    let with_disks = hosts.iter().filter(|(_, machine)| osds(machine) > 0);
    match domain {
        FailureDomain::Osd => (hosts.iter().map(|(_, machine)| osds(machine)).sum(), "disk"),
        FailureDomain::Host => (with_disks.count(), "machine"),
        FailureDomain::Zone => {
            let zones: BTreeSet<&Name> =
                with_disks.filter_map(|(_, machine)| machine.zone.as_ref()).collect();
            (zones.len(), "zone")
        }
    }
}

fn pool_faults(name: &Name, pool: &Pool, domains: usize, noun: &str) -> Vec<Fault> {
    let at = path_to!["services", "ceph", "pools", name];
    let mut faults = Vec::new();
    if let Some(least) = pool.min_size.filter(|least| *least > pool.size) {
        faults.push(Fault::value(
            at.then("min_size"),
            format!("the pool `{name}` keeps {} copies, and {least} of them must be there", pool.size),
        ));
    }
    if usize::from(pool.size) > domains {
        faults.push(
            Fault::value(
                at.then("size"),
                format!(
                    "the pool `{name}` keeps {} copies, each on another {noun}, and there are {domains}",
                    pool.size
                ),
            )
            .hint("add OSDs, keep fewer copies, or set `failure_domain`")
            .absence(),
        );
    }
    let least = pool.min_size.unwrap_or_else(|| pool.size - pool.size / 2);
    if pool.size <= 2 && least <= 1 {
        let message = if pool.size == 1 {
            format!("the pool `{name}` keeps one copy: a broken disk loses data")
        } else {
            format!("the pool `{name}` takes writes with one copy left: a second failure loses data")
        };
        let hint = "keep three copies of what must not be lost";
        faults.push(Fault::value(at.then("size"), message).hint(hint).warning());
    }
    if let Some(groups) = pool.placement_groups.filter(|groups| !groups.is_power_of_two()) {
        faults.push(
            Fault::value(
                at.then("placement_groups"),
                format!("{groups} placement groups are not a power of two"),
            )
            .hint(format!(
                "take {} or {}",
                groups.next_power_of_two() / 2,
                groups.next_power_of_two()
            )),
        );
    }
    faults
}

/// A cluster refuses pools with more placement groups than its OSDs may have.
fn groups_per_osd(context: &Context<'_>, ceph: &Ceph) -> Option<Fault> {
    let osds: usize = context.with(Role::CephOsd).iter().map(|(_, machine)| osds(machine)).sum();
    let osds = u64::try_from(osds).ok().filter(|osds| *osds > 0)?;
    let copies = |pool: &Pool| u64::from(pool.placement_groups.unwrap_or(0)) * u64::from(pool.size);
    let total: u64 = ceph.pools.values().map(copies).sum();
    let most = u64::from(ceph.osd.max_pg_per_osd);
    (total > osds * most).then(|| {
        Fault::key(
            path_to!["services", "ceph", "pools"],
            format!("the pools have {} placement groups per OSD, at most {most} are allowed", total / osds),
        )
        .hint("take fewer placement groups, or leave them to Ceph")
    })
}

fn filesystems(context: &Context<'_>, ceph: &Ceph) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut used: BTreeMap<&str, crate::path::Path> = BTreeMap::new();
    let servers = context.count(Role::CephMds);
    for (name, filesystem) in &ceph.filesystems {
        let at = path_to!["services", "ceph", "filesystems", name];
        let data = filesystem
            .data_pools
            .iter()
            .enumerate()
            .map(|(index, pool)| (at.then("data_pools").then(index), pool));
        let metadata = std::iter::once((at.then("metadata_pool"), &filesystem.metadata_pool));
        for (path, pool) in metadata.chain(data) {
            if ceph.pools.get(pool.as_str()).is_some_and(|pool| pool.application != Application::Cephfs) {
                faults.push(
                    Fault::value(path.clone(), format!("the pool `{pool}` is not for file systems"))
                        .also(path_to!["services", "ceph", "pools", pool, "application"], "what it is for")
                        .hint("say `application: cephfs`"),
                );
            }
            if let Some(first) = used.insert(pool.as_str(), path.clone()) {
                faults.push(
                    Fault::value(path, format!("the pool `{pool}` is used twice")).also(first, "used first"),
                );
            }
        }
        if filesystem.data_pools.is_empty() {
            faults.push(
                Fault::key(at.then("data_pools"), format!("the file system `{name}` has no pool for data"))
                    .absence(),
            );
        }
        if servers < usize::from(filesystem.max_mds) {
            faults.push(
                Fault::key(
                    at,
                    format!(
                        "the file system `{name}` needs {} metadata servers, and there are {servers}",
                        filesystem.max_mds
                    ),
                )
                .hint("give machines the role `ceph-mds`")
                .absence(),
            );
        }
    }
    faults
}

fn clients(ceph: &Ceph) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, client) in &ceph.clients {
        let at = path_to!["services", "ceph", "clients", name, "caps"];
        let caps = [
            ("mon", &client.caps.mon),
            ("mgr", &client.caps.mgr),
            ("osd", &client.caps.osd),
            ("mds", &client.caps.mds),
        ];
        if client.caps.mon.is_none() {
            faults.push(
                Fault::key(at.clone(), format!("the client `{name}` may not even ask the monitors"))
                    .hint("say `mon: profile rbd` for block devices, `mon: allow r` for file systems")
                    .absence(),
            );
        }
        for (daemon, cap) in caps {
            let Some(cap) = cap else { continue };
            if cap.contains('*') {
                faults.push(
                    Fault::value(at.then(daemon), format!("the client `{name}` may do everything"))
                        .hint("give it what it needs, such as `profile rbd pool=volumes`")
                        .warning(),
                );
            }
            for pool in pools_of(cap).filter(|pool| !ceph.pools.contains_key(*pool)) {
                let hint = near::hint(pool, ceph.pools.keys().map(Name::as_str));
                faults.push(
                    Fault::value(at.then(daemon), format!("there is no pool `{pool}`"))
                        .maybe_hint(hint.or_else(|| Some("add it to `services.ceph.pools`".to_owned()))),
                );
            }
        }
    }
    faults
}

/// The pools that a right names.
fn pools_of(cap: &str) -> impl Iterator<Item = &str> {
    let words = cap.split([' ', ',']).filter_map(|word| word.strip_prefix("pool="));
    words.map(|pool| pool.trim_matches(['"', '\''])).filter(|pool| !pool.is_empty())
}
