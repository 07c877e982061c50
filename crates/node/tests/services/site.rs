//! A site of namespaces: hosts with bridges joined by a switch, machines of a tenant, and the world.
//!
//! ```text
//!  machine a ─┐                          ┌─ world (198.51.100.1, 192.0.2.1)
//!  machine b ─┤ br-private   br-public ──┤
//!  gateway  ──┴──────────────────────────┴─ stranger (192.0.2.66)
//! ```

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use freehold_node::host::services::{NetworkServices, ServicesConfig};
use freehold_node::host::{ServicePlan, Services};
use freehold_types::Id;
use freehold_types::agent::{Segment, SegmentLink};
use freehold_types::net::Mac;
use freehold_types::service::{
    Balancer, BalancerDetail, Endpoint, Firewall, Forward, Gateway, GatewayDetail, Opening, Pair, Peering,
    Port, PublicAddress, Share, ShareStore,
};
use freehold_types::wire::{FirewallPolicy, Protocol};
use tempfile::TempDir;

use crate::namespace::Namespace;

pub(crate) const GATEWAY: Id = Id::from_u64(0x77);
/// Another instance, beside it on the same switch.
pub(crate) const SPARE: Id = Id::from_u64(0x78);
const PRIVATE: Id = Id::from_u64(1);
pub(crate) const PUBLIC: Id = Id::from_u64(2);
const PEER: Id = Id::from_u64(3);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(700);

/// The switch that all hang on: a namespace with both bridges.
pub(crate) struct Site {
    pub(crate) host: Namespace,
    pub(crate) a: Namespace,
    pub(crate) b: Namespace,
    pub(crate) world: Namespace,
    pub(crate) stranger: Namespace,
    /// A machine of another project, in a network of its own.
    pub(crate) neighbour: Namespace,
}

impl Site {
    pub(crate) fn new() -> Self {
        let host = Namespace::new();
        for bridge in ["br-private", "br-public", "br-peer"] {
            host.ip(&format!("link add {bridge} type bridge forward_delay 0"));
            host.ip(&format!("link set {bridge} up"));
        }
        let (a, b) = (Namespace::new(), Namespace::new());
        for (machine, name, address) in [(&a, "vm-a", "10.1.0.20"), (&b, "vm-b", "10.1.0.21")] {
            attach(&host, machine, name, "br-private", &format!("{address}/24"));
            machine.ip("route add default via 10.1.0.2");
        }
        let (world, stranger) = (Namespace::new(), Namespace::new());
        attach(&host, &world, "vm-w", "br-public", "192.0.2.1/24");
        world.ip("addr add 198.51.100.1/32 dev lo");
        attach(&host, &stranger, "vm-s", "br-public", "192.0.2.66/24");
        stranger.ip("route add default via 192.0.2.1");
        let neighbour = Namespace::new();
        attach(&host, &neighbour, "vm-n", "br-peer", "10.2.0.20/24");
        Self { host, a, b, world, stranger, neighbour }
    }

    /// A node's services on the switch itself.
    pub(crate) fn services(&self, state: &State) -> NetworkServices {
        NetworkServices::new(ServicesConfig {
            state: state.path().join("services"),
            namespace: Some(self.host.path()),
        })
    }
}

impl Site {
    /// The outer ends of the cables of a service.
    fn cables(&self, service: Id) -> Vec<String> {
        let mark = format!("freehold:{service}");
        let links = self.host.links().into_iter();
        links.filter(|link| self.host.link(link)["ifalias"] == mark.as_str()).collect()
    }

    /// Pulls the plugs of a service.
    pub(crate) fn cut(&self, service: Id) {
        for cable in self.cables(service) {
            self.host.ip(&format!("link set {cable} nomaster"));
        }
    }

    /// Puts them back.
    pub(crate) fn mend(&self, service: Id) {
        for cable in self.cables(service) {
            self.host.ip(&format!("link set {cable} down"));
        }
    }
}

/// Names and numbers of the daemons of the gateway.
pub(crate) fn processes(state: &State) -> Vec<(String, i32)> {
    let directory = state.path().join("services").join(GATEWAY.to_string());
    let mut found = Vec::new();
    for file in std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "process") {
            let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let pid = i32::try_from(record["pid"].as_i64().unwrap()).unwrap();
            found.push((file.file_stem().unwrap().to_str().unwrap().to_owned(), pid));
        }
    }
    found.sort();
    found
}

