//! A network namespace of the real kernel, looked at by `ip` and `bridge`.

use std::fs::File;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use freehold_node::host::network::{Netlink, NetworkConfig};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;

pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// Needs root, and fails without.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("fh{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        run(&["ip", "netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    pub(crate) fn netlink(&self, uplink: Option<&str>, address: Option<&str>) -> Netlink {
        Netlink::new(NetworkConfig {
            uplink: uplink.map(str::to_owned),
            address: address.map(|address| address.parse().unwrap()),
            namespace: Some(self.path()),
        })
    }

    /// Runs `ip` with words in it.
    pub(crate) fn ip(&self, words: &str) -> String {
        let mut arguments = vec!["ip", "-n", &self.name];
        arguments.extend(words.split_whitespace());
        run(&arguments)
    }

    /// Joins two namespaces by a cable whose ends have one name.
    pub(crate) fn cable(&self, other: &Self, end: &str) {
        self.ip(&format!("link add {end} type veth peer name {end} netns {}", other.name));
    }

    /// Whether a connection can be made to an address of another namespace.
    pub(crate) fn reaches(&self, other: &Self, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        let Ok(listener) = other.inside(move || TcpListener::bind((address, 0))) else { return false };
        let target = listener.local_addr().unwrap();
        self.inside(move || TcpStream::connect_timeout(&target, Duration::from_secs(3))).is_ok()
    }

    /// Whether a packet gets to an address of another namespace, with or without a way back.
    pub(crate) fn delivers(&self, other: &Self, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        let receiver = other.inside(move || UdpSocket::bind((address, 0)).unwrap());
        let target = receiver.local_addr().unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        self.inside(move || {
            let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
            sender.send_to(b"x", target).unwrap();
        });
        receiver.recv(&mut [0; 8]).is_ok()
    }

    /// Runs work on a thread in the namespace.
    pub(crate) fn inside<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let path = self.path();
        let thread = std::thread::spawn(move || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            act()
        });
        thread.join().unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/run/netns/{}", self.name))
    }

    /// Names of all interfaces but the loopback, in order of their names.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .json("link show")
            .iter()
            .map(|link| link["ifname"].as_str().unwrap().to_owned())
            .filter(|name| name != "lo")
            .collect();
        names.sort();
        names
    }

    /// One interface with its details.
    pub(crate) fn link(&self, name: &str) -> Value {
        self.json(&format!("-d link show dev {name}")).remove(0)
    }

    /// IPv4 and IPv6 addresses of an interface, with their prefix lengths.
    pub(crate) fn addresses(&self, name: &str) -> Vec<String> {
        let found = self.json(&format!("addr show dev {name}")).remove(0);
        let text =
            |address: &Value| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]);
        found["addr_info"].as_array().unwrap().iter().map(text).collect()
    }

    /// Where a VXLAN interface floods to, in order.
    pub(crate) fn flood(&self, name: &str) -> Vec<String> {
        let text = run(&["bridge", "-n", &self.name, "-j", "fdb", "show", "dev", name]);
        let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut peers: Vec<String> = entries
            .iter()
            .filter(|entry| entry["mac"] == "00:00:00:00:00:00")
            .map(|entry| entry["dst"].as_str().unwrap().to_owned())
            .collect();
        peers.sort();
        peers
    }

    /// All that a call could change, as text to compare.
    pub(crate) fn snapshot(&self) -> String {
        let mut links = self.json("-d link show");
        links.iter_mut().for_each(still);
        let links: Vec<String> = links.iter().map(Value::to_string).collect();
        let addresses = run(&["ip", "-n", &self.name, "-o", "-4", "addr"]);
        let entries = run(&["bridge", "-n", &self.name, "fdb", "show"]);
        let floods: Vec<&str> =
            entries.lines().filter(|entry| entry.starts_with("00:00:00:00:00:00")).collect();
        format!("{}\n{addresses}{}", links.join("\n"), floods.join("\n"))
    }

    fn json(&self, words: &str) -> Vec<Value> {
        let mut arguments = vec!["ip", "-n", &self.name, "-j"];
        arguments.extend(words.split_whitespace());
        serde_json::from_str(&run(&arguments)).unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Leaves out what moves by itself.
fn still(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let moves = ["operstate", "state"];
            fields.retain(|name, _| {
                !name.ends_with("timer")
                    && !name.starts_with("topology_change")
                    && !moves.contains(&name.as_str())
            });
            fields.values_mut().for_each(still);
        }
        Value::Array(values) => {
            values.retain(|value| value != "NO-CARRIER" && value != "LOWER_UP");
            values.iter_mut().for_each(still);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn run(arguments: &[&str]) -> String {
    let output =
        Command::new(arguments[0]).args(&arguments[1..]).output().expect("iproute2 must be installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
