use std::time::Duration;

use freehold_store::Object;
use freehold_types::Id;
use freehold_types::wire::Role;
use serde_json::{Value, json};

use super::*;
use crate::mail::Mail;
use crate::session::Session;
use crate::team::Team;
use crate::testing::{PASSWORD, World};
use crate::token::Token;

fn alice() -> Value {
    json!({ "name": "alice", "email": "alice@example.org", "role": "user", "notifications": true })
}

fn get(world: &World, id: Id) -> User {
    world.get::<User>(id).spec
}

/// The one-time token of the link in a mail.
fn token_in(mail: &Mail) -> String {
    let (_, rest) = mail.text.expose().split_once("token=").expect("the mail holds no link");
    rest.chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[test]
fn a_new_account_is_closed_and_invited_in_the_same_transaction() {
    let world = World::new();
    let before = world.snapshot().revision();
    let body = world.call("create_user").body(alice()).ok();
    assert_eq!(world.snapshot().revision(), before + 1);
    let user = world.all::<User>().pop().unwrap();
    let expected = json!({
        "id": user.id(), "name": "alice", "email": "alice@example.org", "role": "user", "notifications": true,
    });
    assert_eq!(body, expected);
    assert!(!user.spec.enabled && user.spec.password.is_none());

    let mail = world.last_mail();
    assert_eq!(mail.to.as_deref(), Some("alice@example.org"));
    let link = format!("https://cloud.example.org/confirm?user={}&token={}", user.id(), token_in(&mail));
    assert!(mail.text.expose().contains(&link), "{}", mail.text.expose());
    let ticket = user.spec.confirmation.unwrap();
    assert_ne!(ticket.digest, token_in(&mail), "the token itself is not kept");
    assert!(ticket.admits(&token_in(&mail), world.now));
}

#[test]
fn accounts_are_made_by_operators_only() {
    let world = World::new();
    let (root, lead, user) = (
        world.user("root", Role::SuperAdmin),
        world.user("lead", Role::ProjectAdmin),
        world.user("bob", Role::User),
    );
    world.call("create_user").by_nobody().body(alice()).refused(401);
    for account in [lead, user] {
        world.call("create_user").by(account).body(alice()).refused(403);
        world.call("list_users").by(account).refused(403);
    }
    world.call("create_user").by(root).body(alice()).id();
    assert_eq!(world.call("list_users").by(root).ids().len(), 4);
}

#[test]
fn a_new_account_is_checked() {
    let world = World::new();
    world.call("create_user").body(alice()).ok();
    let refused = |field: &str, value: Value, status: u16| {
        let mut body = json!({ "name": "carol", "email": "carol@example.org", "role": "user" });
        body[field] = value;
        world.call("create_user").body(body).refused(status)
    };
    refused("name", json!(""), 400);
    refused("name", json!("carol\u{7}"), 422);
    refused("email", json!(""), 400);
    refused("email", json!("carol"), 422);
    refused("role", json!("god"), 400);
    refused("role", Value::Null, 400);
    refused("password", json!("x"), 400);
    refused("description", json!("x".repeat(5_000)), 422);
    assert!(refused("name", json!("alice"), 409).contains("alice"));
    assert!(refused("email", json!("ALICE@example.org"), 409).contains("mail address"));
    assert_eq!(world.mails().len(), 1, "a refused account is not invited");
}

#[test]
fn an_account_changes_itself_but_not_its_rank() {
    let world = World::new();
    let (bob, lead) = (world.user("bob", Role::User), world.user("lead", Role::ProjectAdmin));
    let body = world
        .call("update_user")
        .by(bob)
        .to([bob])
        .body(json!({ "name": "robert", "description": "me", "notifications": true }))
        .ok();
    assert_eq!((&body["name"], &body["description"]), (&json!("robert"), &json!("me")));
    assert_eq!(body["notifications"], json!(true));

    // Clients send everything back; what is as it was is no change.
    world.call("update_user").by(bob).to([bob]).body(body.clone()).ok();
    world
        .call("update_user")
        .by(bob)
        .to([bob])
        .body(json!({ "email": "", "name": "", "description": "" }))
        .ok();
    assert_eq!(get(&world, bob).name, "robert");
    assert_eq!(get(&world, bob).description, None, "an empty description clears it");

    for change in [
        json!({ "role": "superAdmin" }),
        json!({ "role": "projectAdmin" }),
        json!({ "email": "eve@example.org" }),
        json!({ "email": "BOB@example.org" }),
        json!({ "name": "bobby", "role": "superAdmin" }),
    ] {
        world.call("update_user").by(bob).to([bob]).body(change).refused(403);
    }
    world.call("update_user").by(lead).to([lead]).body(json!({ "role": "superAdmin" })).refused(403);
    world.call("update_user").by(bob).to([bob]).body(json!({ "name": "lead" })).refused(409);
    world.call("update_user").by(bob).to([bob]).body(json!({ "enabled": true })).refused(400);
    world.call("update_user").by(bob).to([bob]).body(json!({ "role": "god" })).refused(400);
    assert_eq!((get(&world, bob).role, get(&world, bob).name.as_str()), (Role::User, "robert"));
}

#[test]
fn another_account_is_not_found() {
    let world = World::new();
    let (bob, eve) = (world.user("bob", Role::User), world.user("eve", Role::ProjectAdmin));
    world.call("read_user").by(bob).to([bob]).ok();
    world.call("read_user").by(eve).to([bob]).refused(404);
    world.call("update_user").by(eve).to([bob]).body(json!({ "name": "x" })).refused(404);
    world.call("set_user_password").by(eve).to([bob]).body(json!({ "value": PASSWORD })).refused(404);
    world.call("reset_user_password").by(eve).to([bob]).refused(404);
    world.call("set_user_api_token").by(eve).to([bob]).refused(404);
    world.call("delete_user").by(eve).to([bob]).refused(403);
    world.call("delete_user").by(eve).to([eve]).refused(403);
    // An own id elsewhere in the address opens nothing.
    let own = format!("x=/api/v1/user/{eve}");
    world.call("read_user").by(eve).to([bob]).query(&own).refused(400);
    world.call("list_users").by(eve).query(&own).refused(400);
    assert_eq!(world.mails().len(), 0);
}

#[test]
fn an_operator_changes_role_and_address() {
    let mut world = World::new();
    let (bob, root) = (world.user("bob", Role::User), world.user("root", Role::SuperAdmin));
    world.call("reset_user_password").by(bob).to([bob]).ok();
    world.advance(Duration::from_secs(1));
    let change = json!({ "role": "projectAdmin", "email": "robert@example.org" });
    world.call("update_user").by(root).to([bob]).body(change).ok();
    let user = get(&world, bob);
    assert_eq!((user.role, user.email.as_str()), (Role::ProjectAdmin, "robert@example.org"));
    assert!(user.enabled, "an address that an operator gives needs no confirmation");
    assert_eq!(user.renewal, None, "the link in the old mailbox no longer counts");
    let taken = json!({ "email": "ROOT@example.org" });
    world.call("update_user").to([bob]).body(taken).refused(409);
    world.call("update_user").to([bob]).body(json!({ "email": "x" })).refused(422);
    // The master key remains, so nobody is locked out.
    world.call("update_user").by(root).to([root]).body(json!({ "role": "user" })).ok();
    world.call("list_users").by(root).refused(403);
}

#[test]
fn a_mistyped_address_is_invited_again() {
    let world = World::new();
    let id = world.call("create_user").body(alice()).id();
    let stray = token_in(&world.last_mail());
    world.call("update_user").to([id]).body(json!({ "email": "alice@lab.example.org" })).ok();
    let mail = world.last_mail();
    assert_eq!(mail.to.as_deref(), Some("alice@lab.example.org"));
    let ticket = get(&world, id).confirmation.unwrap();
    assert!(ticket.admits(&token_in(&mail), world.now));
    assert!(!ticket.admits(&stray, world.now));
}

#[test]
fn a_deleted_account_leaves_nothing() {
    let world = World::new();
    let (bob, eve) = (world.user("bob", Role::User), world.user("eve", Role::User));
    let team = world.team("crew", [bob, eve]);
    for user in [bob, eve] {
        world.call("set_user_api_token").by(user).to([user]).ok();
        world.put(Session { user, expires_at: world.now + Duration::from_mins(1) });
    }
    let before = world.snapshot().revision();
    world.call("delete_user").to([bob]).ok();
    assert_eq!(world.snapshot().revision(), before + 1);
    assert!(world.find::<User>(bob).is_none());
    assert_eq!(world.get::<Team>(team).spec.users, [eve]);
    assert!(world.all::<Session>().iter().all(|session| session.spec.user == eve));
    assert_eq!(world.all::<Token>().len(), 1);
    world.call("delete_user").to([bob]).refused(404);
}

#[test]
fn a_password_is_set_by_its_owner_or_an_operator() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    let session = |user| world.put(Session { user, expires_at: world.now + Duration::from_mins(1) });
    let (own, other) = (session(bob), session(bob));
    world.call("reset_user_password").by(bob).to([bob]).ok();
    let fresh = json!({ "value": "quartz-lantern-71-meadow-sail" });
    let caller = crate::access::Caller { session: Some(own), ..world.caller(bob) };
    world.call("set_user_password").from(caller).to([bob]).body(fresh.clone()).ok();
    assert!(world.find::<Session>(own).is_some(), "the session that asked goes on");
    assert!(world.find::<Session>(other).is_none());
    let user = get(&world, bob);
    assert_eq!(user.renewal, None);
    let hash = user.password.unwrap();
    assert!(crate::password::verify("quartz-lantern-71-meadow-sail", Some(&hash)));
    assert!(!crate::password::verify(PASSWORD, Some(&hash)));

    for weak in ["", "short", "bob@example.org", "password1234"] {
        world.call("set_user_password").by(bob).to([bob]).body(json!({ "value": weak })).refused(422);
    }
    world.call("set_user_password").to([bob]).body(fresh.clone()).ok();
    assert!(world.find::<Session>(own).is_none());

    let new = world.call("create_user").body(alice()).id();
    world.call("set_user_password").to([new]).body(fresh).ok();
    assert!(!get(&world, new).enabled, "a password confirms no address");
}

