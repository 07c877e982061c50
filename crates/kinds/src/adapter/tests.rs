//! Tests of the operations on adapters.

use std::collections::BTreeSet;

use freehold_types::net::Mac;
use freehold_types::size::GIB;
use freehold_types::wire::Role;
use freehold_types::{Id, wire};
use serde_json::{Value, json};

use super::{Adapter, generate_mac};
use crate::testing::{Request, Site, World};

const MAC: &str = "02:00:00:00:00:01";

/// A site with a project `shop` that has the private subnet to itself, and a member of it.
struct Shop {
    world: World,
    site: Site,
    project: Id,
    member: Id,
}

impl Shop {
    fn new() -> Self {
        let world = World::new();
        let site = world.site("eu");
        let member = world.user("ann", Role::User);
        let team = world.team("team", [member]);
        let project = world.project("shop", [team], [site.region]);
        Self { world, site, project, member }
    }

    /// A request for an adapter in the project's subnet.
    fn create(&self, name: &str, fields: &Value) -> Request<'_> {
        self.create_in(self.site.private_subnet, name, fields)
    }

    fn create_in(&self, subnet: Id, name: &str, fields: &Value) -> Request<'_> {
        let mut body = json!({ "name": name });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.world.call("create_subnet_adapter").to([subnet]).body(body)
    }

    fn update(&self, adapter: Id, change: Value) -> Request<'_> {
        self.world.call("update_adapter").to([adapter]).body(change)
    }

    /// A machine of the project with a public address; its public and private adapter.
    fn machine(&self) -> (Id, [Id; 2]) {
        let body = json!({ "name": "web", "vcpus": 1, "memory": GIB, "disk": 4 * GIB });
        let call = self.world.call("create_project_zone_kompute").query("public=true");
        let compute = call.to([self.project, self.site.zone]).body(body).id();
        self.world.converge();
        let spec = self.world.get::<crate::compute::Compute>(compute).spec;
        (compute, [spec.public_adapter.unwrap(), spec.private_adapter])
    }
}

#[test]
fn addresses_come_back_in_the_order_given() {
    let shop = Shop::new();
    let given = json!({
        "description": "two", "mac": MAC, "addresses": ["10.1.0.90", "10.1.0.20"], "reserved": false,
    });
    let made = shop.create("nic", &given).ok();
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(made["addresses"], given["addresses"]);
    assert_eq!(shop.world.call("read_adapter").to([id]).ok(), made);
    assert_eq!(shop.update(id, made.clone()).ok(), made);
    let turned = shop.update(id, json!({ "addresses": ["10.1.0.20", "10.1.0.90"] })).ok();
    assert_eq!(turned["addresses"], json!(["10.1.0.20", "10.1.0.90"]));
}

#[test]
fn addresses_are_assigned_on_demand_only() {
    let shop = Shop::new();
    assert_eq!(shop.create("a", &json!({})).ok()["addresses"], json!([]));
    // The pool of the zones' gateways ends at .9.
    assert_eq!(shop.create("b", &json!({})).query("assignIP=true").ok()["addresses"], json!(["10.1.0.10"]));
    let given = json!({ "addresses": ["10.1.0.77"] });
    assert_eq!(shop.create("c", &given).query("assignIP=true").ok()["addresses"], given["addresses"]);
}

#[test]
fn addresses_that_no_adapter_can_have_are_refused() {
    let shop = Shop::new();
    for (address, why) in [
        ("10.1.0.0", "first or last"),
        ("10.1.0.255", "first or last"),
        ("10.1.0.1", "the gateway"),
        ("10.1.0.5", "gateway pool"),
        ("10.2.0.5", "not inside"),
        ("fd00::1", "not an IPv4 address"),
        ("", "not an IPv4 address"),
    ] {
        let reason = shop.create("nic", &json!({ "addresses": [address] })).refused(422);
        assert!(reason.contains(why), "{address}: {reason}");
    }
    let reason = shop.create("nic", &json!({ "addresses": ["10.1.0.50", "10.1.0.50"] })).refused(422);
    assert!(reason.contains("twice"), "{reason}");
}

#[test]
fn an_address_has_one_holder() {
    let shop = Shop::new();
    let one = json!({ "addresses": ["10.1.0.50"] });
    let first = shop.create("one", &one).id();
    let reason = shop.create("two", &one).refused(409);
    assert!(reason.contains("`one`"), "{reason}");
    let second = shop.create("two", &json!({ "addresses": ["10.1.0.51"] })).id();
    shop.update(second, one.clone()).refused(409);
    shop.update(first, json!({ "addresses": [] })).ok();
    shop.update(second, one).ok();
}

