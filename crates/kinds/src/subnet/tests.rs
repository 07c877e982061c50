//! Tests of what a subnet may be, of the election of addresses, and of the operations.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use freehold_types::net::Range;
use freehold_types::wire::{IpRange, SubnetApplication};
use freehold_types::{ErrorKind, Id};
use freehold_web::query::Query;
use ipnet::Ipv4Net;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::addresses::{lowest_free, usable};
use super::{Subnet, elect_address, ip_claim, spec};
use crate::access::Caller;
use crate::network::Network;
use crate::route::{Call, Memo};
use crate::testing::World;

fn range(first: &str, last: &str) -> Range {
    Range { first: first.parse().unwrap(), last: last.parse().unwrap() }
}

fn subnet(cidr: &str) -> Subnet {
    let cidr: Ipv4Net = cidr.parse().unwrap();
    Subnet {
        network: Id::from_u64(1),
        name: "main".to_owned(),
        description: None,
        cidr,
        gateway: Ipv4Addr::from(u32::from(cidr.network()) + 1),
        dns: None,
        extra_routes: Vec::new(),
        reserved: Vec::new(),
        gateway_pool: Vec::new(),
        application: SubnetApplication::User,
        project: None,
    }
}

#[test]
fn ranges_are_private_exactly_where_the_network_is() {
    for private in ["10.0.0.0/24", "172.16.0.0/12", "172.31.255.0/30", "192.168.0.0/16", "10.0.0.0/8"] {
        assert!(spec::cidr(private, true).is_ok(), "{private}");
        assert_eq!(spec::cidr(private, false).unwrap_err().kind, ErrorKind::Invalid, "{private}");
    }
    for public in ["203.0.113.0/24", "100.64.0.0/10", "172.32.0.0/16", "11.0.0.0/8"] {
        assert!(spec::cidr(public, false).is_ok(), "{public}");
        assert!(spec::cidr(public, true).is_err(), "{public}");
    }
    for neither in ["172.0.0.0/8", "192.0.0.0/8"] {
        assert!(spec::cidr(neither, true).is_err() && spec::cidr(neither, false).is_err(), "{neither}");
    }
}

#[test]
fn odd_ranges_are_refused_whatever_the_network() {
    for bad in [
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/31",
        "10.0.0.0/7",
        "10.0.0/24",
        "fd00::/64",
        " 10.0.0.0/24",
        "127.0.0.0/8",
        "224.0.0.0/8",
        "240.0.0.0/8",
        "0.0.0.0/8",
        "169.254.0.0/24",
        "10.0.0.0/024",
    ] {
        assert!(spec::cidr(bad, true).is_err() && spec::cidr(bad, false).is_err(), "{bad}");
    }
    let reason = spec::cidr("10.0.0.5/24", true).unwrap_err().reason;
    assert!(reason.contains("10.0.0.0/24"), "{reason}");
}

#[test]
fn the_gateway_is_a_host_of_the_range() {
    for (gateway, is_good) in [
        ("10.0.0.1", true),
        ("10.0.0.254", true),
        ("10.0.0.0", false),
        ("10.0.0.255", false),
        ("10.0.1.1", false),
    ] {
        let spec = Subnet { gateway: gateway.parse().unwrap(), ..subnet("10.0.0.0/24") };
        assert_eq!(spec::check(&spec).is_ok(), is_good, "{gateway}");
    }
}

#[test]
fn ranges_with_two_empty_ends_are_none() {
    let read = |first: &str, last: &str| {
        spec::ranges("reserved", &[IpRange { first: first.to_owned(), last: last.to_owned() }])
    };
    assert_eq!(read("", "").unwrap(), []);
    assert_eq!(read("10.0.0.2", "10.0.0.2").unwrap(), [range("10.0.0.2", "10.0.0.2")]);
    for (first, last) in [("", "10.0.0.2"), ("10.0.0.2", ""), ("10.0.0.3", "10.0.0.2"), ("x", "10.0.0.2")] {
        assert_eq!(read(first, last).unwrap_err().kind, ErrorKind::Invalid, "{first}-{last}");
    }
}

