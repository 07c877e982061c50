//! keepalived: who of several instances holds a service's virtual addresses (VRRP version 3, RFC 5798). Pure.
//!
//! Advertisements go from own address to own address, never to the whole segment, which tenants share.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use freehold_types::Id;
use ipnet::Ipv4Net;
use rustix::process::Signal;

use super::daemon::Daemon;

/// Advertisements come this often; after three that did not come another instance takes over.
const ADVERTISE: &str = "0.2";

/// Ahead of the machines of the host: an instance that does not get to send in time loses its addresses.
const NICE: i8 = -20;

/// Addresses that move together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) vrid: u8,
    pub(super) priority: u8,
    /// Each with the interface that it is on.
    pub(super) addresses: Vec<(Ipv4Net, &'static str)>,
    /// Routers that are the way out while the addresses are here.
    pub(super) routers: Vec<(Ipv4Addr, &'static str)>,
}

/// Renders its configuration.
pub(super) fn render(service: Id, own: Ipv4Addr, peers: &[Ipv4Addr], instances: &[Instance]) -> String {
    let mut text = format!(
        "global_defs {{\n  router_id {service}\n  vrrp_priority {NICE}\n  vrrp_version 3\n  vrrp_garp_master_delay 1\n  \
         vrrp_garp_master_repeat 2\n  vrrp_garp_master_refresh 30\n}}\n"
    );
    for (position, instance) in instances.iter().enumerate() {
        one(&mut text, own, peers, position, instance);
    }
    text
}

fn one(text: &mut String, own: Ipv4Addr, peers: &[Ipv4Addr], position: usize, instance: &Instance) {
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "vrrp_instance pair_{vrid} {{\n  version 3\n  state BACKUP\n  interface private\n  virtual_router_id {vrid}\n  \
         priority {priority}\n  advert_int {ADVERTISE}\n",
        vrid = instance.vrid,
        priority = instance.priority,
    );
    if !peers.is_empty() {
        let _ = writeln!(text, "  unicast_src_ip {own}\n  unicast_peer {{");
        for peer in peers {
            let _ = writeln!(text, "    {peer}");
        }
        text.push_str("  }\n");
    }
    text.push_str("  virtual_ipaddress {\n");
    for (address, interface) in &instance.addresses {
        let _ = writeln!(text, "    {address} dev {interface}");
    }
    text.push_str("  }\n");
    if !instance.routers.is_empty() {
        text.push_str("  virtual_routes {\n");
        for (router, interface) in &instance.routers {
            let metric = 15 + 10 * position;
            let _ = writeln!(text, "    0.0.0.0/0 via {router} dev {interface} metric {metric}");
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
}

/// The addresses that come and go with the instances.
pub(super) fn floating(instances: &[Instance]) -> BTreeSet<Ipv4Addr> {
    instances
        .iter()
        .flat_map(|instance| instance.addresses.iter().map(|(address, _)| address.addr()))
        .collect()
}

/// The daemon that does it.
pub(super) fn daemon(directory: &Path, namespace: &Path, configuration: &str) -> Daemon {
    let at = |name: &str| directory.join(name).display().to_string();
    let arguments = [
        "--dont-fork".to_owned(),
        "--log-console".to_owned(),
        "--log-detail".to_owned(),
        "--vrrp".to_owned(),
        format!("--use-file={}", at("keepalived.conf")),
        format!("--pid={}", at("keepalived.pid")),
        format!("--vrrp_pid={}", at("vrrp.pid")),
    ];
    Daemon {
        program: "keepalived",
        package: "keepalived",
        arguments: arguments.to_vec(),
        environment: Vec::new(),
        directory: directory.to_owned(),
        namespace: Some(namespace.to_owned()),
        pid_files: &["keepalived.pid", "vrrp.pid"],
        reloads: configuration.to_owned(),
        restarts: String::new(),
        reload: Signal::HUP,
    }
}
