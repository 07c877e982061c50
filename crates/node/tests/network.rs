//! The network subsystem against the real kernel, in network namespaces of its own.
//!
//! This needs root and iproute2; without them it fails.

#[cfg(test)]
#[path = "network/namespace.rs"]
mod namespace;
#[cfg(test)]
#[path = "network/words.rs"]
mod words;

use std::time::Duration;

use freehold_node::host::network::{Netlink, NetworkConfig, features};
use freehold_node::host::{HostError, Network};
use freehold_types::Id;
use freehold_types::agent::{Segment, SegmentLink};
use serde_json::json;

use namespace::Namespace;
use words::{ID, ensure, refusal, segment, vxlan};

#[tokio::test]
async fn a_local_segment_is_a_quiet_bridge() {
    let space = Namespace::new();
    let netlink = space.netlink(None, None);
    let local = segment(SegmentLink::Local, &[]);
    ensure(&space, &netlink, &local).await;
    let bridge = space.link("br-blue");
    assert_eq!(bridge["ifalias"], json!(format!("freehold:{ID}")));
    assert_eq!(bridge["mtu"], json!(1400));
    assert_eq!(bridge["linkinfo"]["info_data"]["stp_state"], json!(0));
    assert_eq!(bridge["linkinfo"]["info_data"]["forward_delay"], json!(0));
    assert!(bridge["flags"].as_array().unwrap().contains(&json!("UP")));
    assert_eq!(space.addresses("br-blue"), Vec::<String>::new(), "not even a link-local address");

    // What drifts is brought back.
    space.ip("link set br-blue down mtu 1280 type bridge stp_state 1 forward_delay 1500");
    ensure(&space, &netlink, &local).await;
    let bridge = space.link("br-blue");
    assert_eq!(bridge["mtu"], json!(1400));
    assert_eq!(bridge["linkinfo"]["info_data"]["stp_state"], json!(0));

    netlink.remove_segment(ID, &local).await.unwrap();
    netlink.remove_segment(ID, &local).await.unwrap();
    assert_eq!(space.links(), Vec::<String>::new());
}

#[tokio::test]
async fn only_addresses_set_here_are_removed() {
    let space = Namespace::new();
    let netlink = space.netlink(None, None);
    ensure(&space, &netlink, &segment(SegmentLink::Local, &["10.0.0.1/24", "10.0.1.1/24"])).await;
    assert_eq!(space.addresses("br-blue"), ["10.0.0.1/24", "10.0.1.1/24"]);
    assert!(space.reaches(&space, "10.0.0.1"));
    space.ip("addr add 10.9.9.9/24 dev br-blue");
    ensure(&space, &netlink, &segment(SegmentLink::Local, &["10.0.1.1/24"])).await;
    assert_eq!(space.addresses("br-blue"), ["10.0.1.1/24", "10.9.9.9/24"]);
}

#[tokio::test]
async fn guests_reach_the_host_by_addresses_of_their_segment_only() {
    let (host, guest) = (Namespace::new(), Namespace::new());
    host.ip("link add eth0 type bridge");
    host.ip("addr add 192.0.2.1/24 dev eth0");
    host.ip("link set eth0 up");
    host.cable(&guest, "vnet0");
    for address in ["192.0.2.50/24", "10.0.0.50/24", "2001:db8::50/64"] {
        guest.ip(&format!("addr add {address} dev vnet0"));
    }
    guest.ip("link set vnet0 up");
    let netlink = host.netlink(None, None);
    let plug = || {
        host.ip("link set vnet0 master br-blue");
        host.ip("link set vnet0 up");
    };

    ensure(&host, &netlink, &segment(SegmentLink::Local, &[])).await;
    plug();
    assert!(!guest.reaches(&host, "192.0.2.1"), "the kernel answered for an address of another link");
    // Even one that does not ask for the hardware address gets no packet through.
    let address = host.link("br-blue")["address"].as_str().unwrap().to_owned();
    guest.ip(&format!("neigh replace 192.0.2.1 lladdr {address} dev vnet0"));
    assert!(!guest.delivers(&host, "192.0.2.1"));

    guest.ip("neigh del 192.0.2.1 dev vnet0");
    ensure(&host, &netlink, &segment(SegmentLink::Local, &["10.0.0.1/24"])).await;
    assert!(guest.reaches(&host, "10.0.0.1") && guest.delivers(&host, "10.0.0.1"));
    assert!(!guest.reaches(&host, "192.0.2.1"));
}

