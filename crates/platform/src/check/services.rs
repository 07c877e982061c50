//! Services other than Ceph and Kubernetes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::Context;
use crate::fault::Fault;
use crate::model::{Kafka, Record, RecordType, Role};
use crate::path::{Path, path_to};
use crate::words::Name;

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = kafka(context);
    faults.extend(zones(context));
    faults.extend(balancer(context));
    faults.extend(exports(context));
    faults.extend(databases(context));
    faults.extend(cloud(context));
    faults.extend(topics(context));
    faults
}

fn kafka(context: &Context<'_>) -> Vec<Fault> {
    let Some(kafka) = &context.platform.services.kafka else { return Vec::new() };
    let brokers = context.with(Role::Kafka);
    let mut faults: Vec<Fault> = brokers
        .iter()
        .filter(|(_, machine)| machine.number.is_none())
        .map(|(name, _)| {
            Fault::key(
                path_to!["machines", name],
                format!("`{name}` has the role `kafka`, and no `number` for its node id"),
            )
            .hint("give it a number that no other machine has, and never change it")
            .absence()
        })
        .collect();
    faults.extend(copies(kafka, brokers.len()));
    faults
}

fn copies(kafka: &Kafka, brokers: usize) -> Option<Fault> {
    let at = |key: &str| path_to!["services", "kafka", key];
    let copies = kafka.replication.map_or(brokers.min(3), usize::from);
    if let Some(wanted) = kafka.replication.filter(|wanted| usize::from(*wanted) > brokers && brokers > 0) {
        return Some(
            Fault::value(
                at("replication"),
                format!("{wanted} copies of a topic need as many brokers, and there are {brokers}"),
            )
            .absence(),
        );
    }
    let least = kafka.min_insync?;
    (usize::from(least) > copies && copies > 0).then(|| {
        Fault::value(at("min_insync"), format!("{least} copies must take a write, and a topic has {copies}"))
            .absence()
    })
}

fn zones(context: &Context<'_>) -> Vec<Fault> {
    let Some(dns) = &context.platform.services.dns else { return Vec::new() };
    let mut faults = Vec::new();
    for (zone_name, zone) in &dns.zones {
        let mut names: BTreeMap<&str, (RecordType, Path)> = BTreeMap::new();
        for (index, record) in zone.records.iter().enumerate() {
            let at = path_to!["services", "dns", "zones", zone_name, "records", index];
            faults.extend(values(&at, record));
            if let Some((kind, first)) = names.get(record.name.as_str())
                && (*kind == RecordType::Cname || record.kind == RecordType::Cname)
            {
                faults.push(
                    Fault::value(
                        at.then("name"),
                        format!("`{}` has a CNAME, and may have no other record", record.name),
                    )
                    .also(first.clone(), "the other one"),
                );
            }
            if record.kind == RecordType::Cname && record.name == "@" {
                faults.push(Fault::value(at.then("type"), "a zone itself cannot be a CNAME"));
            }
            names.entry(record.name.as_str()).or_insert((record.kind, at.then("name")));
        }
    }
    faults
}

fn values(at: &Path, record: &Record) -> Vec<Fault> {
    let wrong = |value: &str| match record.kind {
        RecordType::A => value.parse::<Ipv4Addr>().is_err().then_some("an IPv4 address"),
        RecordType::Aaaa => value.parse::<Ipv6Addr>().is_err().then_some("an IPv6 address"),
        RecordType::Cname | RecordType::Ns | RecordType::Ptr => {
            (value.is_empty() || value.contains(char::is_whitespace)).then_some("a domain name")
        }
        RecordType::Mx => {
            (value.split_whitespace().count() != 2).then_some("a priority and a name, such as `10 mail`")
        }
        RecordType::Srv => (value.split_whitespace().count() != 4)
            .then_some("priority, weight, port and name, such as `0 5 443 web`"),
        RecordType::Txt => None,
    };
    let several = (record.kind == RecordType::Cname && record.values.len() > 1)
        .then(|| Fault::value(at.then("values"), "a CNAME has one value"));
    let each = record.values.iter().enumerate().filter_map(|(index, value)| {
        let expected = wrong(value)?;
        Some(Fault::value(at.then("values").then(index), format!("`{value}` is not {expected}")))
    });
    each.chain(several).collect()
}

fn balancer(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen: BTreeMap<(Option<&str>, u16), &Name> = BTreeMap::new();
    let runs: Vec<&str> = context.with(Role::Haproxy).into_iter().map(|(name, _)| name.as_str()).collect();
    for (name, frontend) in &context.platform.services.haproxy.frontends {
        let at = path_to!["services", "haproxy", "frontends", name];
        let vip = frontend.vip.as_ref().map(crate::words::VipName::as_str);
        if let Some(first) = seen.insert((vip, frontend.port.0), name) {
            faults.push(
                Fault::value(
                    at.then("port"),
                    format!("`{name}` and `{first}` take connections at the same place"),
                )
                .also(path_to!["services", "haproxy", "frontends", first, "port"], "the other one"),
            );
        }
        let servers = &frontend.servers;
        let has_machines =
            servers.role.is_some_and(|role| context.count(role) > 0) || !servers.machines.is_empty();
        if !has_machines {
            faults.push(
                Fault::key(at.then("servers"), format!("`{name}` sends connections to nobody"))
                    .hint("name a `role` that machines have, or `machines`")
                    .absence(),
            );
        }
        let holders = vip
            .and_then(|vip| context.platform.vips.get(vip))
            .map(|vip| context.platform.members(&vip.holders));
        let idle = holders.into_iter().flatten().find(|holder| !runs.contains(&holder.as_str()));
        if let Some(idle) = idle.filter(|_| !runs.is_empty()) {
            faults.push(
                Fault::value(
                    at.then("vip"),
                    format!("`{idle}` may hold this address, and does not have the role `haproxy`"),
                )
                .absence(),
            );
        }
    }
    faults
}

