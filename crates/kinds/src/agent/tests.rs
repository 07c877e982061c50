use freehold_types::wire::Role;
use serde_json::json;

use super::*;
use crate::testing::World;
use crate::token::Token;

fn new_agent(world: &World, name: &str) -> Id {
    world.call("create_agent").body(json!({ "name": name, "type": "Kaktus" })).id()
}

#[test]
fn operators_make_and_change_agents() {
    let world = World::new();
    let body =
        world.call("create_agent").body(json!({ "name": "n1", "type": "Kiwi", "description": "edge" })).ok();
    let id: Id = body["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(body, json!({ "id": id, "name": "n1", "type": "Kiwi", "description": "edge" }));
    world.call("update_agent").to([id]).body(json!({ "name": "n2" })).ok();
    assert_eq!(world.call("read_agent").to([id]).ok()["name"], json!("n2"));
    // The type is sent back by clients; a real change is refused.
    world.call("update_agent").to([id]).body(json!({ "name": "n3", "type": "Kiwi" })).ok();
    world.call("update_agent").to([id]).body(json!({ "type": "Kaktus" })).refused(422);
    assert_eq!(world.get::<Agent>(id).spec.role, AgentType::Edge);
}

#[test]
fn an_agent_is_checked() {
    let world = World::new();
    let id = new_agent(&world, "n1");
    let create = |body| world.call("create_agent").body(body);
    create(json!({ "name": "", "type": "Kaktus" })).refused(400);
    create(json!({ "name": "x", "type": "Cactus" })).refused(400);
    create(json!({ "name": "x" })).refused(400);
    create(json!({ "name": "n1", "type": "Kaktus" })).refused(409);
    let other = new_agent(&world, "n2");
    world.call("update_agent").to([other]).body(json!({ "name": "n1" })).refused(409);
    world.call("update_agent").to([id]).body(json!({ "name": "n1" })).ok();
}

#[test]
fn agents_are_for_operators() {
    let world = World::new();
    let id = new_agent(&world, "n1");
    for role in [Role::User, Role::ProjectAdmin] {
        let account = world.user(&format!("{role:?}"), role);
        world.call("list_agents").by(account).refused(403);
        world.call("create_agent").by(account).body(json!({ "name": "x", "type": "Kaktus" })).refused(403);
        world.call("read_agent").by(account).to([id]).refused(403);
        world.call("update_agent").by(account).to([id]).body(json!({ "name": "x" })).refused(403);
        world.call("set_agent_api_token").by(account).to([id]).refused(403);
        world.call("delete_agent").by(account).to([id]).refused(403);
    }
    assert_eq!(world.call("list_agents").ids(), [id]);
}

#[test]
fn a_key_goes_to_the_administrator_or_stays_in_the_outbox() {
    let mut world = World::new();
    let id = new_agent(&world, "n1");
    let body = world.call("set_agent_api_token").to([id]).query("expirationDate=2027-06-01").ok();
    assert_eq!((&body["name"], &body["expire"]), (&json!("n1-api-key"), &json!(true)));
    let mail = world.last_mail();
    assert_eq!(mail.to, None);
    for part in ["n1", "Kaktus", "2027-06-01", &id.to_string()] {
        assert!(mail.text.expose().contains(part), "{part}");
    }
    world.environment.admin_email = Some("ops@example.org".to_owned());
    assert_eq!(world.call("set_agent_api_token").to([id]).ok()["id"], body["id"]);
    assert_eq!(world.last_mail().to.as_deref(), Some("ops@example.org"));
}

#[test]
fn an_agent_goes_with_its_key_once_nothing_names_it() {
    let world = World::new();
    let site = world.site("lab");
    world.call("set_agent_api_token").to([site.agent]).ok();
    let reason = world.call("delete_agent").to([site.agent]).refused(409);
    assert!(reason.contains("hypervisor `lab-a1`") && reason.contains("storage pool `main`"), "{reason}");
    assert_eq!(world.all::<Token>().len(), 1);

    let free = new_agent(&world, "n1");
    world.call("delete_agent").to([free]).ok();
    let keyed = new_agent(&world, "n1");
    world.call("set_agent_api_token").to([keyed]).ok();
    world.call("delete_agent").to([keyed]).ok();
    assert_eq!(world.all::<Token>().len(), 1);
    assert!(world.find::<Agent>(keyed).is_none());
}
