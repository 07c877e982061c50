//! Gateways and load balancers against the real kernel and real daemons, in network namespaces.
//!
//! This needs root, iproute2, nftables, keepalived, dnsmasq, strongSwan, HAProxy, nginx, NFS-Ganesha and
//! libnfs-utils; without them it fails.

#[cfg(test)]
#[path = "services/leases.rs"]
mod leases;
#[cfg(test)]
#[path = "network/namespace.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod namespace;
#[cfg(test)]
#[path = "services/peer.rs"]
mod peer;
#[cfg(test)]
#[path = "services/site.rs"]
mod site;
#[cfg(test)]
#[path = "services/takeover.rs"]
mod takeover;
#[cfg(test)]
#[path = "services/tunnels.rs"]
mod tunnels;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use freehold_node::host::Services;
use freehold_types::service::{BalancerDetail, Lease, PeeringRule};
use freehold_types::wire::FirewallPolicy::{Accept, Drop};
use freehold_types::wire::Protocol::{Tcp, Udp};
use site::{
    GATEWAY, Server, Site, State, active, ask, balanced, balancer, ensure, forward, gateway, line, named,
    opening, peering,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_reach_the_world_through_it_and_nobody_reaches_them() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    active(&services, &gateway(0)).await;
    let _world = [
        Server::new(&site.world, Tcp, "198.51.100.1", 80),
        Server::new(&site.world, Udp, "198.51.100.1", 53),
    ];
    assert_eq!(ask(&site.a, Tcp, "198.51.100.1", 80).as_deref(), Some("192.0.2.10"));
    assert_eq!(ask(&site.a, Udp, "198.51.100.1", 53).as_deref(), Some("192.0.2.10"));
    // Nobody comes in, not even who routes straight to the private network.
    let _machine = Server::new(&site.a, Tcp, "10.1.0.20", 80);
    assert_eq!(ask(&site.stranger, Tcp, "192.0.2.10", 80), None);
    site.stranger.ip("route add 10.1.0.0/24 via 192.0.2.10");
    assert_eq!(ask(&site.stranger, Tcp, "10.1.0.20", 80), None);
    // Who lies about where it comes from does not get out.
    site.b.ip("addr add 10.9.0.1/32 dev eth0");
    site.b.ip("route replace default via 10.1.0.2 src 10.9.0.1");
    assert_eq!(ask(&site.b, Udp, "198.51.100.1", 53), None);
    services.remove_gateway(GATEWAY).await.unwrap();
    assert_eq!(ask(&site.a, Tcp, "198.51.100.1", 80), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwards_lead_to_machines_from_outside_and_inside() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut spec = gateway(0);
    spec.forwards = vec![
        forward("10.1.0.20", Tcp, "80,8000-8010"),
        forward("10.1.0.21", Udp, "53"),
        forward("10.1.0.20", Tcp, "22"),
    ];
    spec.firewall.ingress =
        vec![opening("192.0.2.66/32", Tcp, "22"), opening("198.51.100.0/24", Tcp, "8005")];
    active(&services, &spec).await;
    let _servers = [
        Server::new(&site.a, Tcp, "10.1.0.20", 80),
        Server::new(&site.a, Tcp, "10.1.0.20", 22),
        Server::new(&site.a, Tcp, "10.1.0.20", 8005),
        Server::new(&site.a, Tcp, "10.1.0.20", 81),
        Server::new(&site.b, Udp, "10.1.0.21", 53),
    ];
    // Machines see who asks.
    assert_eq!(ask(&site.stranger, Tcp, "192.0.2.10", 80).as_deref(), Some("192.0.2.66"));
    assert_eq!(ask(&site.stranger, Udp, "192.0.2.10", 53).as_deref(), Some("192.0.2.66"));
    assert_eq!(ask(&site.stranger, Tcp, "192.0.2.10", 81), None);
    // An opening that names a forwarded port narrows it to its sources.
    assert_eq!(ask(&site.stranger, Tcp, "192.0.2.10", 22).as_deref(), Some("192.0.2.66"));
    assert_eq!(ask(&site.world, Tcp, "192.0.2.10", 22), None);
    assert_eq!(ask(&site.stranger, Tcp, "192.0.2.10", 8005), None);
    // A machine reaches its neighbour, and itself, by the public address.
    assert_eq!(ask(&site.b, Tcp, "192.0.2.10", 80).as_deref(), Some("10.1.0.10"));
    assert_eq!(ask(&site.a, Udp, "192.0.2.10", 53).as_deref(), Some("10.1.0.10"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_out_obeys_its_policy() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut spec = gateway(0);
    let _servers = [80, 443, 25].map(|port| Server::new(&site.world, Tcp, "198.51.100.1", port));
    let reached = |site: &Site| [80, 443, 25].map(|port| ask(&site.a, Tcp, "198.51.100.1", port).is_some());
    spec.firewall.egress = vec![opening("0.0.0.0/0", Tcp, "25"), opening("203.0.113.0/24", Tcp, "443")];
    active(&services, &spec).await;
    assert_eq!(reached(&site), [true, true, false]);
    spec.firewall.egress_policy = Drop;
    ensure(&services, &spec).await;
    assert_eq!(reached(&site), [false, false, true]);
    spec.firewall.egress_policy = Accept;
    spec.firewall.egress.clear();
    ensure(&services, &spec).await;
    assert_eq!(reached(&site), [true; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_are_given_their_address_and_ask_it_for_names() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut spec = gateway(0);
    let mac = site.a.link("eth0")["address"].as_str().unwrap().parse().unwrap();
    let (address, router) = ("10.1.0.77".parse().unwrap(), "10.1.0.2".parse().unwrap());
    spec.leases = vec![Lease { mac, address, host: "web".to_owned(), router }];
    spec.resolvers = vec!["198.51.100.1".parse().unwrap()];
    spec.domain = Some("shop.example.org".to_owned());
    active(&services, &spec).await;
    let told = site::lease(&site.a).expect("it is known");
    for what in ["ip=10.1.0.77", "router=10.1.0.2", "mtu=1500", "dns=10.1.0.2", "domain=shop.example.org"] {
        assert!(told.lines().any(|line| line == what), "{what} is not in {told}");
    }
    // Who is not known gets nothing.
    assert_eq!(site::lease(&site.b), None);
    let _resolver = site::resolver(&site.world, &state, "198.51.100.1");
    let start = Instant::now();
    while site::resolve(&site.a, "10.1.0.2", "www.example.org") != "10.9.9.9" {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not pass questions on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(site::resolve(&site.stranger, "192.0.2.10", "www.example.org"), "");
    // A new machine is known at once.
    let mac = site.b.link("eth0")["address"].as_str().unwrap().parse().unwrap();
    spec.leases.push(Lease { mac, address: "10.1.0.78".parse().unwrap(), host: "db".to_owned(), router });
    ensure(&services, &spec).await;
    assert!(site::lease(&site.b).expect("it is known by now").contains("ip=10.1.0.78"));
    assert!(site::lease(&site.a).expect("it is known still").contains("ip=10.1.0.77"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peering_opens_and_closes_while_it_stands() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut spec = gateway(0);
    let _servers = [
        Server::new(&site.neighbour, Tcp, "10.2.0.20", 80),
        Server::new(&site.neighbour, Tcp, "10.2.0.20", 81),
        Server::new(&site.a, Tcp, "10.1.0.20", 80),
    ];
    site.neighbour.ip("route add default via 10.2.0.5");
    let out = |port| ask(&site.a, Tcp, "10.2.0.20", port);
    let back = || ask(&site.neighbour, Tcp, "10.1.0.20", 80);
    // Without a peering the projects do not know of each other.
    active(&services, &spec).await;
    assert_eq!((out(80), back()), (None, None));
    spec.peerings = vec![peering()];
    active(&services, &spec).await;
    assert_eq!((out(80), back()), (None, None));
    let rule = |ports: &str| PeeringRule { protocol: Tcp, ports: ports.parse().unwrap() };
    spec.peerings[0].egress = vec![rule("80")];
    ensure(&services, &spec).await;
    assert_eq!((out(80).as_deref(), out(81), back()), (Some("10.2.0.5"), None, None));
    (spec.peerings[0].egress, spec.peerings[0].ingress) = (Vec::new(), vec![rule("80")]);
    ensure(&services, &spec).await;
    assert_eq!((out(80), back().as_deref()), (None, Some("10.2.0.20")));
    // The other way round: what is listed is shut.
    spec.peerings[0].policy = Accept;
    spec.peerings[0].egress = vec![rule("81")];
    ensure(&services, &spec).await;
    assert_eq!((out(80).is_some(), out(81), back()), (true, None, None));
    spec.peerings.clear();
    ensure(&services, &spec).await;
    assert_eq!((out(80), back()), (None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_rules_cuts_no_connection() {
    const CONNECTIONS: usize = 1_000;
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut spec = gateway(0);
    spec.forwards = vec![forward("10.1.0.20", Tcp, "80")];
    active(&services, &spec).await;
    let _server = Server::new(&site.a, Tcp, "10.1.0.20", 80);
    let target: SocketAddr = "192.0.2.10:80".parse().unwrap();
    let mut open: Vec<TcpStream> = site.stranger.inside(move || {
        (0..CONNECTIONS)
            .map(|_| TcpStream::connect_timeout(&target, Duration::from_secs(5)).unwrap())
            .collect()
    });
    for stream in &mut open {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(line(stream).as_deref(), Some("192.0.2.66"));
    }
    // Everything is shut for new ones, and the old ones do not notice.
    (spec.firewall.ingress, spec.firewall.egress_policy) = (vec![opening("203.0.113.9/32", Tcp, "80")], Drop);
    ensure(&services, &spec).await;
    assert_eq!(ask(&site.stranger, Tcp, "192.0.2.10", 80), None);
    for stream in &mut open {
        stream.write_all(b"?").unwrap();
        assert_eq!(line(stream).as_deref(), Some("192.0.2.66"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_takes_over_when_the_active_one_dies() {
    let (site, one, two) = (Site::new(), State::new(), State::new());
    let (first, second) = (site.services(&one), site.services(&two));
    let (mut spec, mut spare) = (gateway(0), gateway(1));
    spec.peers = vec!["10.1.0.11".parse().unwrap()];
    spare.peers = vec!["10.1.0.10".parse().unwrap()];
    // They share a switch here, so that the names of their cables must differ: each is another service.
    active(&first, &spec).await;
    site::ensure_as(&second, site::SPARE, &spare).await;
    let _world = Server::new(&site.world, Udp, "198.51.100.1", 53);
    assert_eq!(ask(&site.a, Udp, "198.51.100.1", 53).as_deref(), Some("192.0.2.10"));
    assert_eq!(site::ensure_as(&second, site::SPARE, &spare).await.active, [] as [u8; 0]);
    // The host of the first dies: its cables are cut, and its daemon with it.
    site.cut(GATEWAY);
    let start = Instant::now();
    let away = loop {
        if site::ask_quickly(&site.a, "198.51.100.1", 53) {
            break start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(10), "nobody takes over");
    };
    println!("the gateway was away for {} ms", away.as_millis());
    assert_eq!(site::ensure_as(&second, site::SPARE, &spare).await.active, [7]);
    // Both addresses came along, and go back together.
    site.mend(GATEWAY);
    active(&first, &spec).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(site::ensure_as(&second, site::SPARE, &spare).await.active, [] as [u8; 0]);
    assert_eq!(ask(&site.a, Udp, "198.51.100.1", 53).as_deref(), Some("192.0.2.10"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_the_node_and_mends_itself() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let spec = gateway(0);
    active(&services, &spec).await;
    let before = site::processes(&state);
    assert_eq!(before.len(), 2, "keepalived and dnsmasq: {before:?}");
    std::mem::drop(services);
    // The node is started anew.
    let services = site.services(&state);
    let mut events = services.events();
    assert_eq!(ensure(&services, &spec).await.active, [7]);
    assert_eq!(site::processes(&state), before);
    // Also when the mount that keeps its namespace went with the mounts of the node before.
    site::forget_mounts(&state);
    assert_eq!(ensure(&services, &spec).await.active, [7]);
    assert_eq!(site::processes(&state), before);
    for (name, pid) in before.clone() {
        site::kill(pid);
        let told = tokio::time::timeout(Duration::from_secs(5), events.recv()).await;
        assert_eq!(told.expect("its end is told").expect("a key").id, GATEWAY, "{name}");
    }
    active(&services, &spec).await;
    let after = site::processes(&state);
    assert!(after.len() == 2 && after.iter().all(|pair| !before.contains(pair)), "{before:?} {after:?}");
    services.remove_gateway(GATEWAY).await.unwrap();
    services.remove_gateway(GATEWAY).await.unwrap();
    assert!(after.iter().all(|(_, pid)| !site::is_alive(*pid)));
    assert!(std::fs::read_dir(state.path().join("services")).unwrap().next().is_none());
    assert!(!site.host.links().iter().any(|link| link.starts_with("fs")), "{:?}", site.host.links());
    assert!(!std::fs::read_to_string("/proc/self/mounts").unwrap().contains(state.path().to_str().unwrap()));
}

/// Who answers `count` questions in a row.
fn answers(
    site: &Site,
    protocol: freehold_types::wire::Protocol,
    port: u16,
    count: usize,
) -> BTreeSet<String> {
    let asked = (0..count).filter_map(|_| ask(&site.b, protocol, "10.1.0.40", port));
    // A UDP backend that refuses costs whoever asked it first an empty answer; clients of UDP ask again.
    asked.filter(|answer| !answer.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_leads_to_those_that_answer() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let spec = balancer(0);
    let tcp = |machine, address: &str, port, name: &str| named(machine, Tcp, address, port, name);
    let one = tcp(&site.a, "10.1.0.20", 8080, "one");
    let _others = [
        tcp(&site.b, "10.1.0.21", 8080, "two"),
        tcp(&site.a, "10.1.0.20", 8081, "three"),
        named(&site.b, Udp, "10.1.0.21", 5353, "two"),
        named(&site.a, Udp, "10.1.0.20", 5354, "three"),
    ];
    let first = named(&site.a, Udp, "10.1.0.20", 5353, "one");
    let all_up = |detail: &BalancerDetail| {
        detail.active && detail.backends.len() == 3 && detail.backends.iter().all(|backend| backend.healthy)
    };
    balanced(&services, &spec, all_up).await;
    let three = BTreeSet::from(["one", "two", "three"].map(str::to_owned));
    let two = BTreeSet::from(["two", "three"].map(str::to_owned));
    assert_eq!(answers(&site, Tcp, 80, 9), three);
    assert_eq!(answers(&site, Udp, 53, 9), three);
    // One dies, and is passed over.
    std::mem::drop((one, first));
    let one_down =
        |detail: &BalancerDetail| detail.backends.iter().filter(|backend| !backend.healthy).count() == 1;
    let detail = balanced(&services, &spec, one_down).await;
    assert!(detail.backends.iter().all(|backend| backend.connections >= 3), "{detail:?}");
    assert_eq!(answers(&site, Tcp, 80, 9), two);
    assert_eq!(answers(&site, Udp, 53, 9), two);
    // It comes back.
    let _one = tcp(&site.a, "10.1.0.20", 8080, "one");
    let _first = named(&site.a, Udp, "10.1.0.20", 5353, "one");
    balanced(&services, &spec, all_up).await;
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(answers(&site, Tcp, 80, 9), three);
    assert_eq!(answers(&site, Udp, 53, 9), three);
    services.remove_balancer(GATEWAY).await.unwrap();
    assert_eq!(ask(&site.b, Tcp, "10.1.0.40", 80), None);
    assert!(!site.host.links().iter().any(|link| link.starts_with("fs")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_balancer_cuts_no_connection() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut spec = balancer(0);
    let _servers =
        [named(&site.a, Tcp, "10.1.0.20", 8080, "one"), named(&site.b, Tcp, "10.1.0.21", 8080, "two")];
    balanced(&services, &spec, |detail| detail.active && detail.backends[1].healthy).await;
    let target: SocketAddr = "10.1.0.40:80".parse().unwrap();
    let mut open: Vec<TcpStream> = site.b.inside(move || {
        (0..200).map(|_| TcpStream::connect_timeout(&target, Duration::from_secs(5)).unwrap()).collect()
    });
    for stream in &mut open {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(line(stream).is_some());
    }
    let before = site::processes(&state);
    // The endpoint moves to another port; new connections find it there, and the old ones do not notice.
    (spec.endpoints[0].port, spec.endpoints[1].port) = (81, 54);
    balanced(&services, &spec, |_| ask(&site.b, Tcp, "10.1.0.40", 81).is_some()).await;
    assert_eq!(site::processes(&state), before);
    assert_eq!(ask(&site.b, Tcp, "10.1.0.40", 80), None);
    for stream in &mut open {
        stream.write_all(b"?").unwrap();
        assert!(line(stream).is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_balancer_takes_over_when_the_active_one_dies() {
    let (site, one, two) = (Site::new(), State::new(), State::new());
    let (first, second) = (site.services(&one), site.services(&two));
    let (mut spec, mut spare) = (balancer(0), balancer(1));
    spec.peers = vec!["10.1.0.31".parse().unwrap()];
    spare.peers = vec!["10.1.0.30".parse().unwrap()];
    let _server = named(&site.a, Udp, "10.1.0.20", 5353, "one");
    balanced(&first, &spec, |detail| detail.active).await;
    assert!(!site::balance_as(&second, site::SPARE, &spare).await.active);
    // Two of the three backends are down: the first questions find that out.
    let settled = Instant::now();
    while !site::ask_quickly(&site.b, "10.1.0.40", 53) {
        assert!(settled.elapsed() < Duration::from_secs(10), "the balancer does not answer");
    }
    site.cut(GATEWAY);
    let start = Instant::now();
    while !site::ask_quickly(&site.b, "10.1.0.40", 53) {
        assert!(start.elapsed() < Duration::from_secs(10), "nobody takes over");
    }
    println!("the balancer was away for {} ms", start.elapsed().as_millis());
    assert!(site::balance_as(&second, site::SPARE, &spare).await.active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_is_written_by_two_clients_and_by_nobody_else() {
    const FILE: &str = "nfs://10.1.0.50/photos/greeting?version=4";
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    site::share_as(&services, &state, true).await;
    let local = state.path().join("greeting");
    std::fs::write(&local, "good morning\n").unwrap();
    let local = local.to_str().unwrap();
    let start = Instant::now();
    while site::nfs(&site.a, "nfs-cp", &[local, FILE]).is_err() {
        assert!(start.elapsed() < Duration::from_secs(30), "the share does not answer");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(site::nfs(&site.b, "nfs-cat", &[FILE]).unwrap(), "good morning\n");
    let second = FILE.replace("greeting", "second");
    site::nfs(&site.b, "nfs-cp", &[local, &second]).unwrap();
    assert_eq!(site::nfs(&site.a, "nfs-cat", &[&second]).unwrap(), "good morning\n");
    // Another project does not reach it, even when it knows the way.
    site.neighbour.ip("route add 10.1.0.0/24 dev eth0");
    assert!(site::nfs(&site.neighbour, "nfs-cat", &[FILE]).is_err());
    // Shut for writing while it stands, and what is in use is told.
    assert!(site::share_as(&services, &state, false).await >= 8_192);
    assert_eq!(site::nfs(&site.b, "nfs-cat", &[FILE]).unwrap(), "good morning\n");
    let third = FILE.replace("greeting", "third");
    let start = Instant::now();
    while site::nfs(&site.b, "nfs-cp", &[local, &third]).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10), "it can be written still");
    }
    // Its files go with it.
    services.remove_share(GATEWAY, &site::share(&state, true)).await.unwrap();
    assert!(std::fs::read_dir(state.path().join("shares")).unwrap().next().is_none());
    assert!(site::nfs(&site.a, "nfs-cat", &[FILE]).is_err());
}
