use freehold_types::agent::State;
use serde_json::{Value, json};

use super::*;
use crate::testing::World;

fn backend(world: &World, region: Id, fs: &str) -> Id {
    let body = json!({ "name": fs, "endpoint": "nfs.example.org", "fs": fs, "backends": ["n1"] });
    world.call("create_region_storage_nfs").to([region]).body(body).id()
}

fn on(world: &World, agent: Id) -> Option<node::Share> {
    world.desired(agent).into_iter().find_map(|desired| match desired.state {
        State::Present(Specification::Share(share)) => Some(share),
        State::Present(_) | State::Absent(_) => None,
    })
}

fn id(value: &Value) -> Id {
    value["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_share_is_made_read_changed_and_removed() {
    let world = World::new();
    let site = world.site("eu");
    let project = world.project("shop", [], [site.region]);
    let create = |body: Value| world.call("create_project_region_kylo").to([project, site.region]).body(body);
    assert!(create(json!({ "name": "photos" })).refused(404).contains("no file backend"));
    let files = backend(&world, site.region, "dir:/srv/shares");
    let made = create(json!({ "name": "photos" })).ok();
    assert_eq!((&made["endpoint"], &made["access"]), (&json!("10.1.0.10:/photos"), &json!("RW")));
    assert_eq!((&made["size"], &made["protocols"]), (&json!(0), &json!([])));
    let share = id(&made);
    world.converge();
    assert_eq!(world.call("read_kylo").to([share]).ok()["size"], json!(4_096));
    for (list, places) in [
        ("list_project_region_kylos", vec![project, site.region]),
        ("list_storage_nfs_kylos", vec![files]),
        ("list_kylos", Vec::new()),
    ] {
        let call = world.call(list);
        let ids = match places.as_slice() {
            [one, two] => call.to([*one, *two]).ids(),
            [one] => call.to([*one]).ids(),
            _ => call.ids(),
        };
        assert_eq!(ids, [share], "{list}");
    }
    let placed = on(&world, site.agent).unwrap();
    assert!(placed.writable && placed.clients == ["10.1.0.0/24".parse().unwrap()]);
    assert_eq!(placed.store, ShareStore::Directory { path: "/srv/shares".to_owned() });
    let update = |change: Value| world.call("update_kylo").to([share]).body(change);
    let read_only = update(json!({ "access": "RO", "protocols": [4], "description": "old" })).ok();
    assert_eq!((&read_only["access"], &read_only["protocols"]), (&json!("RO"), &json!([4])));
    assert!(!on(&world, site.agent).unwrap().writable);
    assert_eq!(update(read_only.clone()).ok(), read_only);
    assert!(update(json!({ "name": "pictures" })).refused(422).contains("mount"));
    assert!(world.call("delete_storage_nfs").to([files]).refused(409).contains("photos"));
    let moved = json!({ "fs": "dir:/elsewhere" });
    assert!(world.call("update_storage_nfs").to([files]).body(moved).refused(409).contains("photos"));
    world.call("delete_kylo").to([share]).ok();
    world.converge();
    world.call("read_kylo").to([share]).refused(404);
    world.call("delete_project").to([project]).ok();
}

#[test]
fn a_share_is_checked() {
    let world = World::new();
    let site = world.site("eu");
    let project = world.project("shop", [], [site.region]);
    backend(&world, site.region, "dir:/srv/shares");
    let create = |body: Value| world.call("create_project_region_kylo").to([project, site.region]).body(body);
    create(json!({ "name": "a b" })).refused(422);
    create(json!({ "name": "photos", "access": "WO" })).refused(400);
    assert!(create(json!({ "name": "photos", "protocols": [2] })).refused(400).contains('2'));
    assert!(create(json!({ "name": "photos", "protocols": [4, 4] })).refused(422).contains("twice"));
    let far = backend(&world, world.site("us").region, "dir:/srv/shares");
    let call = create(json!({ "name": "photos" })).query(&format!("nfsId={far}"));
    call.refused(404);
    create(json!({ "name": "photos" })).ok();
    create(json!({ "name": "PHOTOS" })).refused(409);
}
