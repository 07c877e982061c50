//! Machines: each recognised by something that no other has, and reachable.

use std::collections::BTreeMap;

use super::Context;
use crate::fault::Fault;
use crate::model::Machine;
use crate::path::{Path, path_to};
use crate::words::HostName;

/// What vendors write where a serial number should be.
const NO_SERIALS: &[&str] = &[
    "0",
    "00000000",
    "123456789",
    "default string",
    "empty",
    "n/a",
    "none",
    "not applicable",
    "not specified",
    "o.e.m.",
    "oem",
    "system serial number",
    "to be filled by o.e.m.",
    "unknown",
];

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen: BTreeMap<(&str, String), Path> = BTreeMap::new();
    for (name, machine, _) in &context.machines {
        let at = path_to!["machines", name];
        for (what, value, path) in recognised_by(machine, &at) {
            let key = (what, value.to_lowercase());
            if let Some(first) = seen.get(&key) {
                // An adapter may be named both in `identity` and among the interfaces.
                let is_same = first.0.get(1) == path.0.get(1) && first.0.get(2) != path.0.get(2);
                if !is_same {
                    let other = first.0.get(1).map_or("", String::as_str);
                    faults.push(
                        Fault::value(path, same(other, name, what, &value))
                            .label("again")
                            .also(first.clone(), "first")
                            .hint("a machine could not tell which of the two it is"),
                    );
                }
            } else {
                seen.insert(key, path);
            }
        }
        if let Some(serial) = &machine.identity.serial
            && NO_SERIALS.contains(&serial.to_lowercase().as_str())
        {
            faults.push(
                Fault::value(
                    at.then("identity").then("serial"),
                    format!("`{serial}` is what vendors write instead of a serial number"),
                )
                .hint("recognise the machine by a hardware address or its UUID"),
            );
        }
        let is_made = machine.substrate.is_some();
        let has_address = machine.interfaces.values().any(|interface| !interface.addresses.is_empty());
        if machine.ssh.host.is_none() && !has_address && !is_made {
            faults.push(
                Fault::key(at, format!("it is not known how to reach the machine `{name}`"))
                    .hint("give an interface an address, or say `ssh: {host: NAME}`")
                    .absence(),
            );
        }
    }
    if context.machines.is_empty() {
        faults.push(
            Fault::key(path_to!["machines"], "the platform has no machines")
                .hint("name at least one, with how it is reached")
                .absence(),
        );
    }
    faults.extend(shared(context));
    faults
}

fn same(other: &str, name: &HostName, what: &str, value: &str) -> String {
    if other == name.as_str() {
        format!("`{name}` has the {what} {value} twice")
    } else {
        format!("`{other}` and `{name}` have the same {what}: {value}")
    }
}

/// Everything by which a machine is recognised, with its place.
fn recognised_by(machine: &Machine, at: &Path) -> Vec<(&'static str, String, Path)> {
    let identity = at.then("identity");
    let mut all = Vec::new();
    for (link, interface) in &machine.interfaces {
        if let Some(mac) = interface.mac {
            all.push(("hardware address", mac.to_string(), at.then("interfaces").then(link).then("mac")));
        }
    }
    for (index, mac) in machine.identity.macs.iter().enumerate() {
        all.push(("hardware address", mac.to_string(), identity.then("macs").then(index)));
    }
    let texts = [
        ("serial number", "serial", machine.identity.serial.clone()),
        ("UUID", "uuid", machine.identity.uuid.as_ref().map(ToString::to_string)),
        ("host name", "hostname", machine.identity.hostname.clone()),
    ];
    all.extend(texts.into_iter().filter_map(|(what, key, value)| Some((what, value?, identity.then(key)))));
    all.extend(machine.number.map(|number| ("number", number.to_string(), at.then("number"))));
    all
}

/// What cannot be common to several machines stands in no group.
fn shared(context: &Context<'_>) -> Vec<Fault> {
    let defaults = std::iter::once((path_to!["defaults"], &context.platform.defaults));
    let groups = context.platform.groups.iter();
    let groups = groups.map(|(name, group)| (path_to!["groups", name, "settings"], &group.settings));
    let mut faults = Vec::new();
    for (at, settings) in defaults.chain(groups) {
        let own = recognised_by(settings, &at);
        faults.extend(own.into_iter().map(|(what, _, path)| {
            Fault::value(path, format!("a {what} belongs to one machine, not to a group"))
                .hint("put it under the machine itself")
        }));
        if !settings.groups.is_empty() && at.0.len() > 1 {
            faults.push(
                Fault::key(
                    at.then("groups"),
                    "the groups that a group belongs to do not stand in its settings",
                )
                .hint("move `groups` beside `settings`"),
            );
        }
    }
    faults
}