#[tokio::test]
async fn a_vxlan_segment_carries_packets_between_hosts() {
    let (left, right) = (Namespace::new(), Namespace::new());
    left.cable(&right, "eth0");
    for (space, address) in [(&left, "192.0.2.1/24"), (&right, "192.0.2.2/24")] {
        space.ip(&format!("addr add {address} dev eth0"));
        space.ip("link set eth0 up");
    }
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let (one, two) = (left.netlink(None, Some("192.0.2.1")), right.netlink(None, None));
    ensure(&left, &one, &segment(vxlan(&all), &["10.0.0.1/24"])).await;
    ensure(&right, &two, &segment(vxlan(&all), &["10.0.0.2/24"])).await;

    let port = left.link("vx4242");
    assert_eq!(port["linkinfo"]["info_data"]["id"], json!(4242));
    assert_eq!(port["linkinfo"]["info_data"]["port"], json!(4789));
    assert_eq!(port["linkinfo"]["info_data"]["local"], json!("192.0.2.1"));
    assert_eq!((&port["master"], &port["mtu"]), (&json!("br-blue"), &json!(1400)));
    assert_eq!(left.flood("vx4242"), ["192.0.2.2", "192.0.2.3"], "never to itself");
    assert_eq!(right.flood("vx4242"), ["192.0.2.1", "192.0.2.3"]);
    assert!(left.reaches(&right, "10.0.0.2") && right.reaches(&left, "10.0.0.1"));

    // Peers come and go without a new device.
    let index = port["ifindex"].clone();
    ensure(&left, &one, &segment(vxlan(&["192.0.2.2", "192.0.2.4"]), &["10.0.0.1/24"])).await;
    assert_eq!(left.flood("vx4242"), ["192.0.2.2", "192.0.2.4"]);
    assert_eq!(left.link("vx4242")["ifindex"], index);
    assert!(left.reaches(&right, "10.0.0.2"));
    ensure(&left, &one, &segment(vxlan(&[]), &["10.0.0.1/24"])).await;
    assert_eq!(left.flood("vx4242"), Vec::<String>::new());

    // A device that cannot be changed is made anew.
    let moved = left.netlink(None, Some("192.0.2.9"));
    ensure(&left, &moved, &segment(vxlan(&["192.0.2.2"]), &["10.0.0.1/24"])).await;
    assert_eq!(left.link("vx4242")["linkinfo"]["info_data"]["local"], json!("192.0.2.9"));

    one.remove_segment(ID, &segment(vxlan(&[]), &[])).await.unwrap();
    assert_eq!(left.links(), ["eth0"]);
}

#[tokio::test]
async fn vxlan_runs_over_ipv6_as_well() {
    let (left, right) = (Namespace::new(), Namespace::new());
    left.cable(&right, "eth0");
    for (space, address) in [(&left, "2001:db8::1/64"), (&right, "2001:db8::2/64")] {
        space.ip(&format!("addr add {address} dev eth0 nodad"));
        space.ip("link set eth0 up");
    }
    let all = ["2001:db8::1", "2001:db8::2"];
    let (one, two) = (left.netlink(None, None), right.netlink(None, Some("2001:db8::2")));
    ensure(&left, &one, &segment(vxlan(&all), &["10.0.0.1/24"])).await;
    ensure(&right, &two, &segment(vxlan(&all), &["10.0.0.2/24"])).await;
    assert_eq!(left.flood("vx4242"), ["2001:db8::2"]);
    assert!(left.reaches(&right, "10.0.0.2"));
    // The same segment over the other version needs another device.
    ensure(&left, &one, &segment(vxlan(&["192.0.2.2"]), &["10.0.0.1/24"])).await;
    assert_eq!(left.flood("vx4242"), ["192.0.2.2"]);
}

#[tokio::test]
async fn an_untagged_segment_takes_a_free_uplink_and_gives_it_back() {
    let (left, right) = (Namespace::new(), Namespace::new());
    left.cable(&right, "eth1");
    right.ip("addr add 10.0.0.2/24 dev eth1");
    right.ip("link set eth1 up");
    let netlink = left.netlink(Some("eth1"), None);
    let untagged = segment(SegmentLink::Untagged, &["10.0.0.1/24"]);
    ensure(&left, &netlink, &untagged).await;
    assert_eq!(left.link("eth1")["master"], json!("br-blue"));
    assert_eq!(left.link("eth1")["ifalias"], json!(null), "the uplink is not ours");
    assert!(left.reaches(&right, "10.0.0.2"));

    ensure(&left, &netlink, &segment(SegmentLink::Local, &[])).await;
    assert_eq!(left.link("eth1")["master"], json!(null));
    ensure(&left, &netlink, &untagged).await;
    netlink.remove_segment(ID, &untagged).await.unwrap();
    assert_eq!(left.links(), ["eth1"]);
    assert_eq!(left.link("eth1")["master"], json!(null));
}