#[test]
fn a_reset_mails_a_link() {
    let mut world = World::new();
    let bob = world.user("bob", Role::User);
    world.call("reset_user_password").by(bob).to([bob]).ok();
    let first = world.last_mail();
    assert_eq!(first.to.as_deref(), Some("bob@example.org"));
    let path = format!("/confirmForgotPassword?user={bob}&token=");
    assert!(first.text.expose().contains(&path), "{}", first.text.expose());
    let user = get(&world, bob);
    assert!(crate::password::verify(PASSWORD, user.password.as_deref()), "the old password works until then");
    let ticket = user.renewal.unwrap();
    assert!(ticket.admits(&token_in(&first), world.now));
    assert!(!ticket.admits("", world.now));
    assert!(!ticket.admits(&ticket.digest, world.now));
    world.advance(Ticket::RENEWAL);
    assert!(!ticket.admits(&token_in(&first), world.now));

    world.call("reset_user_password").to([bob]).ok();
    let second = get(&world, bob).renewal.unwrap();
    assert!(second.admits(&token_in(&world.last_mail()), world.now));
    assert!(!second.admits(&token_in(&first), world.now));
}

#[test]
fn an_invitation_that_ran_out_is_sent_again_with_a_reset() {
    let mut world = World::new();
    let id = world.call("create_user").body(alice()).id();
    world.call("reset_user_password").to([id]).ok();
    assert_eq!(world.mails().len(), 2, "an open invitation is not repeated");
    world.advance(Ticket::CONFIRMATION);
    world.call("reset_user_password").to([id]).ok();
    let mails = world.mails();
    assert_eq!(mails.len(), 4);
    assert!(get(&world, id).confirmation.unwrap().admits(&token_in(&mails[2]), world.now));
    assert!(get(&world, id).renewal.unwrap().admits(&token_in(&mails[3]), world.now));
}

#[test]
fn nothing_that_an_account_is_told_of_itself_is_secret() {
    let world = World::new();
    let bob = world.user("bob", Role::User);
    world.call("reset_user_password").by(bob).to([bob]).ok();
    let body = world.call("read_user").by(bob).to([bob]).ok();
    let Value::Object(fields) = body else { panic!("{body}") };
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["email", "id", "name", "notifications", "role"]);
    let shown: Object<User> = world.get(bob);
    assert!(!format!("{:?}", world.last_mail()).contains(&token_in(&world.last_mail())), "{shown:?}");
}