#[test]
fn the_gateway_pool_is_apart_from_all_else() {
    let refused = |reserved: Vec<Range>, gateway_pool: Vec<Range>| {
        spec::check(&Subnet { reserved, gateway_pool, ..subnet("10.0.0.0/24") }).is_err()
    };
    let pool = range("10.0.0.10", "10.0.0.20");
    assert!(!refused(vec![range("10.0.0.1", "10.0.0.9")], vec![pool]));
    assert!(refused(vec![range("10.0.0.20", "10.0.0.30")], vec![pool]), "reserved");
    assert!(refused(vec![], vec![pool, range("10.0.0.15", "10.0.0.15")]), "itself");
    assert!(refused(vec![], vec![range("10.0.0.1", "10.0.0.5")]), "the gateway");
    assert!(refused(vec![], vec![range("10.0.0.250", "10.0.0.255")]), "the broadcast address");
    assert!(refused(vec![], vec![range("10.0.0.250", "10.0.1.5")]), "outside");
    assert!(refused(vec![range("10.0.1.0", "10.0.1.5")], vec![]), "reserved outside");
}

#[test]
fn each_zone_needs_an_address_of_the_pool() {
    assert!(spec::check_gateway_count(&[], 3).is_ok());
    assert!(spec::check_gateway_count(&[range("10.0.0.2", "10.0.0.3")], 2).is_ok());
    assert!(
        spec::check_gateway_count(&[range("10.0.0.2", "10.0.0.2"), range("10.0.0.9", "10.0.0.9")], 2).is_ok()
    );
    assert!(spec::check_gateway_count(&[range("10.0.0.2", "10.0.0.3")], 3).is_err());
}

#[test]
fn a_nearly_full_large_subnet_is_searched_at_once() {
    let reserved = vec![range("10.0.0.0", "10.0.255.0")];
    let spec = Subnet { reserved, gateway: "10.0.255.254".parse().unwrap(), ..subnet("10.0.0.0/16") };
    let mut asked = 0;
    let elected = lowest_free(&spec, |_| {
        asked += 1;
        asked <= 200
    });
    assert_eq!(elected, Ok("10.0.255.201".parse().unwrap()));
    assert_eq!(asked, 201);
}

/// A subnet of up to 64 addresses with any ranges in it, and which of its addresses are taken.
fn any_subnet() -> impl Strategy<Value = (Subnet, BTreeSet<Ipv4Addr>)> {
    (26_u8..=30).prop_flat_map(|length| {
        let size = 1_u32 << (32 - length);
        let base = u32::from(Ipv4Addr::new(10, 0, 0, 64));
        let address = move |offset: u32| Ipv4Addr::from(base + offset);
        let range = (0..size, 0..size).prop_map(move |(one, other)| Range {
            first: address(one.min(other)),
            last: address(one.max(other)),
        });
        let ranges = || proptest::collection::vec(range.clone(), 0..3);
        let taken = proptest::collection::btree_set((0..size).prop_map(address), 0..size as usize);
        (1..size - 1, ranges(), ranges(), taken).prop_map(move |(gateway, reserved, gateway_pool, taken)| {
            let cidr = format!("10.0.0.64/{length}");
            (Subnet { gateway: address(gateway), reserved, gateway_pool, ..subnet(&cidr) }, taken)
        })
    })
}

/// The addresses that machines can have, the slow way.
fn usable_by_rule(spec: &Subnet) -> Vec<Ipv4Addr> {
    let is_excluded = |address: Ipv4Addr| {
        address == spec.gateway
            || address == spec.cidr.network()
            || address == spec.cidr.broadcast()
            || spec.reserved.iter().chain(&spec.gateway_pool).any(|range| range.contains(address))
    };
    let all = Range { first: spec.cidr.network(), last: spec.cidr.broadcast() };
    all.addresses().filter(|address| !is_excluded(*address)).collect()
}