#[tokio::test]
async fn an_uplink_that_carries_the_host_is_left_alone() {
    let (left, right) = (Namespace::new(), Namespace::new());
    left.cable(&right, "eth1");
    left.ip("addr add 192.0.2.1/24 dev eth1");
    left.ip("link set eth1 up");
    let before = left.snapshot();
    let netlink = left.netlink(Some("eth1"), None);
    let untagged = segment(SegmentLink::Untagged, &[]);
    let text = refusal(&netlink, &untagged).await;
    assert!(text.contains("192.0.2.1/24") && text.contains("br-blue"), "{text}");
    left.ip("addr flush dev eth1");
    left.ip("route add default dev eth1");
    let text = refusal(&netlink, &untagged).await;
    assert!(text.contains("default route"), "{text}");
    left.ip("route del default");
    left.ip("addr add 192.0.2.1/24 dev eth1");
    assert_eq!(left.snapshot(), before);

    // The remedy works: the operator's bridge is used as it is, and stays.
    left.ip("addr flush dev eth1");
    left.ip("link add br-blue type bridge stp_state 0");
    left.ip("link set eth1 master br-blue");
    left.ip("addr add 192.0.2.1/24 dev br-blue");
    let text = netlink.ensure_segment(ID, &untagged).await.unwrap_err().to_string();
    assert!(text.contains("is down"), "{text}");
    left.ip("link set br-blue up");
    let before = left.snapshot();
    netlink.ensure_segment(ID, &untagged).await.unwrap();
    netlink.remove_segment(ID, &untagged).await.unwrap();
    assert_eq!(left.snapshot(), before);
}

#[tokio::test]
async fn vlan_segments_work_or_say_which_module_is_missing() {
    let (left, right) = (Namespace::new(), Namespace::new());
    left.cable(&right, "eth1");
    right.ip("link set eth1 up");
    let netlink = left.netlink(Some("eth1"), None);
    let vlan = segment(SegmentLink::Vlan { tag: 100 }, &["10.0.0.1/24"]);
    if features().await.contains(&"vlan".to_owned()) {
        right.ip("link add eth1.100 link eth1 type vlan id 100");
        right.ip("addr add 10.0.0.2/24 dev eth1.100");
        right.ip("link set eth1.100 up");
        ensure(&left, &netlink, &vlan).await;
        assert!(left.reaches(&right, "10.0.0.2"));
        netlink.remove_segment(ID, &vlan).await.unwrap();
    } else {
        let text = refusal(&netlink, &vlan).await;
        assert!(text.contains("8021q") && text.contains("modprobe"), "{text}");
    }
    assert_eq!(left.links(), ["eth1"], "nothing is left half made");
    let text = refusal(&left.netlink(None, None), &vlan).await;
    assert!(text.contains("`uplink`"), "{text}");
    let error = left.netlink(Some("absent0"), None).ensure_segment(ID, &vlan).await.unwrap_err();
    assert!(matches!(&error, HostError::Failed(text) if text.contains("absent0")), "{error}");
}

#[tokio::test]
async fn what_others_made_is_neither_adopted_nor_removed() {
    let space = Namespace::new();
    let netlink = space.netlink(None, None);
    space.ip("link add vx4242 type vxlan id 4242 dstport 4789");
    let text = refusal(&netlink, &segment(vxlan(&[]), &[])).await;
    assert!(text.contains("vx4242 was not made by Freehold"), "{text}");
    netlink.remove_segment(ID, &segment(vxlan(&[]), &[])).await.unwrap();
    assert_eq!(space.links(), ["vx4242"]);

    space.ip("link set vx4242 name flannel");
    let text = refusal(&netlink, &segment(vxlan(&[]), &[])).await;
    assert!(text.contains("flannel has the same number"), "{text}");
    assert_eq!(space.links(), ["flannel"]);

    ensure(&space, &netlink, &segment(SegmentLink::Local, &[])).await;
    let other = netlink.ensure_segment(Id::from_u64(2), &segment(SegmentLink::Local, &[])).await.unwrap_err();
    assert!(matches!(&other, HostError::Refused(text) if text.contains(&ID.to_string())), "{other}");
    netlink.remove_segment(Id::from_u64(2), &segment(SegmentLink::Local, &[])).await.unwrap();
    assert_eq!(space.links(), ["br-blue", "flannel"]);
}

#[tokio::test]
async fn a_bridge_stays_while_machines_use_it() {
    let space = Namespace::new();
    let netlink = space.netlink(None, None);
    let local = segment(SegmentLink::Local, &[]);
    ensure(&space, &netlink, &local).await;
    let address = space.link("br-blue")["address"].clone();
    space.ip("tuntap add vnet0 mode tap");
    space.ip("link set vnet0 address 02:00:00:00:00:01 master br-blue");
    assert_eq!(space.link("br-blue")["address"], address, "guests remember the host's hardware address");
    ensure(&space, &netlink, &local).await;
    let error = netlink.remove_segment(ID, &local).await.unwrap_err();
    assert!(matches!(&error, HostError::Failed(text) if text.contains("vnet0")), "{error}");
    let renamed = Segment { bridge: "br-green".to_owned(), ..local };
    ensure(&space, &netlink, &renamed).await;
    assert_eq!(space.links(), ["br-blue", "br-green", "vnet0"]);
    space.ip("link del vnet0");
    ensure(&space, &netlink, &renamed).await;
    assert_eq!(space.links(), ["br-green"]);
}

