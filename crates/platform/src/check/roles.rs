//! Roles: enough machines for each, an odd number where they vote, and settings for what they run.

use super::{Context, list};
use crate::fault::Fault;
use crate::model::{DnsBackend, DnsEngine, Machine, Role};
use crate::path::path_to;
use crate::words::{HostName, NetworkName};

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (role, members) in &context.platform.roles {
        if context.platform.members(members).is_empty() {
            faults.push(
                Fault::key(path_to!["roles", role], format!("nobody has the role `{role}`"))
                    .hint("name a machine, or a group that has members; or remove the role")
                    .absence(),
            );
        }
    }
    faults.extend(quorums(context));
    faults.extend(needs(context));
    faults.extend(settings(context));
    faults.extend(unused(context));
    faults.extend(networks(context));
    faults
}

/// The place where a role is given: the table of roles, else the first machine that has it.
fn place(context: &Context<'_>, role: Role) -> crate::path::Path {
    if context.platform.roles.contains_key(&role) {
        return path_to!["roles", role];
    }
    let machine = context.with(role).first().map(|(name, machine)| {
        let at = machine.roles.iter().position(|one| *one == role).unwrap_or(0);
        path_to!["machines", name, "roles", at]
    });
    machine.unwrap_or_else(|| path_to!["roles"])
}

/// Where members vote, an even number is as fragile as one less.
fn quorums(context: &Context<'_>) -> Vec<Fault> {
    let voting = [
        (Role::Etcd, "members of etcd", false),
        (Role::CephMon, "Ceph monitors", false),
        (Role::Kafka, "Kafka controllers", true),
    ];
    let mut faults = Vec::new();
    for (role, what, is_only_warned) in voting {
        let count = context.count(role);
        if count == 0 || count % 2 == 1 {
            continue;
        }
        let names: Vec<&HostName> = context.with(role).into_iter().map(|(name, _)| name).collect();
        let fault = Fault::new(
            crate::fault::Place::Key(place(context, role)),
            format!("there are {count} {what} ({}); their number must be odd", list(&names)),
        )
        .hint(format!(
            "with {count}, one failure does as much harm as with {}: take one away, or add one",
            count - 1
        ))
        .absence();
        faults.push(if is_only_warned { fault.warning() } else { fault });
    }
    faults
}

/// Roles that need another role somewhere.
fn needs(context: &Context<'_>) -> Vec<Fault> {
    let services = &context.platform.services;
    let by_dns = |backend: DnsBackend| {
        services.dns.as_ref().is_some_and(|dns| dns.engine == DnsEngine::Powerdns && dns.backend == backend)
    };
    let rules = [
        (Role::ControlPlane, Role::Etcd, true),
        (Role::Worker, Role::ControlPlane, true),
        (Role::CephMon, Role::CephMgr, true),
        (Role::CephMgr, Role::CephMon, true),
        (Role::CephOsd, Role::CephMon, true),
        (Role::CephMds, Role::CephMon, true),
        (Role::CephMon, Role::CephOsd, true),
        (Role::Nfs, Role::CephMds, true),
        (Role::Dns, Role::Mariadb, by_dns(DnsBackend::Mariadb)),
        (Role::Dns, Role::Postgresql, by_dns(DnsBackend::Postgresql)),
        (Role::Controller, Role::Etcd, context.count(Role::Controller) > 1),
    ];
    rules
        .into_iter()
        .filter(|(role, other, applies)| *applies && context.count(*role) > 0 && context.count(*other) == 0)
        .map(|(role, other, _)| {
            Fault::new(
                crate::fault::Place::Key(place(context, role)),
                format!("the role `{role}` needs a machine with the role `{other}`, and there is none"),
            )
            .hint(format!("give a machine the role `{other}`"))
            .absence()
        })
        .collect()
}