proptest! {
    #[test]
    fn the_usable_addresses_are_those_of_the_rule((spec, _) in any_subnet()) {
        let ranges = usable(&spec);
        let listed: Vec<Ipv4Addr> = ranges.iter().flat_map(|range| range.addresses()).collect();
        prop_assert_eq!(listed, usable_by_rule(&spec));
    }

    #[test]
    fn the_lowest_free_address_is_elected((spec, taken) in any_subnet()) {
        let rule = usable_by_rule(&spec);
        let expected = rule.iter().copied().find(|address| !taken.contains(address)).ok_or(rule.len() as u64);
        prop_assert_eq!(lowest_free(&spec, |address| taken.contains(&address)), expected);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,24}|[0-9./]{0,24}") {
        let range = IpRange { first: text.clone(), last: text.clone() };
        let _ = (spec::cidr(&text, true), spec::address("gateway", &text), spec::ranges("reserved", &[range]));
    }

    #[test]
    fn a_range_that_is_taken_comes_back_unchanged(bits in any::<u32>(), length in 0_u8..=32) {
        let text = Ipv4Net::new(Ipv4Addr::from(bits), length).unwrap().trunc().to_string();
        prop_assert_eq!(spec::network("extra_routes", &text).unwrap().to_string(), text);
    }
}

/// A private network of a new region, without subnets.
fn network(world: &World) -> Id {
    let region = world.call("create_region").body(json!({ "name": "eu", "domain": "example.org" })).id();
    for zone in ["a", "b"] {
        world.call("create_region_zone").to([region]).body(json!({ "name": zone })).id();
    }
    world.call("create_region_v_net").to([region]).body(json!({ "name": "lan", "interface": "br0" })).id()
}

fn body(name: &str, prefix: &str) -> Value {
    json!({ "name": name, "cidr": format!("{prefix}.0/24"), "gateway": format!("{prefix}.1") })
}

/// The body with other fields.
fn with(mut body: Value, fields: &Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn what_was_given_comes_back_in_its_order() {
    let world = World::new();
    let network = network(&world);
    let given = json!({
        "name": "main", "description": "ours", "cidr": "10.0.0.0/24", "gateway": "10.0.0.254", "dns": "9.9.9.9",
        "extra_routes": ["172.16.0.0/12", "10.8.0.0/16"],
        "reserved": [{ "first": "10.0.0.9", "last": "10.0.0.12" }, { "first": "10.0.0.5", "last": "10.0.0.5" }],
        "gw_pool": [{ "first": "10.0.0.252", "last": "10.0.0.253" }],
        "application": "ceph",
    });
    let mut made = world.call("create_v_net_subnet").to([network]).body(given.clone()).ok();
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.call("read_subnet").to([id]).ok(), made);
    // Clients send the whole object back.
    assert_eq!(world.call("update_subnet").to([id]).body(made.clone()).ok(), made);
    made.as_object_mut().unwrap().remove("id");
    assert_eq!(made, given);
    assert_eq!(world.call("list_v_net_subnets").to([network]).ids(), [id]);
}

#[test]
fn the_resolver_is_the_gateway_unless_given() {
    let world = World::new();
    let network = network(&world);
    let id = world.call("create_v_net_subnet").to([network]).body(body("a", "10.0.0")).id();
    let update = |change: Value| world.call("update_subnet").to([id]).body(change).ok()["dns"].clone();
    assert_eq!(update(json!({ "gateway": "10.0.0.3" })), "10.0.0.3");
    assert_eq!(update(json!({ "dns": "9.9.9.9" })), "9.9.9.9");
    assert_eq!(update(json!({ "gateway": "10.0.0.4" })), "9.9.9.9");
    assert_eq!(update(json!({ "dns": "" })), "10.0.0.4");
}