fn exports(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (mut ids, mut pseudos) = (BTreeMap::new(), BTreeMap::new());
    for (name, export) in &context.platform.services.nfs.exports {
        let at = path_to!["services", "nfs", "exports", name];
        for (first, key, what) in [
            (ids.insert(export.id.to_string(), name), "id", "number"),
            (pseudos.insert(export.pseudo.clone(), name), "pseudo", "path"),
        ] {
            if let Some(first) = first {
                faults.push(
                    Fault::value(
                        at.then(key),
                        format!("the exports `{first}` and `{name}` have the same {what}"),
                    )
                    .also(path_to!["services", "nfs", "exports", first, key], "the other one"),
                );
            }
        }
    }
    faults
}

/// Accounts of databases name databases that exist, and the reverse.
fn databases(context: &Context<'_>) -> Vec<Fault> {
    let services = &context.platform.services;
    let mut faults = Vec::new();
    for (name, user) in &services.mariadb.users {
        for (at, database) in user.databases.iter().enumerate() {
            if !services.mariadb.databases.contains(database) {
                faults.push(
                    Fault::value(
                        path_to!["services", "mariadb", "users", name, "databases", at],
                        format!("there is no database `{database}`"),
                    )
                    .hint("add it to `services.mariadb.databases`"),
                );
            }
        }
    }
    for (database, owner) in &services.postgresql.databases {
        if !services.postgresql.users.contains_key(owner.as_str()) {
            faults.push(
                Fault::value(
                    path_to!["services", "postgresql", "databases", database],
                    format!("there is no account `{owner}`"),
                )
                .hint("add it to `services.postgresql.users`"),
            );
        }
    }
    faults
}

/// Nodes of the cloud stand in a zone, and have the uplink.
fn cloud(context: &Context<'_>) -> Vec<Fault> {
    let Some(freehold) = &context.platform.services.freehold else { return Vec::new() };
    let mut faults = Vec::new();
    let both = context
        .machines
        .iter()
        .filter(|(_, _, roles)| roles.contains(&Role::Hypervisor) && roles.contains(&Role::Edge));
    faults.extend(both.map(|(name, _, _)| {
        Fault::key(
            path_to!["machines", name],
            format!("`{name}` has the roles `hypervisor` and `edge`; a node is one of them"),
        )
        .hint("give one of the two to another machine")
    }));
    for role in [Role::Hypervisor, Role::Edge] {
        for (name, machine) in context.with(role) {
            let missing = [
                ("region", machine.region.is_none()),
                ("zone", machine.zone.is_none() && role == Role::Hypervisor),
            ];
            for (key, _) in missing.into_iter().filter(|(_, is_missing)| *is_missing) {
                faults.push(
                    Fault::key(
                        path_to!["machines", name],
                        format!("`{name}` has the role `{role}`, and no `{key}`"),
                    )
                    .hint(format!("say `{key}: NAME` for the machine, its group or in `defaults`"))
                    .absence(),
                );
            }
            if let Some(uplink) = freehold
                .node
                .uplink
                .as_ref()
                .filter(|_| role == Role::Hypervisor)
                .filter(|uplink| !machine.interfaces.contains_key(uplink.as_str()))
            {
                faults.push(
                    Fault::value(
                        path_to!["services", "freehold", "node", "uplink"],
                        format!("`{name}` has no interface `{uplink}`"),
                    )
                    .absence(),
                );
            }
        }
    }
    faults
}

/// `#` stands alone at the end of a topic, `+` alone between slashes.
fn topics(context: &Context<'_>) -> Vec<Fault> {
    let mosquitto = &context.platform.services.mosquitto;
    let at = path_to!["services", "mosquitto"];
    let everyone =
        mosquitto.everyone.iter().enumerate().map(|(index, acl)| (at.then("everyone").then(index), acl));
    let users = mosquitto.users.iter().flat_map(|(name, user)| {
        let at = at.then("users").then(name).then("acl");
        user.acl.iter().enumerate().map(move |(index, acl)| (at.then(index), acl))
    });
    let is_topic = |topic: &str| {
        let levels: Vec<&str> = topic.split('/').collect();
        let last = levels.len() - 1;
        levels.iter().enumerate().all(|(index, level)| match *level {
            "#" => index == last,
            "+" => true,
            other => !other.contains(['#', '+']),
        })
    };
    everyone
        .chain(users)
        .filter(|(_, acl)| !is_topic(&acl.topic))
        .map(|(at, acl)| {
            Fault::value(at.then("topic"), format!("`{}` is not a topic", acl.topic))
                .hint("`+` stands for one level, `#` for all that follow: sensors/+/temperature, sensors/#")
        })
        .collect()
}
