//! Networks: apart from each other, and whole in themselves.

use super::Context;
use crate::fault::Fault;
use crate::path::{Path, path_to};
use crate::words::{Cidr, Range};

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = overlaps(context);
    for (name, network) in &context.platform.networks {
        let cidr = network.cidr;
        if let Some(gateway) = network.gateway
            && !cidr.is_host(gateway.0)
        {
            faults.push(outside(
                path_to!["networks", name, "gateway"],
                &format!("the gateway {gateway}"),
                name,
                cidr,
            ));
        }
        let dhcp = network.dhcp.iter().map(|range| (path_to!["networks", name, "dhcp"], range));
        let reserved = network.reserved.iter().enumerate();
        let reserved = reserved.map(|(at, range)| (path_to!["networks", name, "reserved", at], range));
        for (path, range) in dhcp.chain(reserved) {
            if !within(cidr, range) {
                faults.push(outside(path, &format!("the range {range}"), name, cidr));
            }
        }
    }
    faults.extend(vlans(context));
    faults
}

fn within(cidr: Cidr, range: &Range) -> bool {
    cidr.contains(range.first) && cidr.contains(range.last)
}

fn outside(path: Path, what: &str, name: &crate::words::Name, cidr: Cidr) -> Fault {
    Fault::value(path, format!("{what} is not in the network `{name}`"))
        .label(format!("not in {cidr}"))
        .also(path_to!["networks", name, "cidr"], "the network")
}

/// Every range of addresses that must be apart from the others, with what it is called.
fn ranges(context: &Context<'_>) -> Vec<(Path, String, Cidr)> {
    let networks = context.platform.networks.iter();
    let mut all: Vec<(Path, String, Cidr)> = networks
        .map(|(name, network)| {
            (path_to!["networks", name, "cidr"], format!("the network `{name}`"), network.cidr)
        })
        .collect();
    if let Some(kubernetes) = &context.platform.services.kubernetes {
        let of = |key: &str| path_to!["services", "kubernetes", key];
        all.push((of("pod_cidr"), "the network of pods".to_owned(), kubernetes.pod_cidr));
        all.push((of("service_cidr"), "the network of services".to_owned(), kubernetes.service_cidr));
    }
    all
}

fn overlaps(context: &Context<'_>) -> Vec<Fault> {
    let all = ranges(context);
    let mut faults = Vec::new();
    for (at, (path, what, cidr)) in all.iter().enumerate() {
        for (other_path, other, other_cidr) in &all[..at] {
            if cidr.overlaps(other_cidr) {
                faults.push(
                    Fault::value(path.clone(), format!("{what} ({cidr}) overlaps {other} ({other_cidr})"))
                        .also(other_path.clone(), "the other one")
                        .hint("choose ranges that share no address"),
                );
            }
        }
    }
    faults
}

fn vlans(context: &Context<'_>) -> Vec<Fault> {
    let mut seen = std::collections::BTreeMap::new();
    let mut faults = Vec::new();
    for (name, network) in &context.platform.networks {
        let Some(vlan) = network.vlan else { continue };
        if let Some(first) = seen.insert(vlan, name) {
            faults.push(
                Fault::value(
                    path_to!["networks", name, "vlan"],
                    format!("VLAN {vlan} is also that of `{first}`"),
                )
                .also(path_to!["networks", first, "vlan"], "the other one")
                .hint("this is right only where the two are on different wires")
                .warning(),
            );
        }
    }
    faults
}