#[tokio::test]
async fn any_segment_becomes_any_other() {
    let (space, other) = (Namespace::new(), Namespace::new());
    space.cable(&other, "eth1");
    let netlink = space.netlink(Some("eth1"), Some("192.0.2.1"));
    let number = |vni, peers: &[&str]| SegmentLink::Vxlan {
        vni,
        peers: peers.iter().map(|peer| peer.parse().unwrap()).collect(),
    };
    let links = [
        SegmentLink::Local,
        SegmentLink::Untagged,
        number(7, &["192.0.2.2"]),
        number(8, &["192.0.2.2", "192.0.2.3"]),
        number(8, &[]),
    ];
    let mut forms = Vec::new();
    for (index, link) in links.into_iter().enumerate() {
        let addresses: &[&str] = if index % 2 == 0 { &[] } else { &["10.0.0.1/24"] };
        let form = segment(link, addresses);
        forms.push(Segment { bridge: "br-green".to_owned(), mtu: 1300, ..form.clone() });
        forms.push(form);
    }
    for before in &forms {
        for after in &forms {
            netlink.ensure_segment(ID, before).await.unwrap();
            ensure(&space, &netlink, after).await;
            let vxlan =
                if let SegmentLink::Vxlan { vni, .. } = after.link { Some(format!("vx{vni}")) } else { None };
            let mut expected = vec![after.bridge.clone(), "eth1".to_owned()];
            expected.extend(vxlan);
            assert_eq!(space.links(), expected);
        }
    }
    netlink.remove_segment(ID, forms.last().unwrap()).await.unwrap();
    assert_eq!(space.links(), ["eth1"]);
    assert_eq!(space.link("eth1")["master"], json!(null));
}

#[tokio::test]
async fn a_call_that_is_dropped_anywhere_is_taken_up_again() {
    let space = Namespace::new();
    let netlink = space.netlink(None, Some("192.0.2.1"));
    let wanted = segment(vxlan(&["192.0.2.2"]), &["10.0.0.1/24"]);
    let mut finished = false;
    for micros in (0..).step_by(150) {
        let cut =
            tokio::time::timeout(Duration::from_micros(micros), netlink.ensure_segment(ID, &wanted)).await;
        finished |= cut.is_ok();
        netlink.ensure_segment(ID, &wanted).await.unwrap();
        assert_eq!(space.flood("vx4242"), ["192.0.2.2"]);
        assert_eq!(space.link("vx4242")["master"], json!("br-blue"));
        netlink.remove_segment(ID, &wanted).await.unwrap();
        assert_eq!(space.links(), Vec::<String>::new());
        if finished {
            break;
        }
    }
}

#[tokio::test]
async fn many_segments_are_made_at_once() {
    let space = Namespace::new();
    let netlink = space.netlink(None, Some("192.0.2.1"));
    let segments: Vec<(Id, Segment)> = (1..=20_u32)
        .map(|number| {
            let link = SegmentLink::Vxlan { vni: number, peers: vec!["192.0.2.2".parse().unwrap()] };
            (Id::from_u64(number.into()), Segment { bridge: format!("br{number}"), ..segment(link, &[]) })
        })
        .collect();
    let all = segments.iter().map(|(id, segment)| netlink.ensure_segment(*id, segment));
    for outcome in futures::future::join_all(all).await {
        outcome.unwrap();
    }
    assert_eq!(space.links().len(), 40);
    let all = segments.iter().map(|(id, segment)| netlink.remove_segment(*id, segment));
    for outcome in futures::future::join_all(all).await {
        outcome.unwrap();
    }
    assert_eq!(space.links(), Vec::<String>::new());
}

#[tokio::test]
async fn features_are_found_without_a_trace() {
    let before = std::fs::read_dir("/sys/class/net").unwrap().count();
    let found = features().await;
    assert!(found.contains(&"vxlan".to_owned()), "{found:?}");
    assert_eq!(found, features().await);
    assert_eq!(std::fs::read_dir("/sys/class/net").unwrap().count(), before);
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_told() {
    let netlink = Netlink::new(NetworkConfig {
        namespace: Some("/run/netns/fh-no-such-namespace".into()),
        ..NetworkConfig::default()
    });
    let error = netlink.ensure_segment(ID, &segment(SegmentLink::Local, &[])).await.unwrap_err();
    assert!(matches!(&error, HostError::Failed(text) if text.contains("fh-no-such-namespace")), "{error}");
}
