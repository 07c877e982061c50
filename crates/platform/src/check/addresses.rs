//! Addresses: inside their network, given once, and free where they are virtual.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Context, list};
use crate::fault::Fault;
use crate::model::{Interface, Network, Vip};
use crate::path::{Path, path_to};
use crate::words::{Name, NetworkName};

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut owners: BTreeMap<IpAddr, (Path, String)> = BTreeMap::new();
    let mut claim = |ip: IpAddr, path: Path, who: String, faults: &mut Vec<Fault>| {
        if let Some((first, owner)) = owners.get(&ip) {
            faults.push(
                Fault::value(path, format!("{ip} is the address of {who}, and of {owner}"))
                    .label("given again")
                    .also(first.clone(), "given first"),
            );
        } else {
            owners.insert(ip, (path, who));
        }
    };
    for (name, machine, _) in &context.machines {
        for (link, interface) in &machine.interfaces {
            for (at, address) in interface.addresses.iter().enumerate() {
                let path = path_to!["machines", name, "interfaces", link, "addresses", at];
                let who = format!("`{link}` of the machine `{name}`");
                faults.extend(of_interface(context, &path, interface, address.ip, address.prefix));
                claim(address.ip, path, who, &mut faults);
            }
        }
    }
    for (name, vip) in &context.platform.vips {
        let path = path_to!["vips", name, "address"];
        faults.extend(of_vip(context, name, vip));
        claim(vip.address.0, path, format!("the virtual address `{name}`"), &mut faults);
    }
    faults.extend(router_ids(context));
    faults
}

fn network<'a>(context: &Context<'a>, name: Option<&NetworkName>) -> Option<(&'a Name, &'a Network)> {
    context.platform.networks.get_key_value(name?.as_str())
}

fn of_interface(
    context: &Context<'_>,
    path: &Path,
    interface: &Interface,
    ip: IpAddr,
    prefix: Option<u8>,
) -> Option<Fault> {
    let Some((name, network)) = network(context, interface.network.as_ref()) else {
        // Of a network that does not exist the structural check has told.
        let knows = prefix.is_some() || interface.network.is_some();
        return (!knows).then(|| {
            Fault::value(path.clone(), format!("it is not known which network {ip} is in"))
                .hint(format!("say `network: NAME` for the interface, or give a prefix length: {ip}/24"))
                .absence()
        });
    };
    if !network.cidr.contains(ip) && prefix.is_some() {
        return None;
    }
    if interface.default_route && network.gateway.is_some_and(|gateway| gateway.0 == ip) {
        return Some(
            Fault::value(
                path.clone(),
                format!("{ip} is the gateway of `{name}`, through which this machine's default route leads"),
            )
            .also(path_to!["networks", name, "gateway"], "the gateway")
            .hint("give the machine another address, or no default route on this interface"),
        );
    }
    usable(path, name, network, ip)
}

/// Why an address may not be used in a network.
fn usable(path: &Path, name: &Name, network: &Network, ip: IpAddr) -> Option<Fault> {
    if !network.cidr.is_host(ip) {
        let reason = if network.cidr.contains(ip) { "no machine can have it" } else { "not in the network" };
        return Some(
            Fault::value(
                path.clone(),
                format!("{ip} is not an address for machines of the network `{name}`"),
            )
            .label(reason)
            .also(path_to!["networks", name, "cidr"], "the network"),
        );
    }
    if let Some(range) = network.dhcp.filter(|range| range.contains(ip)) {
        return Some(
            Fault::value(
                path.clone(),
                format!("{ip} is in the range {range}, from which DHCP gives out addresses"),
            )
            .also(path_to!["networks", name, "dhcp"], "the range")
            .hint("choose an address outside of the range, or make the range smaller"),
        );
    }
    let reserved = network.reserved.iter().position(|range| range.contains(ip))?;
    Some(
        Fault::value(path.clone(), format!("{ip} is reserved in the network `{name}`"))
            .also(path_to!["networks", name, "reserved", reserved], "reserved here"),
    )
}

fn of_vip(context: &Context<'_>, name: &Name, vip: &Vip) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some((network_name, network)) = network(context, Some(&vip.network)) else { return faults };
    faults.extend(usable(&path_to!["vips", name, "address"], network_name, network, vip.address.0));
    let holders = context.platform.members(&vip.holders);
    let holders_path = path_to!["vips", name, "holders"];
    match holders.as_slice() {
        [] => faults.push(
            Fault::value(holders_path.clone(), format!("nobody may hold the virtual address `{name}`"))
                .hint("name two or more machines, or a group that has members")
                .absence(),
        ),
        [_] => faults.push(
            Fault::value(
                holders_path.clone(),
                format!("only one machine may hold the virtual address `{name}`"),
            )
            .hint("it goes away with that machine; name a second one")
            .warning()
            .absence(),
        ),
        _ => {}
    }
    let without: Vec<_> = holders
        .iter()
        .filter(|holder| {
            let machine = context.platform.machines.get(holder.as_str());
            machine.is_some_and(|machine| {
                context.platform.address(machine, Some(network_name.as_str())).is_none()
            })
        })
        .collect();
    if !without.is_empty() {
        faults.push(
            Fault::value(
                holders_path,
                format!(
                    "{} cannot hold `{name}`: no address on the network `{network_name}`",
                    list(&without)
                ),
            )
            .hint("give them an interface with an address there, or take them from the holders")
            .absence(),
        );
    }
    if let Some(primary) = &vip.primary
        && !holders.iter().any(|holder| holder.as_str() == primary.as_str())
    {
        faults.push(Fault::value(
            path_to!["vips", name, "primary"],
            format!("`{primary}` is the primary of `{name}`, and not among its holders"),
        ));
    }
    faults
}

/// Virtual router ids are unique on a network.
fn router_ids(context: &Context<'_>) -> Vec<Fault> {
    let mut seen: BTreeMap<(&str, u8), &Name> = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, vip) in &context.platform.vips {
        if let Some(first) = seen.insert((vip.network.as_str(), vip.vrid), name) {
            faults.push(
                Fault::value(
                    path_to!["vips", name, "vrid"],
                    format!(
                        "`{name}` and `{first}` have the same virtual router id on the network `{}`",
                        vip.network
                    ),
                )
                .also(path_to!["vips", first, "vrid"], "the other one")
                .hint("choose another number from 1 to 255"),
            );
        }
    }
    faults
}
