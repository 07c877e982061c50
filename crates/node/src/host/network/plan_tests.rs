use proptest::prelude::*;

use freehold_types::Id;
use freehold_types::agent::{Segment, SegmentLink};

use super::super::world::Held;
use super::super::{NetworkConfig, advice};
use super::*;

const ME: &str = "192.0.2.1";

fn config() -> NetworkConfig {
    NetworkConfig { uplink: Some("eth1".to_owned()), address: Some(ME.parse().unwrap()), namespace: None }
}

fn segment(link: SegmentLink, addresses: &[&str]) -> Segment {
    Segment {
        name: "blue".to_owned(),
        bridge: "br-blue".to_owned(),
        mtu: 1400,
        link,
        host_addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

fn desired(segment: &Segment) -> Desired {
    Desired::new(Id::from_u64(1), segment, &config()).unwrap()
}

fn vxlan(peers: &[&str]) -> SegmentLink {
    SegmentLink::Vxlan { vni: 7, peers: peers.iter().map(|peer| peer.parse().unwrap()).collect() }
}

fn held(address: &str, ours: bool) -> Held {
    Held { address: address.parse().unwrap(), ours }
}

fn foreign(kind: Kind, mtu: u32) -> Link {
    Link { mark: Mark::Foreign, up: true, ..Link::fresh(kind, mtu) }
}

/// A host with the interface that holds its address, and an uplink.
fn host() -> World {
    let mut world = World::default();
    let main = Link {
        addresses: vec![held("192.0.2.1/24", false)],
        default_route: true,
        ..foreign(Kind::Other, 1500)
    };
    let uplink = Link { addresses: vec![held("fe80::1/64", false)], ..foreign(Kind::Other, 1500) };
    world.links.insert("eth0".to_owned(), main);
    world.links.insert("eth1".to_owned(), Link { up: false, ..uplink });
    world
}

/// What the kernel makes of the changes.
fn apply(world: &mut World, segment: Id, changes: &[Change]) {
    for change in changes {
        let mut edit = |link: &String, act: &dyn Fn(&mut Link)| act(world.links.get_mut(link).expect(link));
        match change.clone() {
            Change::Delete { link } => {
                world.links.remove(&link).expect("only what is there is deleted");
                for other in world.links.values_mut().filter(|other| other.master.as_ref() == Some(&link)) {
                    other.master = None;
                }
            }
            Change::AddBridge { link, mtu } => {
                let made = Link::fresh(Kind::Bridge { plain: true }, mtu);
                assert_eq!(world.links.insert(link, made), None);
            }
            Change::AddVlan { link, uplink, tag, mtu } => {
                assert!(world.get(&uplink).is_some_and(|uplink| uplink.mtu >= mtu));
                let made = Link::fresh(Kind::Vlan { uplink: Some(uplink), tag }, mtu);
                assert_eq!(world.links.insert(link, made), None);
            }
            Change::AddVxlan { link, vni, local, mtu } => {
                let local = Some(local).filter(|local| !local.is_unspecified());
                let made = Link::fresh(Kind::Vxlan { vni, port: VXLAN_PORT, local, learning: true }, mtu);
                assert_eq!(world.links.insert(link, made), None);
            }
            Change::Mark { link } => edit(&link, &|link| link.mark = Mark::Of(segment)),
            Change::MakePlain { link } => edit(&link, &|link| link.kind = Kind::Bridge { plain: true }),
            Change::SetMtu { link, mtu } => edit(&link, &|link| link.mtu = mtu),
            Change::Turn { link, switch, to } => {
                edit(&link, &|link| assert_ne!(link.switches.insert(switch, to), Some(to)));
            }
            Change::Join { link, bridge } => {
                assert!(world.get(&bridge).is_some());
                world.links.get_mut(&link).unwrap().master = Some(bridge);
            }
            Change::Release { link } => edit(&link, &|link| link.master = None),
            Change::SetUp { link } => edit(&link, &|link| link.up = true),
            Change::AddAddress { link, address } => {
                edit(&link, &|link| link.addresses.push(Held { address: address.into(), ours: true }));
            }
            Change::RemoveAddress { link, address } => {
                edit(&link, &|link| link.addresses.retain(|held| held.address != address));
            }
            Change::AddFlood { link, peer } => edit(&link, &|link| assert!(link.flood.insert(peer))),
            Change::RemoveFlood { link, peer } => edit(&link, &|link| assert!(link.flood.remove(&peer))),
        }
    }
}

/// Brings the segment about, sees that nothing is left to do, and tells what was done.
fn converge(world: &mut World, segment: &Segment) -> Vec<Change> {
    let desired = desired(segment);
    let changes = ensure(&desired, world).unwrap();
    apply(world, desired.segment, &changes);
    assert_eq!(ensure(&desired, world).unwrap(), []);
    changes
}

fn refusal(segment: &Segment, world: &World) -> String {
    match ensure(&desired(segment), world) {
        Err(HostError::Refused(text)) => text,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_vxlan_segment_is_made_in_order() {
    let mut world = host();
    let changes = converge(&mut world, &segment(vxlan(&["192.0.2.2", "192.0.2.1"]), &["10.0.0.1/24"]));
    insta::assert_debug_snapshot!(changes);
}

#[test]
fn a_vlan_segment_is_made_in_order() {
    let mut world = host();
    let changes = converge(&mut world, &segment(SegmentLink::Vlan { tag: 100 }, &[]));
    insta::assert_debug_snapshot!(changes);
}

#[test]
fn an_uplink_joins_before_it_rises() {
    let mut world = host();
    let changes = converge(&mut world, &segment(SegmentLink::Untagged, &[]));
    let place = |wanted: &Change| changes.iter().position(|change| change == wanted).unwrap();
    let join = Change::Join { link: "eth1".to_owned(), bridge: "br-blue".to_owned() };
    assert!(place(&join) < place(&Change::SetUp { link: "eth1".to_owned() }));
    // And is given back.
    converge(&mut world, &segment(SegmentLink::Local, &[]));
    assert_eq!(world.get("eth1").unwrap().master, None);
}

#[test]
fn an_uplink_in_use_is_refused_with_the_remedy() {
    let untagged = segment(SegmentLink::Untagged, &[]);
    let mut world = host();
    world.links.get_mut("eth1").unwrap().addresses.push(held("10.1.1.1/24", false));
    assert!(refusal(&untagged, &world).contains("carries the address 10.1.1.1/24"));
    let mut world = host();
    world.links.get_mut("eth1").unwrap().default_route = true;
    assert!(refusal(&untagged, &world).contains("default route"));
    let mut world = host();
    world.links.get_mut("eth1").unwrap().master = Some("br0".to_owned());
    assert!(refusal(&untagged, &world).contains("port of br0"));
    let mut world = host();
    world.links.get_mut("eth1").unwrap().mtu = 1280;
    assert!(refusal(&untagged, &world).contains("MTU"));
    world.links.remove("eth1");
    assert!(matches!(ensure(&desired(&untagged), &world), Err(HostError::Failed(_))));
}

#[test]
fn a_bridge_of_the_operator_is_used_as_it_is_or_refused() {
    let bridge =
        Link { addresses: vec![held("10.0.0.1/24", false)], ..foreign(Kind::Bridge { plain: false }, 1500) };
    let mut world = host();
    world.links.insert("br-blue".to_owned(), bridge);
    for link in [SegmentLink::Local, SegmentLink::Untagged, SegmentLink::Vlan { tag: 5 }] {
        let segment = segment(link, &["10.0.0.1/24"]);
        assert_eq!(ensure(&desired(&segment), &world).unwrap(), []);
        let gone = Desired::for_removal(Id::from_u64(1), &segment, &config());
        assert_eq!(remove(&gone, &world).unwrap(), []);
    }
    assert!(refusal(&segment(vxlan(&[]), &[]), &world).contains("adds no VXLAN port"));
    assert!(refusal(&segment(SegmentLink::Local, &["10.0.9.1/24"]), &world).contains("lacks the address"));
    world.links.get_mut("br-blue").unwrap().mtu = 1280;
    assert!(refusal(&segment(SegmentLink::Local, &[]), &world).contains("MTU"));
}

#[test]
fn what_belongs_to_others_is_never_taken_over() {
    let other = Mark::Of(Id::from_u64(2));
    let mut world = host();
    let bridge = Link { mark: other, ..Link::fresh(Kind::Bridge { plain: true }, 1400) };
    world.links.insert("br-blue".to_owned(), bridge);
    assert!(refusal(&segment(SegmentLink::Local, &[]), &world).contains("belongs to segment"));
    let mut world = host();
    world.links.insert("br-blue".to_owned(), foreign(Kind::Other, 1500));
    assert!(refusal(&segment(SegmentLink::Local, &[]), &world).contains("is no bridge"));
    let mut world = host();
    world.links.insert(
        "eth1.100".to_owned(),
        foreign(Kind::Vlan { uplink: Some("eth1".to_owned()), tag: 100 }, 1500),
    );
    assert!(
        refusal(&segment(SegmentLink::Vlan { tag: 100 }, &[]), &world)
            .contains("eth1.100 was not made by Freehold")
    );
    let mut world = host();
    let twin = Kind::Vxlan { vni: 7, port: VXLAN_PORT, local: None, learning: true };
    world.links.insert("flannel".to_owned(), foreign(twin, 1500));
    assert!(refusal(&segment(vxlan(&[]), &[]), &world).contains("flannel has the same number"));
}

#[test]
fn machines_hold_their_bridge() {
    let mut world = host();
    let before = segment(vxlan(&["192.0.2.2"]), &[]);
    converge(&mut world, &before);
    let tap = Link { master: Some("br-blue".to_owned()), ..foreign(Kind::Other, 1400) };
    world.links.insert("vnet0".to_owned(), tap);
    let gone = Desired::for_removal(Id::from_u64(1), &before, &config());
    assert!(matches!(remove(&gone, &world), Err(HostError::Failed(text)) if text.contains("vnet0")));

    // With a new name, the old bridge stays until the machine has moved.
    let renamed = Segment { bridge: "br-new".to_owned(), ..before };
    let changes = ensure(&desired(&renamed), &world).unwrap();
    apply(&mut world, Id::from_u64(1), &changes);
    assert!(world.get("br-blue").is_some());
    assert_eq!(world.get("vx7").unwrap().master.as_deref(), Some("br-new"));
    world.links.remove("vnet0");
    converge(&mut world, &renamed);
    assert_eq!(world.get("br-blue"), None);
}

#[test]
fn addresses_of_others_stay() {
    let mut world = host();
    converge(&mut world, &segment(SegmentLink::Local, &["10.0.0.1/24", "10.0.1.1/24"]));
    world.links.get_mut("br-blue").unwrap().addresses.push(held("10.9.9.9/24", false));
    converge(&mut world, &segment(SegmentLink::Local, &["10.0.1.1/24"]));
    let left: Vec<String> =
        world.get("br-blue").unwrap().addresses.iter().map(|held| held.address.to_string()).collect();
    assert_eq!(left, ["10.0.1.1/24", "10.9.9.9/24"]);
}

#[test]
fn what_was_cut_off_is_taken_up_again() {
    let mut world = host();
    let wanted = segment(vxlan(&["192.0.2.2"]), &["10.0.0.1/24"]);
    let all = ensure(&desired(&wanted), &world).unwrap();
    for length in 0..=all.len() {
        let mut world = world.clone();
        apply(&mut world, Id::from_u64(1), &all[..length]);
        converge(&mut world, &wanted);
        // Removal works from any point as well.
        let mut world = host();
        apply(&mut world, Id::from_u64(1), &all[..length]);
        let gone = Desired::for_removal(Id::from_u64(1), &wanted, &config());
        let changes = remove(&gone, &world).unwrap();
        apply(&mut world, Id::from_u64(1), &changes);
        assert_eq!(world, host());
    }
    converge(&mut world, &wanted);
}

#[test]
fn what_would_surprise_is_warned_of() {
    let narrow = desired(&segment(vxlan(&["192.0.2.2"]), &[]));
    assert_eq!(advice::of(&narrow, &host()), Vec::<String>::new());
    let wide = desired(&Segment { mtu: 1500, ..segment(vxlan(&["192.0.2.2"]), &[]) });
    let text = advice::of(&wide, &host()).join("; ");
    assert!(text.contains("eth0") && text.contains("1550"), "{text}");
    let filtered = World { filters_bridges: true, ..host() };
    let text = advice::of(&narrow, &filtered).join("; ");
    assert!(text.contains("bridge-nf-call-iptables=0"), "{text}");
}

fn links() -> impl Strategy<Value = SegmentLink> {
    let peers = proptest::collection::btree_set(1_u8..6, 0..5);
    prop_oneof![
        Just(SegmentLink::Local),
        Just(SegmentLink::Untagged),
        (1_u16..4).prop_map(|tag| SegmentLink::Vlan { tag }),
        (1_u32..4, peers).prop_map(|(vni, peers)| SegmentLink::Vxlan {
            vni,
            peers: peers.into_iter().map(|last| IpAddr::from([192, 0, 2, last])).collect(),
        }),
    ]
}

fn segments() -> impl Strategy<Value = Segment> {
    let addresses = proptest::collection::btree_set(1_u8..5, 0..4);
    (links(), addresses, prop_oneof![Just("br-a"), Just("br-b")], 1280_u32..1500).prop_map(
        |(link, addresses, bridge, mtu)| Segment {
            name: "any".to_owned(),
            bridge: bridge.to_owned(),
            mtu,
            link,
            host_addresses: addresses
                .into_iter()
                .map(|net| format!("10.0.{net}.1/24").parse().unwrap())
                .collect(),
        },
    )
}

proptest! {
    #[test]
    fn any_segment_becomes_any_other_and_leaves_nothing(row in proptest::collection::vec(segments(), 1..5)) {
        let mut world = host();
        for segment in &row {
            converge(&mut world, segment);
            let bridge = world.get(&segment.bridge).unwrap();
            prop_assert!(bridge.up && bridge.switches[&Switch::DisableIpv6] == 1 && bridge.mtu == segment.mtu);
            prop_assert_eq!(bridge.addresses.len(), segment.host_addresses.len());
            let made = desired(segment);
            let joined = made.port.made().and_then(|port| world.get(port));
            prop_assert_eq!(joined.is_some(), made.port.made().is_some());
            if let Some(port) = joined {
                prop_assert!(port.up);
                prop_assert_eq!(port.master.as_ref(), Some(&segment.bridge));
            }
            if let Port::Vxlan { name, peers, .. } = &made.port {
                prop_assert!(world.get(name).unwrap().flood.is_subset(peers));
                prop_assert!(!world.get(name).unwrap().flood.contains(&ME.parse::<IpAddr>().unwrap()));
            }
            let ours = world.links.values().filter(|link| link.mark != Mark::Foreign).count();
            prop_assert_eq!(ours, 1 + usize::from(made.port.made().is_some()));
        }
        let last = Desired::for_removal(Id::from_u64(1), row.last().unwrap(), &config());
        let changes = remove(&last, &world).unwrap();
        apply(&mut world, Id::from_u64(1), &changes);
        prop_assert_eq!(remove(&last, &world).unwrap(), []);
        for (name, link) in &host().links {
            let left = world.get(name).unwrap();
            prop_assert_eq!((&left.kind, &left.addresses, &left.master), (&link.kind, &link.addresses, &link.master));
        }
        prop_assert_eq!(world.links.len(), 2);
    }

    #[test]
    fn two_segments_do_not_disturb_each_other(first in segments(), second in links()) {
        let mut world = host();
        converge(&mut world, &first);
        let other = Segment { bridge: "br-other".to_owned(), link: second, ..first.clone() };
        let other = Desired::new(Id::from_u64(2), &other, &config()).unwrap();
        if let Ok(changes) = ensure(&other, &world) {
            apply(&mut world, other.segment, &changes);
        }
        prop_assert_eq!(ensure(&desired(&first), &world).unwrap(), []);
    }
}
