//! Tests of what a subnet may be, and of the election of addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use freehold_types::net::Range;
use freehold_types::wire::{IpRange, SubnetApplication};
use freehold_types::{ErrorKind, Id};
use ipnet::Ipv4Net;
use proptest::prelude::*;

use super::addresses::{lowest_free, usable};
use super::{Subnet, spec};

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
