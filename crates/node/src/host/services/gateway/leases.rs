//! dnsmasq: addresses by DHCP for machines that are known, and a resolver that passes questions on. Pure.

use std::fmt::Write as _;
use std::path::Path;

use freehold_types::service::Gateway;
use ipnet::Ipv4Net;
use rustix::process::Signal;

use crate::host::services::daemon::Daemon;

/// How long a lease holds.
const LEASE: &str = "12h";
/// Answers that are remembered.
const CACHE: u32 = 2_000;

/// Its configuration.
pub(super) fn render(gateway: &Gateway, private: Ipv4Net, mtu: u32, directory: &Path) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    let mut text = format!(
        "interface=private\nexcept-interface=lo\nbind-dynamic\nuser=root\nno-resolv\nno-hosts\nno-poll\nquiet-dhcp\n\
         pid-file={}\ncache-size={CACHE}\n",
        at("dnsmasq.pid")
    );
    if gateway.resolvers.is_empty() {
        text.push_str("port=0\n");
    }
    for resolver in &gateway.resolvers {
        // Writing to a string does not fail.
        let _ = writeln!(text, "server={resolver}");
    }
    let _ = writeln!(
        text,
        "dhcp-range={},static,{},{LEASE}\ndhcp-hostsfile={}\ndhcp-leasefile={}\ndhcp-option=option:mtu,{mtu}",
        private.network(),
        private.netmask(),
        at("hosts"),
        at("leases"),
    );
    if let Some(domain) = &gateway.domain {
        let _ = writeln!(text, "dhcp-option=option:domain-name,{domain}");
    }
    for pair in &gateway.pairs {
        let router = pair.private.addr();
        let _ = writeln!(text, "dhcp-option=tag:pair{},option:router,{router}", pair.vrid);
        if !gateway.resolvers.is_empty() {
            let _ = writeln!(text, "dhcp-option=tag:pair{},option:dns-server,{router}", pair.vrid);
        }
    }
    text
}

/// The machines, one a line, which are read at its start only: told to read them again, dnsmasq (2.86 to 2.90 at least)
/// dies when a machine that has a tag has asked before. It is started anew instead, and keeps its leases in a file.
pub(super) fn hosts(gateway: &Gateway) -> String {
    let mut text = String::new();
    for lease in &gateway.leases {
        let pair = gateway.pairs.iter().find(|pair| pair.private.addr() == lease.router);
        let tag = pair.map(|pair| format!("set:pair{},", pair.vrid)).unwrap_or_default();
        // Words of dnsmasq's own, and what it takes for a time, cannot name a machine there.
        let is_word = matches!(lease.host.as_str(), "ignore" | "infinite")
            || lease.host.starts_with(|c: char| c.is_ascii_digit());
        let name = if is_word { String::new() } else { format!(",{}", lease.host) };
        let _ = writeln!(text, "{},{tag}{}{name},{LEASE}", lease.mac, lease.address);
    }
    text
}

/// The daemon that does it.
pub(super) fn daemon(directory: &Path, namespace: &Path, configuration: &str, hosts: &str) -> Daemon {
    Daemon {
        program: "dnsmasq",
        package: "dnsmasq-base",
        arguments: vec![
            "--keep-in-foreground".to_owned(),
            format!("--conf-file={}", directory.join("dnsmasq.conf").display()),
            "--log-facility=-".to_owned(),
        ],
        environment: Vec::new(),
        directory: directory.to_owned(),
        namespace: Some(namespace.to_owned()),
        pid_files: &["dnsmasq.pid"],
        reloads: String::new(),
        restarts: format!("{configuration}\n{hosts}"),
        reload: Signal::HUP,
    }
}