/// Asks for an address by DHCP, and gives what was told; `None` when nobody answers.
pub(crate) fn lease(space: &Namespace) -> Option<String> {
    let script = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&script, "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nset\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = std::process::Command::new("ip")
        .args([
            "netns",
            "exec",
            &space.name,
            "busybox",
            "udhcpc",
            "-i",
            "eth0",
            "-n",
            "-q",
            "-t",
            "3",
            "-T",
            "1",
        ])
        .args(["-O", "mtu", "-s"])
        .arg(&script)
        .output()
        .expect("busybox must be installed");
    let told = String::from_utf8_lossy(&output.stdout).replace('\'', "");
    output.status.success().then_some(told)
}

/// Asks a resolver for the address of a name; empty when it does not answer.
pub(crate) fn resolve(space: &Namespace, server: &str, name: &str) -> String {
    let output = std::process::Command::new("ip")
        .args(["netns", "exec", &space.name, "dig", "+short", "+time=1", "+tries=1"])
        .args([&format!("@{server}"), name])
        .output()
        .expect("dig must be installed");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() { text } else { String::new() }
}

/// A resolver of the world, which knows `www.example.org`. It ends when it is dropped.
pub(crate) fn resolver(space: &Namespace, state: &State, address: &str) -> Program {
    let child = std::process::Command::new("ip")
        .args(["netns", "exec", &space.name, "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts"])
        .args(["--bind-interfaces", "--address=/www.example.org/10.9.9.9", "--user=root"])
        .arg(format!("--listen-address={address}"))
        .arg(format!("--pid-file={}", state.path().join("resolver.pid").display()))
        .arg("--conf-file=/dev/null")
        .spawn()
        .expect("dnsmasq must be installed");
    Program(child)
}

/// A program that runs until it is dropped.
pub(crate) struct Program(std::process::Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes away the mounts that keep namespaces.
pub(crate) fn forget_mounts(state: &State) {
    for service in std::fs::read_dir(state.path().join("services")).into_iter().flatten().flatten() {
        let _ = std::process::Command::new("umount").arg(service.path().join("netns")).output();
    }
}

/// Kills a process as a fault would.
pub(crate) fn kill(pid: i32) {
    let done = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    assert!(done.success());
}

/// Kills all processes of a program that stand in the directory of the gateway, and says how many there were.
pub(crate) fn kill_all(state: &State, program: &str) -> usize {
    let directory = state.path().join("services").join(GATEWAY.to_string());
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let mut killed: Vec<i32> = numbers
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter(|pid: &i32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            name.trim() == program
                && String::from_utf8_lossy(&arguments).contains(&*directory.to_string_lossy())
        })
        .collect();
    // The child last started would notice the end of its parent.
    killed.sort_unstable_by(|a, b| b.cmp(a));
    let mut kill = std::process::Command::new("kill");
    assert!(kill.arg("-KILL").args(killed.iter().map(i32::to_string)).status().unwrap().success());
    killed.len()
}

pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// One question that waits for 20 ms only.
pub(crate) fn ask_quickly(space: &Namespace, address: &str, port: u16) -> bool {
    let target = SocketAddr::new(address.parse::<IpAddr>().unwrap(), port);
    space.inside(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        socket.send_to(b"?", target).is_ok() && socket.recv_from(&mut [0; 64]).is_ok()
    })
}

/// The state of a node, without which nothing of it is left.
pub(crate) struct State(TempDir);

impl State {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}

impl Drop for State {
    /// Daemons outlive the node, and must not outlive the test.
    fn drop(&mut self) {
        let directory = self.path().to_str().unwrap();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let stands = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            if stands.starts_with(self.path()) || String::from_utf8_lossy(&arguments).contains(directory) {
                let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        }
        forget_mounts(self);
    }
}

pub(crate) fn attach(host: &Namespace, machine: &Namespace, name: &str, bridge: &str, address: &str) {
    host.ip(&format!("link add {name} type veth peer name eth0 netns {}", machine.name));
    host.ip(&format!("link set {name} master {bridge} up"));
    machine.ip(&format!("addr add {address} dev eth0"));
    machine.ip("link set eth0 up");
}

pub(crate) fn segment(bridge: &str) -> Segment {
    Segment {
        name: bridge.to_owned(),
        bridge: bridge.to_owned(),
        mtu: 1_500,
        link: SegmentLink::Local,
        host_addresses: Vec::new(),
    }
}

