use freehold_types::wire::Role;
use freehold_types::{Id, wire};
use serde_json::json;

use super::*;
use crate::testing::World;

#[test]
fn operators_make_and_change_teams() {
    let world = World::new();
    let (bob, eve) = (world.user("bob", Role::User), world.user("eve", Role::User));
    let body = world.call("create_team").body(json!({ "name": "crew", "users": [bob] })).ok();
    let team: wire::Team = serde_json::from_value(body.clone()).unwrap();
    assert_eq!((team.name.as_str(), team.users.as_slice()), ("crew", &[bob][..]));
    let id: Id = body["id"].as_str().unwrap().parse().unwrap();

    let change = json!({ "name": "band", "description": "loud", "users": [eve, bob] });
    world.call("update_team").to([id]).body(change).ok();
    let spec = world.get::<Team>(id).spec;
    let expected =
        Team { name: "band".to_owned(), description: Some("loud".to_owned()), users: vec![eve, bob] };
    assert_eq!(spec, expected);
    world.call("update_team").to([id]).body(json!({ "description": "" })).ok();
    let spec = world.get::<Team>(id).spec;
    assert_eq!((spec.description, spec.users.len()), (None, 2), "what is absent stays");
}

#[test]
fn a_team_is_checked() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    let team = world.team("crew", [bob]);
    let nobody = Id::from_u64(7);
    let create = |body| world.call("create_team").body(body);
    create(json!({ "name": "", "users": [] })).refused(400);
    create(json!({ "name": "x" })).refused(400);
    create(json!({ "name": "x", "users": ["nobody"] })).refused(400);
    create(json!({ "name": "x", "users": [nobody] })).refused(404);
    create(json!({ "name": "x", "users": [bob, bob] })).refused(422);
    create(json!({ "name": "crew", "users": [] })).refused(409);
    let update = |body| world.call("update_team").to([team]).body(body);
    update(json!({ "users": [nobody] })).refused(404);
    update(json!({ "users": [bob, bob] })).refused(422);
    world.team("band", []);
    update(json!({ "name": "band" })).refused(409);
    assert_eq!(world.get::<Team>(team).spec.users, [bob]);
}

#[test]
fn members_see_their_teams_and_nobody_joins_alone() {
    let world = World::new();
    let (bob, lead) = (world.user("bob", Role::User), world.user("lead", Role::ProjectAdmin));
    let (crew, band) = (world.team("crew", [bob]), world.team("band", [lead]));
    assert_eq!(world.call("list_teams").by(bob).ids(), [crew]);
    assert_eq!(world.call("list_teams").by(lead).ids(), [band]);
    assert_eq!(world.call("list_teams").ids(), [crew, band]);
    world.call("read_team").by(bob).to([crew]).ok();
    world.call("read_team").by(bob).to([band]).refused(404);
    for account in [bob, lead] {
        world.call("create_team").by(account).body(json!({ "name": "x", "users": [account] })).refused(403);
        for team in [crew, band] {
            world.call("update_team").by(account).to([team]).body(json!({ "users": [account] })).refused(403);
            world.call("delete_team").by(account).to([team]).refused(403);
        }
    }
    world.call("list_teams").by_nobody().refused(401);
}

#[test]
fn a_team_in_use_stays() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    let team = world.team("crew", [bob]);
    assert!(world.call("delete_team").to([team]).refused(409).contains("members (1)"));
    world.call("update_team").to([team]).body(json!({ "users": [] })).ok();
    let project = world.project("lab", [team], []);
    assert!(world.call("delete_team").to([team]).refused(409).contains("project `lab`"));
    world.call("update_project").to([project]).body(json!({ "teams": [] })).ok();
    world.call("delete_team").to([team]).ok();
    assert!(world.find::<Team>(team).is_none());
}

#[test]
fn membership_opens_and_closes_a_project_at_once() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    let team = world.team("crew", []);
    let project = world.project("lab", [team], []);
    world.call("read_project").by(bob).to([project]).refused(404);
    world.call("update_team").to([team]).body(json!({ "users": [bob] })).ok();
    world.call("read_project").by(bob).to([project]).ok();
    world.call("update_team").to([team]).body(json!({ "users": [] })).ok();
    world.call("read_project").by(bob).to([project]).refused(404);
}
