use freehold_types::size::GIB;
use freehold_types::wire::Role;
use serde_json::{Value, json};

use super::*;
use crate::testing::World;

fn project(world: &World, name: &str, domain: &str, region: Id) -> Id {
    let body = json!({ "name": name, "domain": domain, "teams": [], "regions": [region] });
    world.call("create_project").query("subnetSize=24").body(body).id()
}

fn create(world: &World, project: Id, name: &str, addresses: &Value) -> Result<Id, String> {
    let body = json!({ "name": name, "addresses": addresses });
    let answer = world.call("create_project_dns_record").to([project]).body(body).send();
    answer
        .map(|answer| answer.body["id"].as_str().unwrap().parse().unwrap())
        .map_err(|error| format!("{} {}", error.kind.status(), error.reason))
}

#[test]
fn a_record_is_made_read_changed_and_removed() {
    let world = World::new();
    let project = project(&world, "shop", "shop.example.org", world.site("eu").region);
    let id = create(&world, project, "www", &json!(["10.0.0.7", "2001:db8::7"])).unwrap();
    let shown = json!({
        "id": id, "name": "www", "domain": "shop.example.org", "addresses": ["10.0.0.7", "2001:db8::7"],
    });
    assert_eq!(world.call("read_dns_record").to([id]).ok(), shown);
    assert_eq!(world.call("list_project_dns_records").to([project]).ids(), [id]);
    assert_eq!(world.call("update_dns_record").to([id]).body(shown.clone()).ok(), shown);
    let renamed = json!({ "name": "web", "addresses": ["10.0.0.8"] });
    let renamed = world.call("update_dns_record").to([id]).body(renamed).ok();
    assert_eq!((&renamed["name"], &renamed["addresses"]), (&json!("web"), &json!(["10.0.0.8"])));
    assert!(world.call("delete_project").to([project]).refused(409).contains("web"));
    world.call("delete_dns_record").to([id]).ok();
    world.call("read_dns_record").to([id]).refused(404);
    world.call("delete_project").to([project]).ok();
}

#[test]
fn a_record_is_checked() {
    let world = World::new();
    let region = world.site("eu").region;
    let project = project(&world, "shop", "shop.example.org", region);
    let refused = |name: &str, addresses: Value| create(&world, project, name, &addresses).unwrap_err();
    assert!(refused("", json!(["10.0.0.7"])).starts_with("400"));
    assert!(refused("www", json!([])).starts_with("400"));
    for bad in ["a b", "-a", "a..b", "*", &"a".repeat(64)] {
        assert!(refused(bad, json!(["10.0.0.7"])).starts_with("422"), "{bad}");
    }
    assert!(refused(&vec!["a".repeat(60); 4].join("."), json!(["10.0.0.7"])).contains("253"));
    assert!(refused("www", json!(["10.0.0"])).contains("`10.0.0`"));
    assert!(refused("www", json!(["10.0.0.7", "10.0.0.7"])).contains("twice"));
    assert!(refused("www", json!(vec!["10.0.0.7"; 65])).contains("64"));
    let without = world.project("bare", [], []);
    assert!(create(&world, without, "www", &json!(["10.0.0.7"])).unwrap_err().contains("no DNS domain"));
    create(&world, project, "@", &json!(["10.0.0.7"])).unwrap();
    create(&world, project, "a.b", &json!(["10.0.0.7"])).unwrap();
}

#[test]
fn a_name_of_a_domain_is_given_once() {
    let world = World::new();
    let site = world.site("eu");
    let shop = project(&world, "shop", "example.org", site.region);
    let www = create(&world, shop, "www", &json!(["10.0.0.7"])).unwrap();
    assert!(create(&world, shop, "WWW", &json!(["10.0.0.8"])).unwrap_err().starts_with("409"));
    let body = json!({ "name": "db", "vcpus": 1, "memory": GIB, "disk": 4 * GIB });
    world.call("create_project_zone_kompute").to([shop, site.zone]).body(body).ok();
    assert!(create(&world, shop, "db", &json!(["10.0.0.8"])).unwrap_err().contains("instance `db`"));
    world.call("update_dns_record").to([www]).body(json!({ "name": "db" })).refused(409);
    let body = json!({ "name": "www", "vcpus": 1, "memory": GIB, "disk": 4 * GIB });
    let reason = world.call("create_project_zone_kompute").to([shop, site.zone]).body(body).refused(409);
    assert!(reason.contains("DNS record"), "{reason}");
    // Regions and projects may share a domain.
    world.call("update_region").to([site.region]).body(json!({ "domain": "example.org" })).ok();
    let body = json!({ "name": "www", "addresses": ["10.0.0.9"] });
    let reason = world.call("create_region_dns_record").to([site.region]).body(body).refused(409);
    assert!(reason.contains("`www` in example.org"), "{reason}");
}

#[test]
fn records_of_a_region_are_for_operators() {
    let world = World::new();
    let region = world.site("eu").region;
    let body = || json!({ "name": "ntp", "addresses": ["10.0.0.7"] });
    let id = world.call("create_region_dns_record").to([region]).body(body()).id();
    assert_eq!(world.call("list_region_dns_records").to([region]).ids(), [id]);
    assert!(world.call("delete_region").to([region]).refused(409).contains("in use"));
    let account = world.user("ann", Role::ProjectAdmin);
    world.call("list_region_dns_records").by(account).to([region]).refused(403);
    world.call("create_region_dns_record").by(account).to([region]).body(body()).refused(403);
    world.call("read_dns_record").by(account).to([id]).refused(404);
    world.call("update_dns_record").by(account).to([id]).body(json!({ "name": "x" })).refused(404);
    world.call("delete_dns_record").by(account).to([id]).refused(404);
}

#[test]
fn records_of_a_project_are_its_members() {
    let world = World::new();
    let region = world.site("eu").region;
    let (ann, bob) = (world.user("ann", Role::User), world.user("bob", Role::User));
    let team = world.team("shop", [ann]);
    let body = json!({ "name": "shop", "domain": "example.org", "teams": [team], "regions": [region] });
    let project = world.call("create_project").query("subnetSize=24").body(body).id();
    let body = || json!({ "name": "www", "addresses": ["10.0.0.7"] });
    world.call("create_project_dns_record").by(bob).to([project]).body(body()).refused(404);
    let id = world.call("create_project_dns_record").by(ann).to([project]).body(body()).id();
    world.call("read_dns_record").by(bob).to([id]).refused(404);
    world.call("delete_dns_record").by(ann).to([id]).ok();
}
