//! Machines as the engine sees them: made with what they need, reached before and after, and named apart.

use super::Context;
use crate::fault::Fault;
use crate::model::{Machine, Protocol, SubstrateKind};
use crate::path::{Path, path_to};
use crate::words::HostName;

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = names(context);
    for (name, machine, _) in &context.machines {
        let at = path_to!["machines", name];
        faults.extend(ports(&at, name, machine));
        faults.extend(locked_out(&at, name, machine));
        faults.extend(made(context, &at, name, machine));
    }
    for (name, substrate) in &context.platform.substrates {
        if substrate.kind != SubstrateKind::Existing && substrate.image.is_none() {
            faults.push(
                Fault::key(path_to!["substrates", name], format!("the substrate `{name}` lacks an `image`"))
                    .hint("machines start from it: a file or a URL")
                    .absence(),
            );
        }
    }
    faults
}

/// Where a machine or a group may be named, a name means one of them.
fn names(context: &Context<'_>) -> Vec<Fault> {
    let platform = context.platform;
    let mut faults = Vec::new();
    for name in platform.machines.keys() {
        let others = [
            ("group", "groups", platform.groups.contains_key(name.as_str())),
            ("virtual address", "vips", platform.vips.contains_key(name.as_str())),
        ];
        for (what, table, _) in others.into_iter().filter(|(_, _, is_taken)| *is_taken) {
            faults.push(
                Fault::key(
                    path_to![table, name],
                    format!("`{name}` is the name of a machine and of a {what}"),
                )
                .also(path_to!["machines", name], "the machine")
                .hint("give one of them another name"),
            );
        }
    }
    faults
}

/// The port that is asked is the port that answers.
fn ports(at: &Path, name: &HostName, machine: &Machine) -> Option<Fault> {
    let (asked, answers) = (machine.ssh.port, machine.sshd.port);
    // Through a name of its own, a machine may be reached by a port that is sent on.
    (asked != answers && machine.ssh.host.is_none()).then(|| {
        Fault::value(
            at.then("sshd").then("port"),
            format!("SSH of `{name}` will listen on port {answers}, and is asked on port {asked}"),
        )
        .also(at.then("ssh").then("port"), "asked here")
        .hint("set both `ssh.port` and `sshd.port`")
        .warning()
        .absence()
    })
}

/// A firewall through which SSH does not come ends every later change.
fn locked_out(at: &Path, name: &HostName, machine: &Machine) -> Option<Fault> {
    let rules = &machine.firewall;
    let port = machine.sshd.port.0;
    let opens = rules
        .open
        .iter()
        .any(|open| open.protocol == Protocol::Tcp && (open.ports.first..=open.ports.last).contains(&port));
    let is_shut =
        rules.enabled && !rules.ssh && !opens && rules.trusted.is_empty() && rules.extra_rules.is_empty();
    is_shut.then(|| {
        Fault::key(at.then("firewall").then("ssh"), format!("the firewall of `{name}` lets nobody in by SSH"))
            .hint(format!("open the port for a network: `open: [{{ ports: {port}, network: NAME }}]`"))
    })
}

/// What a substrate must know to make a machine.
fn made(context: &Context<'_>, at: &Path, name: &HostName, machine: &Machine) -> Vec<Fault> {
    let of = machine.substrate.as_ref().and_then(|one| context.platform.substrates.get(one.as_str()));
    let Some(substrate) = of.filter(|substrate| substrate.kind != SubstrateKind::Existing) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let missing = [("cpus", machine.hardware.cpus.is_none()), ("memory", machine.hardware.memory.is_none())];
    for (key, _) in missing.into_iter().filter(|(_, is_missing)| *is_missing) {
        faults.push(
            Fault::key(at.clone(), format!("the machine `{name}` is to be made, and lacks `hardware.{key}`"))
                .hint("say `hardware: { cpus: 2, memory: 4G }`")
                .absence(),
        );
    }
    for (disk_name, disk) in &machine.disks {
        if disk.size.is_none() {
            faults.push(
                Fault::key(
                    at.then("disks").then(disk_name),
                    format!("the disk `{disk_name}` is to be made, and lacks a `size`"),
                )
                .hint("say how large it is: `size: 20G`")
                .absence(),
            );
        }
    }
    for (link, interface) in &machine.interfaces {
        let Some(network) = &interface.network else { continue };
        if !substrate.networks.is_empty() && !substrate.networks.contains_key(network) {
            faults.push(
                Fault::value(
                    at.then("interfaces").then(link).then("network"),
                    format!("the substrate of `{name}` does not know the network `{network}`"),
                )
                .hint("add it to the substrate's `networks`, with the name that it has there")
                .absence(),
            );
        }
    }
    faults
}