#[test]
fn what_an_adapter_has_stays_good() {
    let shop = Shop::new();
    let made = shop.create("nic", &json!({ "addresses": ["10.1.0.50"] })).ok();
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    let reserved = json!({ "reserved": [{ "first": "10.1.0.40", "last": "10.1.0.60" }] });
    shop.world.call("update_subnet").to([shop.site.private_subnet]).body(reserved).ok();
    shop.update(id, made).ok();
    shop.update(id, json!({ "addresses": ["10.1.0.50", "10.1.0.51"] })).refused(422);
}

#[test]
fn hardware_addresses_are_apart_unless_reserved() {
    let shop = Shop::new();
    let (private, public) = (shop.site.private_subnet, shop.site.public_subnet);
    let (mac, router) = (json!({ "mac": MAC }), json!({ "mac": "02:00:00:00:00:02", "reserved": true }));
    shop.create_in(private, "one", &mac).ok();
    let reason = shop.create_in(public, "two", &mac).refused(409);
    assert!(reason.contains("`one`"), "{reason}");
    shop.create_in(private, "router", &router).ok();
    shop.create_in(public, "router", &router).ok();
    // One segment cannot have it twice, whoever is a router.
    shop.create_in(public, "again", &router).refused(409);
    shop.create_in(public, "again", &json!({ "mac": "02:00:00:00:00:02" })).refused(409);
    for bad in ["x", "01:00:5e:00:00:01", "02:00:00:00:00"] {
        assert!(shop.create("odd", &json!({ "mac": bad })).refused(422).contains("`mac`"), "{bad}");
    }
    assert_eq!(
        shop.create("dashes", &json!({ "mac": "02-00-00-00-00-AA" })).ok()["mac"],
        "02:00:00:00:00:aa"
    );
}

#[test]
fn generated_hardware_addresses_are_ours_and_new() {
    let shop = Shop::new();
    let snapshot = shop.world.snapshot();
    let mut taken: Vec<Mac> = Vec::new();
    for _ in 0..500 {
        let mac = generate_mac(&snapshot, &taken);
        taken.push(mac);
    }
    assert!(taken.iter().all(|mac| mac.to_string().starts_with("da:1e:70:")));
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), taken.len());
    let made: wire::Adapter = serde_json::from_value(shop.create("nic", &json!({ "mac": "" })).ok()).unwrap();
    assert!(made.mac.unwrap().starts_with("da:1e:70:"));
}

#[test]
fn members_have_adapters_in_their_own_subnet() {
    let shop = Shop::new();
    let (world, member) = (&shop.world, shop.member);
    let adapter = shop.create("nic", &json!({})).by(member).id();
    assert_eq!(world.get::<Adapter>(adapter).spec.project, Some(shop.project));
    assert_eq!(world.call("list_adapters").by(member).ids(), [adapter]);
    shop.update(adapter, json!({ "addresses": ["10.1.0.33"] })).by(member).ok();
    shop.update(adapter, json!({ "reserved": true })).by(member).refused(403);
    shop.create("router", &json!({ "reserved": true })).by(member).refused(403);
    let reason = shop.create_in(shop.site.public_subnet, "nic", &json!({})).by(member).refused(403);
    assert!(reason.contains("`public`"), "{reason}");
    let operators = shop.create_in(shop.site.public_subnet, "ours", &json!({})).id();
    world.call("read_adapter").to([operators]).by(member).refused(404);
    let stranger = world.user("bob", Role::ProjectAdmin);
    world.call("read_adapter").to([adapter]).by(stranger).refused(404);
    shop.create("nic2", &json!({})).by(stranger).refused(404);
    world.call("delete_adapter").to([adapter]).by(member).ok();
}

#[test]
fn a_member_cannot_take_public_addresses() {
    let shop = Shop::new();
    let (_, [public, private]) = shop.machine();
    let member = shop.member;
    shop.world.call("read_adapter").to([public]).by(member).ok();
    shop.update(public, json!({ "addresses": ["192.0.2.200"] })).by(member).refused(403);
    shop.update(public, json!({ "addresses": ["192.0.2.200"] })).ok();
    shop.update(private, json!({ "addresses": ["10.1.0.200"] })).by(member).ok();
}

#[test]
fn an_adapter_of_a_machine_stays() {
    let shop = Shop::new();
    let (compute, adapters) = shop.machine();
    for adapter in adapters {
        let reason = shop.world.call("delete_adapter").to([adapter]).refused(409);
        assert!(reason.contains(&compute.to_string()) && reason.contains("delete that instead"), "{reason}");
    }
    shop.world.call("delete_kompute").to([compute]).ok();
    shop.world.converge();
    assert!(shop.world.all::<Adapter>().is_empty());
}

#[test]
fn names_of_a_subnet_are_apart() {
    let shop = Shop::new();
    shop.create("nic", &json!({})).ok();
    shop.create("nic", &json!({})).refused(409);
    shop.create("", &json!({})).refused(400);
    shop.create_in(shop.site.public_subnet, "nic", &json!({})).ok();
    let other = shop.create("other", &json!({})).id();
    shop.update(other, json!({ "name": "nic" })).refused(409);
}
