use freehold_types::wire::Role;
use serde_json::json;

use super::*;
use crate::testing::World;

fn agent(world: &World, name: &str, role: &str) -> Id {
    world.call("create_agent").body(json!({ "name": name, "type": role })).id()
}

#[test]
fn an_edge_is_made_read_changed_and_removed() {
    let world = World::new();
    let region = world.site("eu").region;
    let (one, two) = (agent(&world, "e1", "Kiwi"), agent(&world, "e2", "Kiwi"));
    let body = json!({ "name": "north", "description": "rack 1", "agents": [one] });
    let made = world.call("create_region_kiwi").to([region]).body(body).ok();
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(made, json!({ "id": id, "name": "north", "description": "rack 1", "agents": [one] }));
    assert_eq!(world.call("read_kiwi").to([id]).ok(), made);
    assert_eq!(world.call("list_kiwis").ids(), [id]);
    assert_eq!(world.call("list_region_kiwis").to([region]).ids(), [id]);
    // Clients send the whole object back.
    assert_eq!(world.call("update_kiwi").to([id]).body(made.clone()).ok(), made);
    let changed = world.call("update_kiwi").to([id]).body(json!({ "agents": [two, one] })).ok();
    assert_eq!(changed["agents"], json!([two, one]));
    assert!(world.call("delete_agent").to([one]).refused(409).contains("north"));
    world.call("delete_kiwi").to([id]).ok();
    world.call("read_kiwi").to([id]).refused(404);
    world.call("delete_agent").to([one]).ok();
}

#[test]
fn an_edge_is_checked() {
    let world = World::new();
    let region = world.site("eu").region;
    let (kiwi, kaktus) = (agent(&world, "e1", "Kiwi"), agent(&world, "h1", "Kaktus"));
    let create = |body| world.call("create_region_kiwi").to([region]).body(body);
    create(json!({ "name": "" })).refused(400);
    assert!(create(json!({ "name": "a", "agents": [kaktus] })).refused(422).contains("type Kiwi"));
    assert!(create(json!({ "name": "a", "agents": [kiwi, kiwi] })).refused(422).contains("twice"));
    create(json!({ "name": "a", "agents": [region] })).refused(404);
    create(json!({ "name": "a", "agents": [kiwi] })).ok();
    assert!(create(json!({ "name": "a" })).refused(409).contains("`a`"));
    assert!(create(json!({ "name": "b", "agents": [kiwi] })).refused(409).contains("`a`"));
}

#[test]
fn edges_are_for_operators() {
    let world = World::new();
    let region = world.site("eu").region;
    let id = world.call("create_region_kiwi").to([region]).body(json!({ "name": "a" })).id();
    for role in [Role::User, Role::ProjectAdmin] {
        let account = world.user(&format!("{role:?}"), role);
        world.call("list_kiwis").by(account).refused(403);
        world.call("list_region_kiwis").by(account).to([region]).refused(403);
        world.call("create_region_kiwi").by(account).to([region]).body(json!({ "name": "x" })).refused(403);
        world.call("read_kiwi").by(account).to([id]).refused(403);
        world.call("update_kiwi").by(account).to([id]).body(json!({ "name": "x" })).refused(403);
        world.call("delete_kiwi").by(account).to([id]).refused(403);
    }
}
