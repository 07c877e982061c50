//! Ports: on one machine, each is listened on by one service.

use std::collections::BTreeMap;

use super::Context;
use crate::fault::Fault;
use crate::model::{Machine, Platform, Role};
use crate::path::{Path, path_to};

/// A port of TCP that something listens on, with where it is set.
type Listener = (u16, &'static str, Path);

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let by_role: Vec<(Role, Vec<Listener>)> =
        Role::ALL.into_iter().map(|role| (role, listeners(context.platform, role))).collect();
    let mut faults = Vec::new();
    for (name, machine, roles) in &context.machines {
        let mut seen: BTreeMap<u16, (&str, &Path)> = BTreeMap::new();
        let own = of_machine(context, name.as_str(), machine);
        let of_roles =
            by_role.iter().filter(|(role, _)| roles.contains(role)).flat_map(|(_, listeners)| listeners);
        for (port, what, path) in own.iter().chain(of_roles) {
            match seen.get(port) {
                Some((other, first)) if other != what => faults.push(
                    Fault::value(
                        path.clone(),
                        format!("on `{name}`, both {other} and {what} listen on port {port}"),
                    )
                    .also((*first).clone(), format!("the port of {other}"))
                    .hint("give one of them another port, or another machine"),
                ),
                Some(_) => {}
                None => {
                    seen.insert(*port, (what, path));
                }
            }
        }
    }
    faults
}

fn of_machine(context: &Context<'_>, name: &str, machine: &Machine) -> Vec<Listener> {
    let mut all = vec![(machine.sshd.port.0, "the SSH server", path_to!["machines", name, "sshd", "port"])];
    let services = &context.platform.services;
    let is_watched = context.count(Role::Prometheus) + context.count(Role::Victoria) > 0;
    if services.node_exporter.enabled && is_watched {
        let port = services.node_exporter.port.0;
        all.push((port, "the exporter of metrics", path_to!["services", "node_exporter", "port"]));
    }
    if services.alloy.enabled {
        all.push((
            services.alloy.port.0,
            "the shipper of metrics and logs",
            path_to!["services", "alloy", "port"],
        ));
    }
    all
}

fn listeners(platform: &Platform, role: Role) -> Vec<Listener> {
    let services = &platform.services;
    let at = |keys: &[&str]| {
        let mut path = path_to!["services"];
        path.0.extend(keys.iter().map(|key| (*key).to_owned()));
        path
    };
    match role {
        Role::ControlPlane => services
            .kubernetes
            .iter()
            .flat_map(|one| {
                [
                    (one.port.0, "the API of Kubernetes", at(&["kubernetes", "port"])),
                    (10250, "the kubelet", at(&["kubernetes"])),
                ]
            })
            .collect(),
        Role::Worker => {
            services.kubernetes.iter().map(|_| (10250, "the kubelet", at(&["kubernetes"]))).collect()
        }
        Role::Etcd => vec![
            (services.etcd.client_port.0, "etcd", at(&["etcd", "client_port"])),
            (services.etcd.peer_port.0, "the peers of etcd", at(&["etcd", "peer_port"])),
        ],
        Role::CephMon => {
            vec![(3300, "the Ceph monitor", at(&["ceph"])), (6789, "the Ceph monitor", at(&["ceph"]))]
        }
        Role::CephMgr => services
            .ceph
            .iter()
            .flat_map(|ceph| {
                let dashboard = ceph.dashboard.enabled.then_some((
                    ceph.dashboard.port.0,
                    "the Ceph dashboard",
                    at(&["ceph", "dashboard", "port"]),
                ));
                dashboard.into_iter().chain([(9283, "the Ceph manager", at(&["ceph"]))])
            })
            .collect(),
        Role::Kafka => services
            .kafka
            .iter()
            .flat_map(|kafka| {
                [
                    (kafka.port.0, "Kafka", at(&["kafka", "port"])),
                    (kafka.controller_port.0, "the quorum of Kafka", at(&["kafka", "controller_port"])),
                ]
            })
            .collect(),
        Role::Mosquitto => {
            let one = &services.mosquitto;
            let optional = [
                ("plain_port", one.plain_port, "MQTT without TLS"),
                ("websockets_port", one.websockets_port, "MQTT over WebSockets"),
            ];
            let optional = optional
                .into_iter()
                .filter_map(|(key, port, what)| Some((port?.0, what, at(&["mosquitto", key]))));
            std::iter::once((one.port.0, "MQTT", at(&["mosquitto", "port"]))).chain(optional).collect()
        }
        Role::Dns => vec![(53, "the name server", at(&["dns"]))],
        Role::Haproxy => {
            let stats =
                (services.haproxy.stats_port.0, "the statistics of HAProxy", at(&["haproxy", "stats_port"]));
            let frontends = services.haproxy.frontends.iter();
            let frontends = frontends.map(|(name, one)| {
                (one.port.0, "HAProxy", at(&["haproxy", "frontends", name.as_str(), "port"]))
            });
            std::iter::once(stats).chain(frontends).collect()
        }
        Role::Nfs => vec![(2049, "the NFS server", at(&["nfs"]))],
        Role::Prometheus => vec![(services.prometheus.port.0, "Prometheus", at(&["prometheus", "port"]))],
        Role::Victoria => vec![
            (services.victoria.metrics_port.0, "VictoriaMetrics", at(&["victoria", "metrics_port"])),
            (services.victoria.logs_port.0, "VictoriaLogs", at(&["victoria", "logs_port"])),
        ],
        Role::Caddy => vec![(80, "Caddy", at(&["caddy"])), (443, "Caddy", at(&["caddy"]))],
        Role::Mariadb => vec![(services.mariadb.port.0, "MariaDB", at(&["mariadb", "port"]))],
        Role::Postgresql => vec![(services.postgresql.port.0, "PostgreSQL", at(&["postgresql", "port"]))],
        Role::Controller => services
            .freehold
            .iter()
            .map(|one| (one.controller.port.0, "the controller", at(&["freehold", "controller", "port"])))
            .collect(),
        Role::CephOsd | Role::CephMds | Role::Hypervisor | Role::Edge => Vec::new(),
    }
}