/// An instance: the first of two has the higher priority.
pub(crate) fn gateway(number: u8) -> Gateway {
    let mac = |last: u8| Mac::new([0xda, 0x1e, 0x70, 0, number, last]);
    Gateway {
        name: "shop".to_owned(),
        private: Port {
            segment: PRIVATE,
            mac: mac(1),
            address: Some(format!("10.1.0.{}/24", 10 + number).parse().unwrap()),
        },
        public: Some(Port { segment: PUBLIC, mac: mac(2), address: None }),
        peerings: Vec::new(),
        pairs: vec![Pair {
            vrid: 7,
            priority: if number == 0 { 150 } else { 100 },
            private: "10.1.0.2/24".parse().unwrap(),
            public: Some(PublicAddress {
                address: "192.0.2.10/24".parse().unwrap(),
                gateway: Ipv4Addr::new(192, 0, 2, 1),
            }),
        }],
        peers: Vec::new(),
        firewall: Firewall { ingress: Vec::new(), egress_policy: FirewallPolicy::Accept, egress: Vec::new() },
        forwards: Vec::new(),
        tunnels: Vec::new(),
        leases: Vec::new(),
        resolvers: Vec::new(),
        domain: None,
    }
}

/// An instance of a load balancer, for two backends of each protocol.
pub(crate) fn balancer(number: u8) -> Balancer {
    let backends = |ports: &[(u8, u16)]| {
        ports.iter().map(|(host, port)| SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, *host), *port)).collect()
    };
    let endpoint = |name: &str, protocol, port, ports: &[(u8, u16)]| Endpoint {
        name: name.to_owned(),
        protocol,
        port,
        backends: backends(ports),
    };
    Balancer {
        name: "front".to_owned(),
        private: Port {
            segment: PRIVATE,
            mac: Mac::new([0xda, 0x1e, 0x71, 0, number, 1]),
            address: Some(format!("10.1.0.{}/24", 30 + number).parse().unwrap()),
        },
        virtual_address: "10.1.0.40/24".parse().unwrap(),
        vrid: 9,
        priority: if number == 0 { 150 } else { 100 },
        peers: Vec::new(),
        router: Some("10.1.0.2".parse().unwrap()),
        endpoints: vec![
            endpoint("web", Protocol::Tcp, 80, &[(20, 8080), (21, 8080), (20, 8081)]),
            endpoint("names", Protocol::Udp, 53, &[(20, 5353), (21, 5353), (20, 5354)]),
        ],
    }
}

/// Brings a load balancer about under an id.
pub(crate) async fn balance_as(services: &NetworkServices, id: Id, balancer: &Balancer) -> BalancerDetail {
    let private = segment("br-private");
    let plan = ServicePlan { id, service: balancer, segments: [(PRIVATE, &private)].into() };
    services.ensure_balancer(&plan).await.unwrap()
}

