//! Interfaces of a machine: each with the keys of its type, together a graph without cycles.

use std::collections::BTreeMap;

use super::Context;
use crate::fault::Fault;
use crate::model::{Interface, InterfaceKind, Machine};
use crate::near;
use crate::path::{Path, path_to};
use crate::words::LinkName;

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, machine, _) in &context.machines {
        let at = path_to!["machines", name];
        for (link, interface) in &machine.interfaces {
            let path = at.then("interfaces").then(link);
            faults.extend(keys(&path, link, interface));
            faults.extend(parts(&path, link, interface, machine));
            faults.extend(of_network(context, &path, link, interface));
            faults.extend(sizes(&path, link, interface, machine));
        }
        faults.extend(masters(&at, machine));
        faults.extend(cycles(&at, machine));
        faults.extend(default_routes(&at, machine));
        faults.extend(firewall(&at, machine));
    }
    faults
}

const fn noun(kind: InterfaceKind) -> &'static str {
    match kind {
        InterfaceKind::Ethernet => "an Ethernet adapter",
        InterfaceKind::Bond => "a bond",
        InterfaceKind::Vlan => "a VLAN",
        InterfaceKind::Bridge => "a bridge",
    }
}

/// Keys that the type does not have, and keys that it cannot do without.
fn keys(path: &Path, link: &LinkName, interface: &Interface) -> Vec<Fault> {
    use InterfaceKind::{Bond, Bridge, Ethernet, Vlan};
    let kind = interface.kind;
    let alien = [
        ("members", !interface.members.is_empty(), matches!(kind, Bond | Bridge)),
        ("parent", interface.parent.is_some(), kind == Vlan),
        ("bond", interface.bond.is_some(), kind == Bond),
        ("stp", interface.stp, kind == Bridge),
        ("mac", interface.mac.is_some(), kind == Ethernet),
    ];
    let mut faults: Vec<Fault> = alien
        .into_iter()
        .filter(|(_, is_there, may)| *is_there && !may)
        .map(|(key, _, _)| {
            Fault::key(path.then(key), format!("`{link}` is {}, which has no `{key}`", noun(kind)))
                .hint("set the interface's `type`, or remove the key")
        })
        .collect();
    if kind == Bond && interface.members.is_empty() {
        faults.push(
            Fault::key(path.clone(), format!("the bond `{link}` has no members"))
                .hint("name its adapters: `members: [eno1, eno2]`")
                .absence(),
        );
    }
    if kind == Vlan && interface.parent.is_none() {
        faults.push(
            Fault::key(path.clone(), format!("the VLAN `{link}` has no parent"))
                .hint("name the interface that carries it: `parent: eno1`")
                .absence(),
        );
    }
    let is_configured = !interface.addresses.is_empty() || interface.dhcp;
    if interface.raw && is_configured {
        let key = if interface.dhcp { "dhcp" } else { "addresses" };
        faults.push(
            Fault::key(
                path.then(key),
                format!("`{link}` is raw, so that whoever owns it takes its addresses away"),
            )
            .hint("give the address to another interface"),
        );
    }
    faults
}

/// Interfaces that an interface names.
fn parts(path: &Path, link: &LinkName, interface: &Interface, machine: &Machine) -> Vec<Fault> {
    let members =
        interface.members.iter().enumerate().map(|(at, member)| (path.then("members").then(at), member));
    let parent = interface.parent.iter().map(|parent| (path.then("parent"), parent));
    let mut faults = Vec::new();
    for (path, part) in members.chain(parent) {
        if part == link {
            faults.push(Fault::value(path, format!("`{link}` is made of itself")));
        } else if !machine.interfaces.contains_key(part.as_str()) {
            faults.push(unknown(path, part, machine));
        }
    }
    faults
}

fn unknown(path: Path, part: &LinkName, machine: &Machine) -> Fault {
    let names = machine.interfaces.keys().map(LinkName::as_str);
    let hint = near::hint(part.as_str(), names).unwrap_or_else(|| "add it to `interfaces`".to_owned());
    Fault::value(path, format!("the machine has no interface `{part}`")).label("unknown interface").hint(hint)
}

fn of_network(context: &Context<'_>, path: &Path, link: &LinkName, interface: &Interface) -> Vec<Fault> {
    let mut faults = Vec::new();
    let named = interface.network.as_ref();
    let network = named.and_then(|name| Some((name, context.platform.networks.get(name.as_str())?)));
    if interface.kind == InterfaceKind::Vlan {
        match network {
            None if named.is_none() => faults.push(
                Fault::key(path.clone(), format!("the VLAN `{link}` has no network"))
                    .hint("say `network: NAME`; the VLAN id is the network's")
                    .absence(),
            ),
            Some((name, network)) if network.vlan.is_none() => faults.push(
                Fault::value(path.then("network"), format!("the network `{name}` has no VLAN id"))
                    .also(path_to!["networks", name], "the network")
                    .hint("give the network a `vlan`, or make the interface another type"),
            ),
            _ => {}
        }
    }
    if interface.default_route && !interface.dhcp {
        let (message, absence) = match network {
            None if named.is_some() => return faults,
            None => (format!("`{link}` has the default route, and no network with a gateway"), true),
            Some((name, network)) if network.gateway.is_none() => {
                (format!("`{link}` has the default route, and the network `{name}` has no gateway"), true)
            }
            Some(_) => (String::new(), false),
        };
        if absence {
            faults.push(
                Fault::key(path.then("default_route"), message)
                    .hint("give the network a `gateway`")
                    .absence(),
            );
        }
    }
    for (at, route) in interface.routes.iter().enumerate() {
        let Some((name, network)) = network else { continue };
        if !network.cidr.contains(route.via.0) {
            faults.push(
                Fault::value(
                    path.then("routes").then(at).then("via"),
                    format!("the router {} cannot be reached by `{link}`", route.via),
                )
                .label(format!("not in {}", network.cidr))
                .also(path_to!["networks", name, "cidr"], "the network of the interface"),
            );
        }
    }
    faults
}

