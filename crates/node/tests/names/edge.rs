//! An edge on loopback, with ports that nobody else has, and the means to ask it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use freehold_node::host::names::{EdgeConfig, PowerDns};
use freehold_types::service::{DnsName, DnsZone};
use tempfile::TempDir;

pub(crate) struct Edge {
    pub(crate) names: PowerDns,
    pub(crate) config: EdgeConfig,
    pub(crate) state: TempDir,
}

/// A zone of names with an address each; a name may come several times.
pub(crate) fn zone(domain: &str, names: &[(&str, &str)]) -> DnsZone {
    let mut all: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (name, address) in names {
        all.entry(name).or_default().push(address.parse().unwrap());
    }
    let names = all.into_iter().map(|(name, addresses)| DnsName { name: name.to_owned(), addresses });
    DnsZone { domain: domain.to_owned(), names: names.collect() }
}

pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) fn kill(pid: i32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

/// Ports below those that the kernel hands out by itself, each for one test alone.
fn free_ports() -> [u16; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let free = || {
        loop {
            let number =
                std::process::id().wrapping_mul(64).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = 12_000 + u16::try_from(number % 20_000).unwrap();
            let address = (Ipv4Addr::LOCALHOST, port);
            if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
                return port;
            }
        }
    };
    [free(), free(), free(), free()]
}

impl Edge {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EdgeConfig)) -> Self {
        let state = tempfile::tempdir().unwrap();
        std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let [port, authoritative_port, authoritative_api_port, resolver_api_port] = free_ports();
        let mut config = EdgeConfig {
            listen: vec![Ipv4Addr::LOCALHOST.into()],
            port,
            authoritative_port,
            authoritative_api_port,
            resolver_api_port,
            ..EdgeConfig::default()
        };
        change(&mut config);
        let names = PowerDns::new(config.clone(), &state.path().join("names"));
        Self { names, config, state }
    }

    /// As a node has it that was started anew.
    pub(crate) fn again(&self) -> PowerDns {
        self.reconfigured(|_| {})
    }

    pub(crate) fn reconfigured(&self, change: impl FnOnce(&mut EdgeConfig)) -> PowerDns {
        let mut config = self.config.clone();
        change(&mut config);
        PowerDns::new(config, &self.state.path().join("names"))
    }

    /// The contents of the records that the resolver answers with, sorted.
    pub(crate) fn ask(&self, name: &str, kind: &str) -> Vec<String> {
        let (status, answers) = dig(self.config.port, name, kind);
        assert_eq!(status, "NOERROR", "{name} {kind}");
        answers
    }

    pub(crate) fn ask_authoritative(&self, name: &str, kind: &str) -> Vec<String> {
        dig(self.config.authoritative_port, name, kind).1
    }

    /// The status of the resolver's answer; empty without one.
    pub(crate) fn status(&self, name: &str, kind: &str) -> String {
        dig(self.config.port, name, kind).0
    }

    /// The processes of the authoritative server and of the resolver.
    pub(crate) fn pids(&self) -> Vec<i32> {
        ["authoritative", "resolver"].iter().filter_map(|server| self.pid(server)).collect()
    }

    fn pid(&self, server: &str) -> Option<i32> {
        let text = std::fs::read(self.state.path().join("names").join(format!("{server}.json"))).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&text).ok()?;
        i32::try_from(record["pid"].as_i64()?).ok()
    }

    pub(crate) fn key(&self, server: &str) -> String {
        std::fs::read_to_string(self.state.path().join("names").join(format!("{server}.key"))).unwrap()
    }

    pub(crate) fn mode(&self, file: &str) -> u32 {
        std::fs::metadata(self.state.path().join("names").join(file)).unwrap().permissions().mode() & 0o777
    }

    /// The zones of the authoritative server, sorted.
    pub(crate) fn zones(&self) -> Vec<String> {
        let zones: serde_json::Value = serde_json::from_str(&self.by_hand("GET", "/zones", "")).unwrap();
        let names = zones.as_array().unwrap().iter().map(|zone| zone["name"].as_str().unwrap().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// What an operator does at the authoritative server.
    pub(crate) fn by_hand(&self, method: &str, path: &str, body: &str) -> String {
        let uri =
            format!("http://127.0.0.1:{}/api/v1/servers/localhost{path}", self.config.authoritative_api_port);
        let request = http::Request::builder().method(method).uri(uri);
        let request = request.header("x-api-key", self.key("authoritative")).body(body.to_owned()).unwrap();
        ureq::run(request).unwrap().body_mut().read_to_string().unwrap()
    }
}

impl Drop for Edge {
    /// Ends what a failed test left.
    fn drop(&mut self) {
        for pid in self.pids().into_iter().filter(|pid| is_alive(*pid)) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

fn dig(port: u16, name: &str, kind: &str) -> (String, Vec<String>) {
    let port = port.to_string();
    let arguments =
        ["@127.0.0.1", "-p", &port, "+tries=1", "+time=2", "+noall", "+comments", "+answer", name, kind];
    let output =
        Command::new("dig").args(arguments).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    let records = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
    let content = |line: &str| line.split_whitespace().skip(4).collect::<Vec<_>>().join(" ");
    let mut answers: Vec<String> = records.map(content).collect();
    answers.sort();
    (status.to_owned(), answers)
}
