//! Names on this very host: the real PowerDNS servers on loopback, asked with real questions.
//!
//! This needs root, pdns-server, pdns-backend-sqlite3, pdns-recursor, sqlite3 and dig; without them it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "names/edge.rs"]
mod edge;
mod fixture;

use std::time::{Duration, Instant};

use edge::{Edge, zone};
use fixture::{absent, full, partial, segment};
use freehold_node::host::{HostError, Names};
use freehold_node::{NodeConfig, Status, purge, real_host, start_real};
use freehold_types::agent::{Desired, ObjectKey, ObjectKind, Phase, Specification, State};
use freehold_types::wire::AgentType;
use freehold_types::{Id, Secret};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);
const ONE: Id = Id::from_u64(1);
const TWO: Id = Id::from_u64(2);

#[tokio::test(flavor = "multi_thread")]
async fn names_resolve_and_changes_are_seen_at_once() {
    let edge = Edge::new();
    let mut corp =
        zone("corp.test", &[("@", "10.1.0.1"), ("web", "10.1.0.2"), ("web", "10.1.0.3"), ("web", "fd00::3")]);
    edge.names.ensure_zone(ONE, &corp).await.unwrap();
    assert_eq!(edge.ask("corp.test", "A"), ["10.1.0.1"]);
    assert_eq!(edge.ask("WEB.corp.test", "A"), ["10.1.0.2", "10.1.0.3"]);
    assert_eq!(edge.ask("web.corp.test", "AAAA"), ["fd00::3"]);
    assert_eq!(edge.ask("3.0.1.10.in-addr.arpa", "PTR"), ["web.corp.test."]);
    let six = format!("3.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
    assert_eq!(edge.ask(&six, "PTR"), ["web.corp.test."]);
    // Nobody else's names; those of the world are not known without forwarders.
    assert_eq!(edge.status("new.corp.test", "A"), "NXDOMAIN");
    assert_eq!(edge.status("9.0.1.10.in-addr.arpa", "PTR"), "NXDOMAIN");
    assert_eq!(edge.status("www.example.org", "A"), "SERVFAIL");

    // What the resolver remembers, names that were not there included, it forgets.
    corp = zone("corp.test", &[("new", "10.1.0.9"), ("web", "10.1.0.4"), ("web", "fd00::3")]);
    edge.names.ensure_zone(ONE, &corp).await.unwrap();
    assert_eq!(edge.ask("new.corp.test", "A"), ["10.1.0.9"]);
    assert_eq!(edge.ask("web.corp.test", "A"), ["10.1.0.4"]);
    assert_eq!(edge.ask("corp.test", "A"), [""; 0]);
    assert_eq!(edge.ask("9.0.1.10.in-addr.arpa", "PTR"), ["new.corp.test."]);
    assert_eq!(edge.status("3.0.1.10.in-addr.arpa", "PTR"), "NXDOMAIN");

    // Nothing is written when nothing differs: the serial number stays.
    let serial = edge.ask("corp.test", "SOA");
    edge.names.ensure_zone(ONE, &corp).await.unwrap();
    assert_eq!(edge.ask_authoritative("corp.test", "SOA"), serial);

    // An edit by hand goes with the next look.
    edge.by_hand("PATCH", "/zones/corp.test.", r#"{"rrsets":[
        {"name":"web.corp.test.","type":"A","ttl":5,"changetype":"REPLACE","records":[{"content":"10.9.9.9","disabled":false}]},
        {"name":"hand.corp.test.","type":"TXT","ttl":5,"changetype":"REPLACE","records":[{"content":"\"x\"","disabled":false}]},
        {"name":"new.corp.test.","type":"A","changetype":"DELETE"}]}"#);
    assert_eq!(edge.ask_authoritative("web.corp.test", "A"), ["10.9.9.9"]);
    edge.names.ensure_zone(ONE, &corp).await.unwrap();
    assert_eq!(edge.ask("web.corp.test", "A"), ["10.1.0.4"]);
    assert_eq!(edge.ask("new.corp.test", "A"), ["10.1.0.9"]);
    assert_eq!(edge.status("hand.corp.test", "TXT"), "NXDOMAIN");
    edge.by_hand("DELETE", "/zones/corp.test.", "");
    edge.names.ensure_zone(ONE, &corp).await.unwrap();
    assert_eq!(edge.ask("web.corp.test", "A"), ["10.1.0.4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_neither_fight_nor_leave_anything_behind() {
    let edge = Edge::new();
    let one = zone("one.test", &[("a", "10.1.0.1"), ("b", "10.1.0.2")]);
    let two = zone("two.test", &[("a", "10.1.0.1"), ("c", "10.1.0.3"), ("c", "10.2.0.3")]);
    edge.names.ensure_zone(ONE, &one).await.unwrap();
    edge.names.ensure_zone(TWO, &two).await.unwrap();
    edge.names.ensure_zone(ONE, &one).await.unwrap();
    assert_eq!(edge.ask("1.0.1.10.in-addr.arpa", "PTR"), ["a.one.test."]);
    assert_eq!(edge.ask("3.0.1.10.in-addr.arpa", "PTR"), ["c.two.test."]);
    let error = edge.names.ensure_zone(TWO, &one).await.unwrap_err();
    assert!(matches!(&error, HostError::Failed(text) if text.contains(&ONE.to_string())), "{error}");
    let wild = zone("two.test", &[("*", "10.1.0.1")]);
    let error = edge.names.ensure_zone(TWO, &wild).await.unwrap_err();
    assert!(
        matches!(&error, HostError::Refused(text) if text.contains("`*`") && text.contains("two.test")),
        "{error}"
    );

    // Under another name.
    let renamed = zone("first.test", &[("a", "10.1.0.1")]);
    edge.names.ensure_zone(ONE, &renamed).await.unwrap();
    assert_eq!(edge.ask("a.first.test", "A"), ["10.1.0.1"]);
    assert_eq!(edge.status("a.one.test", "A"), "SERVFAIL");
    assert_eq!(edge.ask("1.0.1.10.in-addr.arpa", "PTR"), ["a.first.test."]);
    assert_eq!(edge.status("2.0.1.10.in-addr.arpa", "PTR"), "NXDOMAIN");

    edge.names.remove_zone(TWO, &two).await.unwrap();
    edge.names.remove_zone(TWO, &two).await.unwrap();
    assert_eq!(edge.status("c.two.test", "A"), "SERVFAIL");
    assert_eq!(edge.ask("1.0.1.10.in-addr.arpa", "PTR"), ["a.first.test."]);
    assert_eq!(edge.zones(), ["0.1.10.in-addr.arpa.", "first.test."]);
    edge.names.remove_zone(ONE, &renamed).await.unwrap();
    assert_eq!(edge.zones(), [""; 0]);
    assert_eq!(std::fs::read_dir(edge.state.path().join("names/resolver/zones")).unwrap().count(), 0);

    let pids = edge.pids();
    edge.names.retire().await.unwrap();
    assert!(pids.iter().all(|pid| !edge::is_alive(*pid)));
    assert!(!edge.state.path().join("names").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_other_names_are_asked_of_the_forwarders() {
    let world = Edge::new();
    world.names.ensure_zone(ONE, &zone("world.test", &[("www", "192.0.2.7")])).await.unwrap();
    let upstream = format!("127.0.0.1:{}", world.config.port).parse().unwrap();
    let edge = Edge::with(|config| config.forwarders = vec![upstream]);
    edge.names.ensure_zone(ONE, &zone("corp.test", &[("web", "10.1.0.2")])).await.unwrap();
    assert_eq!(edge.ask("www.world.test", "A"), ["192.0.2.7"]);
    assert_eq!(edge.ask("web.corp.test", "A"), ["10.1.0.2"]);
    assert_eq!(edge.status("no.world.test", "A"), "NXDOMAIN");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_outlive_the_node_and_come_back_when_they_die() {
    let edge = Edge::new();
    let corp = zone("corp.test", &[("web", "10.1.0.2")]);
    edge.names.ensure_zone(ONE, &corp).await.unwrap();
    let pids = edge.pids();
    // A key is in no argument, and its file is private.
    for (server, pid) in ["authoritative", "resolver"].iter().zip(&pids) {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!line.contains(&edge.key(server)), "{line}");
        assert_eq!(edge.mode(&format!("{server}.key")), 0o600);
    }
    assert_eq!((edge.mode("authoritative/pdns.conf"), edge.mode("resolver/recursor.conf")), (0o600, 0o600));

    // Another node takes up the same processes, even when the record of them was lost.
    let again = edge.again();
    again.ensure_zone(ONE, &corp).await.unwrap();
    assert_eq!(edge.pids(), pids);

    let keeper = again.clone().keep();
    let killed = async {
        for pid in &pids {
            edge::kill(*pid);
        }
        let end = Instant::now() + PATIENCE;
        while edge.pids().iter().any(|pid| pids.contains(pid))
            || edge.status("web.corp.test", "A") != "NOERROR"
        {
            assert!(Instant::now() < end, "the servers did not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = keeper => unreachable!(),
        () = killed => {}
    }
    assert_eq!(edge.ask("web.corp.test", "A"), ["10.1.0.2"]);

    // Another configuration is one for other processes.
    let pids = edge.pids();
    let changed = edge.reconfigured(|config| config.allow_from = vec!["10.0.0.0/8".parse().unwrap()]);
    changed.ensure_zone(ONE, &corp).await.unwrap();
    let now = edge.pids();
    assert_eq!(now[0], pids[0]);
    assert_ne!(now[1], pids[1]);
    assert_eq!(edge.status("web.corp.test", "A"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_what_to_do() {
    let edge = Edge::new();
    let taken = std::net::UdpSocket::bind(("127.0.0.1", edge.config.port)).unwrap();
    let error = edge.names.ensure_zone(ONE, &zone("corp.test", &[])).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("127.0.0.1:{}", edge.config.port)) && error.contains("pdns-recursor"),
        "{error}"
    );
    drop(taken);
    edge.names.ensure_zone(ONE, &zone("corp.test", &[])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_zone_takes_few_requests() {
    let edge = Edge::new();
    let names: Vec<(String, String)> =
        (0..2000).map(|n| (format!("host-{n}"), format!("10.1.{}.{}", n / 250, n % 250 + 1))).collect();
    let pairs: Vec<(&str, &str)> =
        names.iter().map(|(name, address)| (name.as_str(), address.as_str())).collect();
    let mut big = zone("big.test", &pairs);
    edge.names.ensure_zone(ONE, &zone("big.test", &[])).await.unwrap();
    let before = edge.names.requests();
    edge.names.ensure_zone(ONE, &big).await.unwrap();
    // Two batches of names; eight reverse zones with five requests each.
    let made = edge.names.requests() - before;
    assert!(made <= 60, "{made}");
    assert_eq!(edge.ask("host-1999.big.test", "A"), ["10.1.7.250"]);
    assert_eq!(edge.ask("250.7.1.10.in-addr.arpa", "PTR"), ["host-1999.big.test."]);

    let before = edge.names.requests();
    big.names[5].addresses = vec!["10.1.0.251".parse().unwrap()];
    edge.names.ensure_zone(ONE, &big).await.unwrap();
    let changed = edge.names.requests() - before;
    assert!(changed <= 30, "{changed}");
    let name = format!("{}.big.test", big.names[5].name);
    assert_eq!(edge.ask(&name, "A"), ["10.1.0.251"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_node_answers_by_slices_alone_and_needs_no_libvirt() {
    let edge = Edge::new();
    let mut config = NodeConfig::new(ONE, Secret::new("key".to_owned()), "http://127.0.0.1:9");
    config.role = AgentType::Edge;
    config.state = edge.state.path().to_owned();
    config.libvirt = "test:///does/not/exist".to_owned();
    config.edge = Some(edge.config.clone());
    let corp = Desired {
        key: ObjectKey { kind: ObjectKind::DnsZone, id: TWO },
        generation: 1,
        state: State::Present(Specification::DnsZone(zone("corp.test", &[("web", "10.1.0.2")]))),
    };
    let settled = |status: &Status| status.idle && status.held.is_some();

    let node = start_real(&config).await.unwrap();
    node.deliver(full(1, vec![corp.clone(), segment(7)])).await.unwrap();
    let status = timeout(
        PATIENCE,
        node.wait_until(|status| {
            settled(status) && status.objects.iter().any(|object| object.phase == Phase::Ready)
        }),
    )
    .await
    .unwrap();
    let refused = status.objects.iter().find(|object| object.key.kind == ObjectKind::Segment).unwrap();
    assert!(format!("{refused:?}").contains("this node is an edge"), "{refused:?}");
    assert_eq!(edge.ask("web.corp.test", "A"), ["10.1.0.2"]);
    let pids = edge.pids();
    drop(node);
    assert_eq!(edge.ask("web.corp.test", "A"), ["10.1.0.2"]);

    let node = start_real(&config).await.unwrap();
    node.deliver(partial(2, absent(vec![corp]))).await.unwrap();
    timeout(
        PATIENCE,
        node.wait_until(|status| status.objects.iter().any(|object| object.phase == Phase::Absent)),
    )
    .await
    .unwrap();
    assert_eq!((edge.pids(), edge.zones()), (pids.clone(), Vec::new()));
    timeout(PATIENCE, node.stop()).await.unwrap();
    assert!(pids.iter().all(|pid| edge::is_alive(*pid)));
    purge(&config, &real_host(&config).await.unwrap()).await.unwrap();
    assert!(pids.iter().all(|pid| !edge::is_alive(*pid)));
}
