//! Tests of what a network may be, and of the operations.

use std::collections::BTreeSet;

use freehold_types::size::GIB;
use freehold_types::{ErrorKind, Id};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Network, spec};
use crate::testing::World;

#[test]
fn bridges_have_names_that_linux_takes() {
    for good in ["br0", "br-public.100", "a", "_x", "fifteen-bytes-x"] {
        assert!(spec::check_interface(good).is_ok(), "{good}");
    }
    for bad in [
        ".",
        "..",
        "lo",
        "all",
        "default",
        "-x",
        "a/b",
        "a b",
        "a:b",
        "a%d",
        "br\u{e4}",
        "sixteen-bytes-xx",
        "a\n",
        "a@b",
    ] {
        assert_eq!(spec::check_interface(bad).unwrap_err().kind, ErrorKind::Invalid, "{bad}");
    }
    assert_eq!(spec::check_interface("").unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn tags_are_those_of_the_standard() {
    assert!(spec::check_vlan(0).is_ok() && spec::check_vlan(4_094).is_ok());
    assert!(spec::check_vlan(4_095).is_err() && spec::check_vlan(u16::MAX).is_err());
}

#[test]
fn identifiers_run_out_with_an_answer() {
    assert_eq!(spec::free_vni(|_| true).unwrap_err().kind, ErrorKind::NoRoom);
}

proptest! {
    #[test]
    fn the_lowest_free_identifier_is_taken(taken in proptest::collection::btree_set(4_090_u32..4_120, 0..30)) {
        let vni = spec::free_vni(|vni| taken.contains(&vni)).unwrap();
        let below: BTreeSet<u32> = (4_096..vni).collect();
        prop_assert!(vni >= 4_096 && !taken.contains(&vni) && below.is_subset(&taken));
    }

    #[test]
    fn a_name_that_is_taken_fits_the_kernel(name in "[ -~]{0,20}") {
        if spec::check_interface(&name).is_ok() {
            prop_assert!((1..=15).contains(&name.len()) && !name.contains(['/', ':', ' ', '%']));
        }
    }
}

fn region(world: &World, name: &str) -> Id {
    world.call("create_region").body(json!({ "name": name, "domain": "example.org" })).id()
}

#[test]
fn a_network_is_private_and_untagged_unless_it_says_otherwise() {
    let world = World::new();
    let region = region(&world, "eu");
    let made = world
        .call("create_region_v_net")
        .to([region])
        .body(json!({ "name": "lan", "interface": "br0" }))
        .ok();
    assert_eq!((&made["vlan"], &made["private"]), (&json!(0), &json!(true)));
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.call("read_v_net").to([id]).ok(), made);
    assert_eq!(world.call("list_region_v_nets").to([region]).ids(), [id]);
    assert_eq!(world.call("update_v_net").to([id]).body(made.clone()).ok(), made);
}

#[test]
fn bridges_tags_and_names_of_a_region_are_apart() {
    let world = World::new();
    let (eu, us) = (region(&world, "eu"), region(&world, "us"));
    let create = |region: Id, name: &str, interface: &str, vlan: u16| {
        let body = json!({ "name": name, "interface": interface, "vlan": vlan });
        world.call("create_region_v_net").to([region]).body(body)
    };
    create(eu, "a", "br0", 7).ok();
    assert!(create(eu, "a", "br1", 8).refused(409).contains("`a`"));
    assert!(create(eu, "b", "br0", 8).refused(409).contains("`br0`"));
    assert!(create(eu, "b", "br1", 7).refused(409).contains("tag 7"));
    create(us, "a", "br0", 7).ok();
    // Untagged private ones are segments of their own.
    let c = create(eu, "c", "br2", 0).id();
    let d = create(eu, "d", "br3", 0).id();
    assert_ne!(world.get::<Network>(c).spec.vni, world.get::<Network>(d).spec.vni);
    assert!(world.call("update_v_net").to([c]).body(json!({ "vlan": 7 })).refused(409).contains("tag 7"));
    assert!(
        world.call("update_v_net").to([c]).body(json!({ "interface": "br3" })).refused(409).contains("`br3`")
    );
    world.call("update_v_net").to([c]).body(json!({ "interface": "br4", "vlan": 9 })).ok();
    create(eu, "e", "br2", 0).ok();
}

#[test]
fn the_identifier_of_a_removed_network_is_used_again() {
    let world = World::new();
    let region = region(&world, "eu");
    let create = |name: &str| {
        let body = json!({ "name": name, "interface": format!("br-{name}") });
        world.call("create_region_v_net").to([region]).body(body).id()
    };
    let vnis = |ids: &[Id]| ids.iter().map(|id| world.get::<Network>(*id).spec.vni).collect::<Vec<_>>();
    let ids = [create("a"), create("b")];
    assert_eq!(vnis(&ids), [4_096, 4_097]);
    world.call("delete_v_net").to([ids[0]]).ok();
    world.converge();
    assert!(world.find::<Network>(ids[0]).is_none());
    assert_eq!(vnis(&[create("c")]), [4_096]);
}

#[test]
fn odd_networks_are_refused() {
    let world = World::new();
    let region = region(&world, "eu");
    let refused =
        |status: u16, body: Value| world.call("create_region_v_net").to([region]).body(body).refused(status);
    refused(422, json!({ "name": "a", "interface": "br 0" }));
    refused(422, json!({ "name": "a", "interface": "br0", "vlan": 4_095 }));
    refused(400, json!({ "name": "a", "interface": "" }));
    refused(400, json!({ "name": "", "interface": "br0" }));
    refused(400, json!({ "name": "a", "interface": "br0", "vlan": -1 }));
    refused(400, json!({ "name": "a" }));
}

#[test]
fn the_bridge_of_machines_stays() {
    let world = World::new();
    let site = world.site("eu");
    let project = world.project("shop", [], [site.region]);
    let body = json!({ "name": "web", "vcpus": 1, "memory": GIB, "disk": 4 * GIB });
    let compute = world.call("create_project_zone_kompute").to([project, site.zone]).body(body).id();
    world.converge();
    let update = |change: Value| world.call("update_v_net").to([site.private_network]).body(change);
    assert!(update(json!({ "interface": "br9" })).refused(409).contains("1 hosts"));
    assert!(update(json!({ "vlan": 9 })).refused(409).contains("in use"));
    update(json!({ "name": "renamed", "interface": "br-private", "vlan": 0 })).ok();
    world.call("delete_kompute").to([compute]).ok();
    world.converge();
    update(json!({ "interface": "br9", "vlan": 9 })).ok();
}

#[test]
fn a_network_goes_after_its_subnets() {
    let world = World::new();
    let site = world.site("eu");
    let reason = world.call("delete_v_net").to([site.private_network]).refused(409);
    assert!(reason.contains("subnet `private`"), "{reason}");
    world.call("set_v_net_default_subnet").to([site.private_network, site.public_subnet]).refused(404);
    world.call("delete_subnet").to([site.private_subnet]).ok();
    world.call("delete_v_net").to([site.private_network]).ok();
    let late = json!({ "name": "late", "cidr": "10.3.0.0/24", "gateway": "10.3.0.1" });
    assert!(
        world
            .call("create_v_net_subnet")
            .to([site.private_network])
            .body(late)
            .refused(409)
            .contains("removed")
    );
    world.converge();
    assert!(world.find::<Network>(site.private_network).is_none());
}