/// Roles whose service has settings without defaults.
fn settings(context: &Context<'_>) -> Vec<Fault> {
    let services = &context.platform.services;
    let rules = [
        (Role::ControlPlane, "kubernetes", services.kubernetes.is_some()),
        (Role::Worker, "kubernetes", services.kubernetes.is_some()),
        (Role::CephMon, "ceph", services.ceph.is_some()),
        (Role::CephMgr, "ceph", services.ceph.is_some()),
        (Role::CephOsd, "ceph", services.ceph.is_some()),
        (Role::CephMds, "ceph", services.ceph.is_some()),
        (Role::Kafka, "kafka", services.kafka.is_some()),
        (Role::Dns, "dns", services.dns.is_some()),
        (Role::Controller, "freehold", services.freehold.is_some()),
        (Role::Hypervisor, "freehold", services.freehold.is_some()),
        (Role::Edge, "freehold", services.freehold.is_some()),
        (Role::Haproxy, "haproxy.frontends", !services.haproxy.frontends.is_empty()),
        (Role::Nfs, "nfs.exports", !services.nfs.exports.is_empty()),
        (Role::Caddy, "caddy.sites", !services.caddy.sites.is_empty()),
    ];
    rules
        .into_iter()
        .filter(|(role, _, is_set)| !is_set && context.count(*role) > 0)
        .map(|(role, key, _)| {
            Fault::new(
                crate::fault::Place::Key(place(context, role)),
                format!("the role `{role}` needs `services.{key}`, which is not there"),
            )
            .hint(format!("add `services.{key}`; see it with `freehold platform explain services.{key}`"))
            .absence()
        })
        .collect()
}

/// Settings of services that nobody runs.
fn unused(context: &Context<'_>) -> Vec<Fault> {
    let services = &context.platform.services;
    let rules = [
        ("kubernetes", services.kubernetes.is_some(), Role::ControlPlane),
        ("ceph", services.ceph.is_some(), Role::CephMon),
        ("kafka", services.kafka.is_some(), Role::Kafka),
        ("dns", services.dns.is_some(), Role::Dns),
        ("freehold", services.freehold.is_some(), Role::Controller),
        ("haproxy", !services.haproxy.frontends.is_empty(), Role::Haproxy),
        ("nfs", !services.nfs.exports.is_empty(), Role::Nfs),
        ("caddy", !services.caddy.sites.is_empty(), Role::Caddy),
    ];
    rules
        .into_iter()
        .filter(|(_, is_set, role)| *is_set && context.count(*role) == 0)
        .map(|(key, _, role)| {
            Fault::key(
                path_to!["services", key],
                format!("`services.{key}` is set, and no machine has the role `{role}`"),
            )
            .hint(format!("give a machine the role `{role}`, or remove the settings"))
            .warning()
            .absence()
        })
        .collect()
}

/// Machines of a service have an address on its network.
fn networks(context: &Context<'_>) -> Vec<Fault> {
    let services = &context.platform.services;
    let mut faults = Vec::new();
    let mut check = |roles: &[Role], network: Option<&NetworkName>, key: &str| {
        let wanted = network.map(NetworkName::as_str);
        let lacks = |machine: &Machine| context.platform.address(machine, wanted).is_none();
        for role in roles {
            for (name, machine) in context.with(*role) {
                if !lacks(machine) {
                    continue;
                }
                let on =
                    wanted.map_or_else(|| "any network".to_owned(), |name| format!("the network `{name}`"));
                faults.push(
                    Fault::key(
                        path_to!["machines", name, "interfaces"],
                        format!("`{name}` has the role `{role}`, and no address on {on}"),
                    )
                    .hint(format!("`services.{key}` says on which network the role talks"))
                    .absence(),
                );
            }
        }
    };
    check(&[Role::Etcd], services.etcd.network.as_ref(), "etcd.network");
    if let Some(kubernetes) = &services.kubernetes {
        check(&[Role::ControlPlane, Role::Worker], kubernetes.network.as_ref(), "kubernetes.network");
    }
    if let Some(ceph) = &services.ceph {
        let all = [Role::CephMon, Role::CephMgr, Role::CephMds, Role::CephOsd];
        check(&all, Some(&ceph.public_network), "ceph.public_network");
        check(&[Role::CephOsd], ceph.cluster_network.as_ref(), "ceph.cluster_network");
    }
    if let Some(kafka) = &services.kafka {
        check(&[Role::Kafka], kafka.network.as_ref(), "kafka.network");
    }
    faults
}