/// An interface on another one cannot have larger packets.
fn sizes(path: &Path, link: &LinkName, interface: &Interface, machine: &Machine) -> Option<Fault> {
    let parent_name = interface.parent.as_ref()?;
    let parent = machine.interfaces.get(parent_name.as_str())?;
    let (own, below) = (interface.mtu?, parent.mtu.unwrap_or(1500));
    (own > below).then(|| {
        Fault::value(
            path.then("mtu"),
            format!("packets of `{link}` ({own} bytes) do not fit `{parent_name}` ({below} bytes)"),
        )
        .hint(format!("raise the `mtu` of `{parent_name}`, or lower this one"))
    })
}

/// A member belongs to one bond or bridge, and has no addresses of its own.
fn masters(at: &Path, machine: &Machine) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen: BTreeMap<&LinkName, &LinkName> = BTreeMap::new();
    for (link, interface) in &machine.interfaces {
        for (index, member) in interface.members.iter().enumerate() {
            let path = at.then("interfaces").then(link).then("members").then(index);
            if let Some(other) = seen.insert(member, link) {
                faults.push(Fault::value(path, format!("`{member}` is already a member of `{other}`")));
                continue;
            }
            let member_path = at.then("interfaces").then(member).then("addresses");
            let configured = |one: &Interface| !one.addresses.is_empty() || one.dhcp;
            if machine.interfaces.get(member.as_str()).is_some_and(configured) {
                faults.push(
                    Fault::value(
                        member_path,
                        format!("`{member}` is a member of `{link}`, and cannot have addresses"),
                    )
                    .also(path, "a member here")
                    .hint(format!("give the address to `{link}`")),
                );
            }
        }
    }
    faults
}

/// Interfaces that are made of each other.
fn cycles(at: &Path, machine: &Machine) -> Vec<Fault> {
    let below = |link: &str| -> Vec<&str> {
        machine.interfaces.get(link).map_or_else(Vec::new, |interface| {
            interface.members.iter().chain(&interface.parent).map(LinkName::as_str).collect()
        })
    };
    let is_made_of_itself = |link: &str| {
        let (mut seen, mut next) = (Vec::new(), below(link));
        while let Some(one) = next.pop() {
            if one == link {
                // A direct one is told as such.
                return !below(link).contains(&link);
            }
            if !seen.contains(&one) {
                seen.push(one);
                next.extend(below(one));
            }
        }
        false
    };
    let fault = |link: &LinkName| {
        Fault::key(
            at.then("interfaces").then(link),
            format!("`{link}` is made of interfaces that are made of it"),
        )
    };
    machine.interfaces.keys().filter(|link| is_made_of_itself(link.as_str())).map(fault).collect()
}

fn default_routes(at: &Path, machine: &Machine) -> Option<Fault> {
    let with: Vec<_> =
        machine.interfaces.iter().filter(|(_, one)| one.default_route).map(|(link, _)| link).collect();
    let [first, second, ..] = with.as_slice() else { return None };
    let path = |link: &LinkName| at.then("interfaces").then(link).then("default_route");
    Some(
        Fault::value(
            path(second),
            format!("the machine has two default routes, on `{first}` and `{second}`"),
        )
        .also(path(first), "the other one")
        .hint("keep one, and give the other interface `routes`"),
    )
}

/// Interfaces that the firewall names.
fn firewall(at: &Path, machine: &Machine) -> Vec<Fault> {
    let at = at.then("firewall");
    let rules = &machine.firewall;
    let dnat = rules.dnat.iter().enumerate();
    let dnat = dnat.map(|(index, rule)| (at.then("dnat").then(index).then("interface"), &rule.interface));
    let forward = rules.forward.iter().enumerate().flat_map(|(index, rule)| {
        let at = at.then("forward").then(index);
        [(at.then("from"), &rule.from), (at.then("to"), &rule.to)]
    });
    let masquerade = rules.masquerade.iter().enumerate();
    let masquerade = masquerade.map(|(index, link)| (at.then("masquerade").then(index), link));
    let named = dnat.chain(forward).chain(masquerade);
    let mut faults: Vec<Fault> = named
        .filter(|(_, link)| !machine.interfaces.contains_key(link.as_str()))
        .map(|(path, link)| unknown(path, link, machine))
        .collect();
    for (index, cidr) in rules.trusted.iter().enumerate().filter(|(_, cidr)| cidr.0.prefix_len() == 0) {
        faults.push(
            Fault::value(
                at.then("trusted").then(index),
                format!("{cidr} is everybody: there is no firewall then"),
            )
            .hint("name the networks that are trusted, or say `enabled: false`")
            .warning(),
        );
    }
    faults
}