/// Brings a load balancer about, and waits until it is as a test wants it.
pub(crate) async fn balanced(
    services: &NetworkServices,
    balancer: &Balancer,
    is: impl Fn(&BalancerDetail) -> bool,
) -> BalancerDetail {
    let mut last = BalancerDetail::default();
    for _ in 0..80 {
        last = balance_as(services, GATEWAY, balancer).await;
        if is(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not come about: {last:?}");
}

/// Brings a share about, whose files are below the state.
pub(crate) async fn share_as(services: &NetworkServices, state: &State, writable: bool) -> u64 {
    let private = segment("br-private");
    let share = share(state, writable);
    let plan = ServicePlan { id: GATEWAY, service: &share, segments: [(PRIVATE, &private)].into() };
    services.ensure_share(&plan).await.unwrap()
}

/// A share at 10.1.0.50.
pub(crate) fn share(state: &State, writable: bool) -> Share {
    Share {
        name: "photos".to_owned(),
        private: Port {
            segment: PRIVATE,
            mac: Mac::new([0xda, 0x1e, 0x73, 0, 0, 1]),
            address: Some("10.1.0.50/24".parse().unwrap()),
        },
        router: None,
        store: ShareStore::Directory { path: state.path().join("shares").display().to_string() },
        writable,
        protocols: Vec::new(),
        clients: vec!["10.1.0.0/24".parse().unwrap()],
    }
}

/// Runs a program of libnfs-utils in a namespace, on a file of the share.
pub(crate) fn nfs(space: &Namespace, program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = std::process::Command::new("timeout");
    command.args(["10", "ip", "netns", "exec", &space.name, program]).args(arguments);
    let output = command.output().expect("libnfs-utils must be installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A server that answers with a text, until it is dropped.
pub(crate) fn named(space: &Namespace, protocol: Protocol, address: &str, port: u16, name: &str) -> Server {
    Server::with(space, protocol, address, port, Some(name.to_owned()))
}

/// An interface in the network of the other project, shut in both directions.
pub(crate) fn peering() -> Peering {
    Peering {
        port: Port {
            segment: PEER,
            mac: Mac::new([0xda, 0x1e, 0x72, 0, 0, 1]),
            address: Some("10.2.0.5/24".parse().unwrap()),
        },
        subnet: "10.2.0.0/24".parse().unwrap(),
        policy: FirewallPolicy::Drop,
        ingress: Vec::new(),
        egress: Vec::new(),
    }
}

pub(crate) fn opening(remote: &str, protocol: Protocol, ports: &str) -> Opening {
    Opening { remote: remote.parse().unwrap(), protocol, ports: ports.parse().unwrap() }
}

pub(crate) fn forward(to: &str, protocol: Protocol, ports: &str) -> Forward {
    Forward { to: to.parse().unwrap(), protocol, ports: ports.parse().unwrap() }
}

/// Brings a gateway about.
pub(crate) async fn ensure(services: &NetworkServices, gateway: &Gateway) -> GatewayDetail {
    ensure_as(services, GATEWAY, gateway).await
}

/// Brings a gateway about under an id.
pub(crate) async fn ensure_as(services: &NetworkServices, id: Id, gateway: &Gateway) -> GatewayDetail {
    let (private, public, peer) = (segment("br-private"), segment("br-public"), segment("br-peer"));
    let segments = [(PRIVATE, &private), (PUBLIC, &public), (PEER, &peer)].into();
    let plan = ServicePlan { id, service: gateway, segments };
    services.ensure_gateway(&plan).await.unwrap()
}

/// Brings a gateway about, and waits until it holds its addresses.
pub(crate) async fn active(services: &NetworkServices, gateway: &Gateway) {
    for _ in 0..60 {
        if ensure(services, gateway).await.active == [7] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the gateway does not become active");
}

/// A server that answers with the address that it sees, until it is dropped.
pub(crate) struct Server(Arc<AtomicBool>);

impl Server {
    pub(crate) fn new(space: &Namespace, protocol: Protocol, address: &str, port: u16) -> Self {
        Self::with(space, protocol, address, port, None)
    }

    fn with(space: &Namespace, protocol: Protocol, address: &str, port: u16, name: Option<String>) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let (stop, target) = (Arc::clone(&end), SocketAddr::new(address.parse().unwrap(), port));
        match protocol {
            Protocol::Tcp => {
                let listener = space.inside(move || TcpListener::bind(target).unwrap());
                listener.set_nonblocking(true).unwrap();
                std::thread::spawn(move || serve_tcp(&listener, name.as_deref(), &stop));
            }
            Protocol::Udp => {
                let socket = space.inside(move || UdpSocket::bind(target).unwrap());
                socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                std::thread::spawn(move || serve_udp(&socket, name.as_deref(), &stop));
            }
        }
        Self(end)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn serve_tcp(listener: &TcpListener, name: Option<&str>, end: &AtomicBool) {
    while !end.load(Ordering::Relaxed) {
        let Ok((mut stream, peer)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let answer = name.map_or_else(|| peer.ip().to_string(), str::to_owned);
        std::thread::spawn(move || {
            stream.set_nonblocking(false).unwrap();
            // Once for the greeting, then as often as the client asks.
            let mut byte = [0];
            while stream.write_all(format!("{answer}\n").as_bytes()).is_ok() {
                if !matches!(stream.read(&mut byte), Ok(1)) {
                    return;
                }
            }
        });
    }
}

fn serve_udp(socket: &UdpSocket, name: Option<&str>, end: &AtomicBool) {
    let mut buffer = [0; 64];
    while !end.load(Ordering::Relaxed) {
        if let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let answer = name.map_or_else(|| peer.ip().to_string(), str::to_owned);
            let _ = socket.send_to(format!("{answer}\n").as_bytes(), peer);
        }
    }
}

/// Asks a server; gives the address by which it knows the asker, or `None` when there is no answer.
pub(crate) fn ask(space: &Namespace, protocol: Protocol, address: &str, port: u16) -> Option<String> {
    let target = SocketAddr::new(address.parse::<IpAddr>().unwrap(), port);
    space.inside(move || match protocol {
        Protocol::Tcp => {
            let mut stream = TcpStream::connect_timeout(&target, PATIENCE).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            line(&mut stream)
        }
        Protocol::Udp => {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.send_to(b"?", target).ok()?;
            let mut buffer = [0; 64];
            let (length, from) = socket.recv_from(&mut buffer).ok()?;
            assert_eq!(from, target, "the answer must come from who was asked");
            Some(String::from_utf8_lossy(&buffer[..length]).trim().to_owned())
        }
    })
}

/// One line of a stream.
pub(crate) fn line(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).ok()? == 1 {
        if byte[0] == b'\n' {
            return String::from_utf8(text).ok();
        }
        text.push(byte[0]);
    }
    None
}