#[test]
fn the_first_subnet_is_the_default_until_another_is() {
    let world = World::new();
    let network = network(&world);
    let ids: Vec<Id> = ["10.0.0", "10.0.1", "10.0.2"]
        .map(|prefix| world.call("create_v_net_subnet").to([network]).body(body(prefix, prefix)).id())
        .into();
    let default = || world.get::<Network>(network).spec.default_subnet;
    assert_eq!(default(), Some(ids[0]));
    world.call("set_v_net_default_subnet").to([network, ids[2]]).ok();
    assert_eq!(default(), Some(ids[2]));
    world.call("delete_subnet").to([ids[2]]).ok();
    assert_eq!(default(), Some(ids[0]));
    world.call("delete_subnet").to([ids[0]]).ok();
    world.call("delete_subnet").to([ids[1]]).ok();
    assert_eq!(default(), None);
    assert_eq!(
        world.call("create_v_net_subnet").to([network]).body(body("d", "10.0.3")).id(),
        default().unwrap()
    );
}

#[test]
fn subnets_of_a_network_are_apart() {
    let world = World::new();
    let network = network(&world);
    let id = world.call("create_v_net_subnet").to([network]).body(body("a", "10.0.0")).id();
    let create = |body: Value| world.call("create_v_net_subnet").to([network]).body(body);
    let wider = with(body("b", "10.0.0"), &json!({ "cidr": "10.0.0.0/16" }));
    assert!(create(wider).refused(422).contains("10.0.0.0/24"));
    assert!(create(body("b", "10.0.0")).refused(422).contains("overlaps"));
    assert!(create(body("a", "10.0.1")).refused(409).contains(&id.to_string()));
    let other = world.call("create_region").body(json!({ "name": "us", "domain": "example.org" })).id();
    let other =
        world.call("create_region_v_net").to([other]).body(json!({ "name": "x", "interface": "br0" })).id();
    world.call("create_v_net_subnet").to([other]).body(body("a", "10.0.0")).ok();
}

#[test]
fn two_subnets_cannot_be_made_at_once() {
    let world = World::new();
    let network = network(&world);
    world.call("create_v_net_subnet").to([network]).body(body("a", "10.0.0")).ok();
    let snapshot = world.snapshot();
    let row = super::ROWS.iter().find(|row| row.operation == "create_v_net_subnet").unwrap();
    let planned = (row.handler)(&Call {
        snapshot: &snapshot,
        caller: &Caller::master(),
        ids: &[network],
        query: &Query::default(),
        body: body("b", "10.0.1").to_string().as_bytes(),
        now: world.now,
        environment: &world.environment,
        memo: &Memo::default(),
    })
    .unwrap();
    world.call("create_v_net_subnet").to([network]).body(body("c", "10.0.1")).ok();
    assert!(world.try_commit(planned.transaction).is_err());
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let world = World::new();
    let network = network(&world);
    let given = with(
        body("a", "10.0.0"),
        &json!({
            "extra_routes": ["10.9.0.0/16"],
            "reserved": [{ "first": "10.0.0.2", "last": "10.0.0.4" }],
            "gw_pool": [{ "first": "10.0.0.5", "last": "10.0.0.6" }],
        }),
    );
    let made = world.call("create_v_net_subnet").to([network]).body(given).ok();
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    let update = |change: Value| world.call("update_subnet").to([id]).body(change);
    assert_eq!(update(json!({ "name": "b" })).ok(), with(made.clone(), &json!({ "name": "b" })));
    let cleared = update(json!({ "extra_routes": [], "reserved": [], "gw_pool": [] })).ok();
    assert_eq!(
        (&cleared["extra_routes"], &cleared["reserved"], &cleared["gw_pool"]),
        (&json!([]), &json!([]), &json!([]))
    );
    assert!(update(json!({ "cidr": "10.0.0.0/25" })).refused(422).contains("fixed at creation"));
    assert!(update(json!({ "gateway": "10.0.1.1" })).refused(422).contains("`gateway`"));
    let pool = json!({ "gw_pool": [{ "first": "10.0.0.9", "last": "10.0.0.9" }] });
    assert!(update(pool).refused(422).contains("2 zones"));
}

