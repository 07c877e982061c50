use std::time::Duration;

use freehold_types::wire::Role;
use freehold_types::{Id, Secret};
use freehold_web::credentials::Credentials;
use serde_json::json;

use super::*;
use crate::testing::World;

const DAY: Duration = Duration::from_hours(24);

/// The key that the newest mail carries: the one line that is nothing but letters and digits.
fn mailed_key(world: &World) -> Credentials {
    let text = world.last_mail().text.into_inner();
    let key = text.lines().map(str::trim).find(|line| line.len() == 64).expect("the mail holds no key");
    assert!(key.chars().all(|character| character.is_ascii_alphanumeric()), "{key}");
    Credentials::Key(Secret::new(key.to_owned()))
}

fn issue(world: &World, user: Id) -> Id {
    world.call("set_user_api_token").by(user).to([user]).id()
}

#[test]
fn a_key_is_mailed_and_opens_the_door() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    let body = world.call("set_user_api_token").by(bob).to([bob]).ok();
    let token = world.all::<Token>().pop().unwrap();
    assert_eq!(body, json!({ "id": token.id(), "name": "bob-api-key", "expire": false }));
    assert_eq!(world.last_mail().to.as_deref(), Some("bob@example.org"));
    let Credentials::Key(key) = mailed_key(&world) else { unreachable!() };
    assert!(!format!("{token:?}").contains(key.expose()), "the key is not kept");
    assert!(!world.last_mail().subject.contains(key.expose()));
    let body = world.call("read_user").with(mailed_key(&world)).to([bob]).ok();
    assert_eq!(body["name"], json!("bob"));
    world.call("list_users").with(mailed_key(&world)).refused(403);
    // Nothing in a generated secret needs quoting, in JSON, YAML or a shell.
    for length in 0..500 {
        let secret = crate::key::random_text(length).into_inner();
        assert_eq!(secret.len(), length);
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{secret}");
    }
}

#[test]
fn a_new_key_replaces_the_old_one_and_keeps_its_record() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    let id = issue(&world, bob);
    let old = mailed_key(&world);
    world
        .call("update_api_token")
        .by(bob)
        .to([id])
        .body(json!({ "name": "ci", "description": "builds" }))
        .ok();
    assert_eq!(world.call("set_user_api_token").to([bob]).id(), id);
    world.call("logout").with(old).refused(401);
    world.call("logout").with(mailed_key(&world)).ok();
    let token = world.get::<Token>(id).spec;
    assert_eq!((token.name.as_str(), token.description.as_deref()), ("ci", Some("builds")));
}

#[test]
fn a_key_expires_on_its_date() {
    let mut world = World::new();
    let bob = world.user("bob", Role::User);
    // It is 2027-01-15.
    let body = world.call("set_user_api_token").by(bob).to([bob]).query("expirationDate=2027-01-17").ok();
    assert_eq!((&body["expire"], &body["expiration_date"]), (&json!(true), &json!("2027-01-17")));
    let key = mailed_key(&world);
    world.call("logout").with(key.clone()).ok();
    world.advance(DAY);
    world.call("logout").with(key.clone()).ok();
    world.advance(DAY);
    assert!(world.call("logout").with(key).refused(401).contains("expired"));
}

#[test]
fn an_expiry_is_checked() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    let ask = |query: &str| world.call("set_user_api_token").by(bob).to([bob]).query(query);
    ask("expire=true").refused(422);
    ask("expire=perhaps").refused(400);
    ask("expirationDate=tomorrow").refused(400);
    ask("expirationDate=2027-02-30").refused(400);
    assert!(ask("expirationDate=2027-01-15").refused(422).contains("day after today"));
    ask("expire=true&expirationDate=2026-12-31").refused(422);
    ask("expires=true").refused(400);
    assert_eq!((world.all::<Token>().len(), world.mails().len()), (0, 0));
    let body = ask("expire=True&expirationDate=2027-01-16").ok();
    assert_eq!(body["expiration_date"], json!("2027-01-16"));
    let body = ask("expire=false&expirationDate=2027-01-16").ok();
    assert_eq!(
        (&body["expire"], body.get("expiration_date")),
        (&json!(false), None),
        "never clears the date"
    );
    ask("expirationDate=2027-01-16").ok();
    let body = ask("").ok();
    assert_eq!((&body["expire"], body.get("expiration_date")), (&json!(false), None));
}

#[test]
fn an_owner_manages_the_own_key_and_an_operator_all() {
    let world = World::new();
    let (bob, eve) = (world.user("bob", Role::User), world.user("eve", Role::ProjectAdmin));
    let (own, other) = (issue(&world, bob), issue(&world, eve));
    let agent = world.call("create_agent").body(json!({ "name": "n1", "type": "Kaktus" })).id();
    let of_agent = world.call("set_agent_api_token").to([agent]).id();
    assert_eq!(world.call("list_api_tokens").by(bob).ids(), [own]);
    assert_eq!(world.call("list_api_tokens").ids(), [own, other, of_agent]);
    for foreign in [other, of_agent] {
        world.call("read_api_token").by(bob).to([foreign]).refused(404);
        world.call("update_api_token").by(bob).to([foreign]).body(json!({ "name": "x" })).refused(404);
        world.call("delete_api_token").by(bob).to([foreign]).refused(404);
    }
    world.call("list_api_tokens").by_nobody().refused(401);

    let update = |body| world.call("update_api_token").by(bob).to([own]).body(body);
    update(json!({ "expire": true })).refused(422);
    update(json!({ "digest": "x" })).refused(400);
    update(json!({ "owner": { "user": eve } })).refused(400);
    let body = update(json!({ "expire": true, "expiration_date": "2027-03-01" })).ok();
    assert_eq!(update(body.clone()).ok(), body, "what was read can be sent back");
    let body = update(json!({ "expire": false })).ok();
    assert_eq!((&body["expire"], body.get("expiration_date")), (&json!(false), None));
}

#[test]
fn a_deleted_token_revokes_its_key() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    let id = issue(&world, bob);
    let key = mailed_key(&world);
    world.call("delete_api_token").with(key.clone()).to([id]).ok();
    world.call("logout").with(key).refused(401);
}

#[test]
fn a_key_dies_with_its_account_and_waits_for_its_confirmation() {
    let world = World::new();
    let body = json!({ "name": "bot", "email": "bot@example.org", "role": "user" });
    let bot = world.call("create_user").body(body).id();
    world.call("set_user_api_token").to([bot]).ok();
    let key = mailed_key(&world);
    world.call("logout").with(key.clone()).refused(401);
    world.change::<User>(bot, |user| user.spec.enabled = true);
    world.call("logout").with(key.clone()).ok();
    world.call("delete_user").to([bot]).ok();
    world.call("logout").with(key).refused(401);
}

#[test]
fn the_key_of_an_agent_opens_no_api() {
    let world = World::new();
    let agent = world.call("create_agent").body(json!({ "name": "n1", "type": "Kaktus" })).id();
    world.call("set_agent_api_token").to([agent]).ok();
    world.call("list_regions").with(mailed_key(&world)).refused(401);
    let guess = Credentials::Key(Secret::new("x".repeat(64)));
    world.call("list_regions").with(guess).refused(401);
    world.call("list_regions").with(Credentials::Key(Secret::new("master".to_owned()))).ok();
}