#[test]
fn a_pool_that_a_new_zone_made_too_small_hinders_no_other_change() {
    let world = World::new();
    let network = network(&world);
    let pool = json!({ "gw_pool": [{ "first": "10.0.0.5", "last": "10.0.0.6" }] });
    let made = world.call("create_v_net_subnet").to([network]).body(with(body("a", "10.0.0"), &pool)).ok();
    let region = world.get::<Network>(network).spec.region;
    world.call("create_region_zone").to([region]).body(json!({ "name": "c" })).ok();
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    world.call("update_subnet").to([id]).body(with(made, &json!({ "description": "x" }))).ok();
}

#[test]
fn the_address_of_an_adapter_cannot_become_the_gateway() {
    let world = World::new();
    let network = network(&world);
    let id = world.call("create_v_net_subnet").to([network]).body(body("a", "10.0.0")).id();
    let adapter = json!({ "name": "nic", "addresses": ["10.0.0.7"] });
    world.call("create_subnet_adapter").to([id]).body(adapter).ok();
    let reason = world.call("update_subnet").to([id]).body(json!({ "gateway": "10.0.0.7" })).refused(409);
    assert!(reason.contains("`nic`"), "{reason}");
    // Reserving around it is fine; and the old gateway is free for others once there is a new one.
    let reserved =
        json!({ "gateway": "10.0.0.3", "reserved": [{ "first": "10.0.0.2", "last": "10.0.0.9" }] });
    world.call("update_subnet").to([id]).body(reserved).ok();
    assert!(world.snapshot().claim(&ip_claim(id, "10.0.0.1".parse().unwrap())).is_none());
    assert!(world.call("delete_subnet").to([id]).refused(409).contains("`nic`"));
}

#[test]
fn an_elected_address_is_held_by_nobody() {
    let world = World::new();
    let network = network(&world);
    let small = json!({ "name": "a", "cidr": "10.0.0.0/29", "gateway": "10.0.0.2" });
    let id = world.call("create_v_net_subnet").to([network]).body(small).id();
    let addresses: Vec<Value> = (0..5)
        .map(|n| {
            let adapter = json!({ "name": format!("nic{n}") });
            world.call("create_subnet_adapter").to([id]).query("assignIP=true").body(adapter).ok()["addresses"].clone()
        })
        .collect();
    let expected: Vec<Value> = [1, 3, 4, 5, 6].map(|last| json!([format!("10.0.0.{last}")])).into();
    assert_eq!(addresses, expected);
    let adapter = json!({ "name": "last" });
    let reason =
        world.call("create_subnet_adapter").to([id]).query("assignIP=true").body(adapter).refused(422);
    assert!(reason.contains("`a`") && reason.contains("all 5"), "{reason}");
}

#[test]
fn addresses_given_away_in_a_transaction_are_not_given_twice() {
    let world = World::new();
    let network = network(&world);
    let id = world.call("create_v_net_subnet").to([network]).body(body("a", "10.0.0")).id();
    let subnet = world.get::<Subnet>(id);
    let mut taken = Vec::new();
    for _ in 0..3 {
        let address = elect_address(&subnet, &world.snapshot(), &taken).unwrap();
        taken.push(address);
    }
    assert_eq!(taken, [2, 3, 4].map(|last| Ipv4Addr::new(10, 0, 0, last)));
}

#[test]
fn members_know_public_subnets_and_their_own() {
    let world = World::new();
    let site = world.site("eu");
    let hidden = world.call("create_v_net_subnet").to([site.private_network]).body(body("b", "10.2.0")).id();
    let user = world.user("ann", freehold_types::wire::Role::User);
    let team = world.team("team", [user]);
    let list = || world.call("list_subnets").by(user).ids();
    assert_eq!(list(), [site.public_subnet]);
    let project = world.project("shop", [team], [site.region]);
    assert_eq!(list(), [site.private_subnet, site.public_subnet]);
    world.call("read_subnet").to([hidden]).by(user).refused(404);
    world.call("update_subnet").to([site.private_subnet]).by(user).body(json!({})).refused(403);
    // It is the project's, even without adapters.
    assert!(
        world.call("delete_subnet").to([site.private_subnet]).refused(409).contains(&project.to_string())
    );
}
