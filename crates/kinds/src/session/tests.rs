use std::time::Duration;

use freehold_types::Secret;
use freehold_web::credentials::Credentials;
use freehold_web::query::Query;
use jsonwebtoken::Validation;
use serde_json::{Value, json};

use super::pages::{self, Page, Visit};
use super::*;
use crate::testing::{PASSWORD, World};

fn log_in(world: &World, email: &str, password: &str) -> Value {
    world.call("login").by_nobody().body(json!({ "email": email, "password": password })).ok()
}

fn refused_log_in(world: &World, email: &str, password: &str, status: u16) -> String {
    world.call("login").by_nobody().body(json!({ "email": email, "password": password })).refused(status)
}

fn bearer(answer: &Value) -> Credentials {
    Credentials::Bearer(Secret::new(answer["jwt"].as_str().expect("there is no token").to_owned()))
}

/// The query of the link in the newest mail.
fn link(world: &World) -> String {
    let text = world.last_mail().text.into_inner();
    let line = text
        .lines()
        .find(|line| line.starts_with("https://") && line.contains('?'))
        .expect("there is no link");
    line.split_once('?').unwrap().1.to_owned()
}

/// Opens a page, and commits what it decided.
fn visit(world: &World, page: impl FnOnce(&Visit<'_>) -> Page, query: &str) -> Page {
    let snapshot = world.snapshot();
    let query = Query::read(Some(query), pages::PARAMETERS).unwrap();
    let visit = Visit { snapshot: &snapshot, query: &query, now: world.now, environment: &world.environment };
    let page = page(&visit);
    world.commit(page.transaction.clone());
    page
}

fn forgot(visit: &Visit<'_>) -> Page {
    pages::forgot(visit).unwrap()
}

/// The password in the newest mail: the line that stands apart.
fn mailed_password(world: &World) -> String {
    let text = world.last_mail().text.into_inner();
    text.lines().find_map(|line| line.strip_prefix("    ")).expect("there is no password").to_owned()
}

mod log_in {
    use super::*;

    #[test]
    fn a_log_in_answers_a_token_and_never_the_password() {
        let world = World::new();
        let bob = world.user("bob", Role::ProjectAdmin);
        let answer = log_in(&world, "Bob@Example.org", PASSWORD);
        assert_eq!((&answer["email"], &answer["password"]), (&json!("bob@example.org"), &json!("")));
        let jwt = answer["jwt"].as_str().unwrap();
        let claims = verify(jwt, &world.environment, world.now).unwrap();
        let session = world.all::<Session>().pop().unwrap();
        let expected = Claims {
            iss: "Kowabunga".to_owned(),
            uid: bob,
            email: "bob@example.org".to_owned(),
            role: Role::ProjectAdmin,
            exp: session.spec.expires_at.as_seconds(),
            jti: session.id(),
        };
        assert_eq!(claims, expected);
        assert_eq!(session.spec.expires_at, world.now + world.environment.session_lifetime);
        world.call("read_user").with(bearer(&answer)).to([bob]).ok();
    }

    #[test]
    fn a_refusal_does_not_tell_who_has_an_account() {
        let world = World::new();
        world.user("bob", Role::User);
        let body = json!({ "name": "new", "email": "new@example.org", "role": "user" });
        let new = world.call("create_user").body(body).id();
        let wrong = refused_log_in(&world, "bob@example.org", "wrong", 401);
        assert_eq!(refused_log_in(&world, "nobody@example.org", "wrong", 401), wrong);
        assert_eq!(refused_log_in(&world, "new@example.org", "wrong", 401), wrong);
        world.call("set_user_password").to([new]).body(json!({ "value": PASSWORD })).ok();
        assert_eq!(refused_log_in(&world, "new@example.org", "wrong", 401), wrong);
        let unconfirmed = refused_log_in(&world, "new@example.org", PASSWORD, 401);
        assert!(unconfirmed.contains("not confirmed"), "who knows the password is told: {unconfirmed}");
        assert_eq!(world.all::<Session>().len(), 0);
    }

    #[test]
    fn a_log_in_needs_both_fields() {
        let world = World::new();
        refused_log_in(&world, "", PASSWORD, 400);
        refused_log_in(&world, "bob@example.org", "", 400);
        world.call("login").by_nobody().body(json!({ "email": "bob@example.org" })).refused(400);
        // Clients send the read-only field back.
        let body = json!({ "email": "bob@example.org", "password": "wrong", "jwt": "old" });
        world.call("login").by_nobody().body(body).refused(401);
    }

    #[test]
    fn a_session_ends_in_time_and_is_cleared_away_by_the_next() {
        let mut world = World::new();
        world.user("bob", Role::User);
        let first = log_in(&world, "bob@example.org", PASSWORD);
        world.call("list_regions").with(bearer(&first)).ok();
        world.advance(world.environment.session_lifetime);
        world.call("list_regions").with(bearer(&first)).refused(401);
        log_in(&world, "bob@example.org", PASSWORD);
        assert_eq!(world.all::<Session>().len(), 1);
    }

    #[test]
    fn the_stored_role_counts_and_not_that_of_the_token() {
        let world = World::new();
        let root = world.user("root", Role::SuperAdmin);
        let answer = log_in(&world, "root@example.org", PASSWORD);
        world.call("list_users").with(bearer(&answer)).ok();
        world.call("update_user").to([root]).body(json!({ "role": "user" })).ok();
        world.call("list_users").with(bearer(&answer)).refused(403);
        world.call("delete_user").to([root]).ok();
        world.call("list_regions").with(bearer(&answer)).refused(401);
    }

    #[test]
    fn a_forged_token_opens_nothing() {
        let world = World::new();
        let root = world.user("root", Role::SuperAdmin);
        let session = world.put(Session { user: root, expires_at: world.now + Duration::from_mins(1) });
        let claims = Claims {
            iss: ISSUER.to_owned(),
            uid: root,
            email: "root@example.org".to_owned(),
            role: Role::SuperAdmin,
            exp: world.now.as_seconds() + 60,
            jti: session,
        };
        let encode = |algorithm, claims: &Claims, key: &[u8]| {
            jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
        };
        let key = world.environment.session_key.expose();
        let good = encode(Algorithm::HS256, &claims, key);
        let (signed, _) = good.rsplit_once('.').unwrap();
        let (_, payload) = signed.split_once('.').unwrap();
        // {"alg":"none"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
        let forged = [
            encode(Algorithm::HS256, &claims, b"another key"),
            encode(Algorithm::HS512, &claims, key),
            encode(Algorithm::HS256, &Claims { iss: "Eve".to_owned(), ..claims.clone() }, key),
            encode(Algorithm::HS256, &Claims { exp: world.now.as_seconds(), ..claims.clone() }, key),
            encode(Algorithm::HS256, &Claims { jti: Id::from_u64(9), ..claims.clone() }, key),
            unsigned,
            signed.to_owned(),
            "x".to_owned(),
        ];
        let send = |token: String| world.call("list_users").with(Credentials::Bearer(Secret::new(token)));
        for token in forged {
            send(token).refused(401);
        }
        send(good).ok();
        assert!(Validation::new(Algorithm::HS256).algorithms == [Algorithm::HS256]);
    }

    #[test]
    fn logging_out_ends_the_own_session_only() {
        let world = World::new();
        let bob = world.user("bob", Role::User);
        let (one, two) =
            (log_in(&world, "bob@example.org", PASSWORD), log_in(&world, "bob@example.org", PASSWORD));
        let answer = world.call("logout").with(bearer(&one)).send().unwrap();
        assert_eq!(answer.status, 204);
        world.call("logout").with(bearer(&one)).refused(401);
        world.call("read_user").with(bearer(&two)).to([bob]).ok();
        // With a key there is nothing to end.
        world.call("logout").ok();
        world.call("logout").by_nobody().refused(401);
        assert_eq!(world.all::<Session>().len(), 1);
    }
}

mod reset {
    use super::*;

    #[test]
    fn a_request_for_an_unknown_address_is_answered_and_written_alike() {
        let mut world = World::new();
        world.user("bob", Role::User);
        for operation in ["reset_password", "put_reset_password"] {
            for email in ["bob@example.org", "nobody@example.org", "not an address"] {
                world.advance(Duration::from_millis(1));
                let before = world.snapshot().revision();
                let answer =
                    world.call(operation).by_nobody().body(json!({ "email": email })).send().unwrap();
                assert_eq!((answer.status, answer.body), (200, Value::Null));
                assert_eq!(world.snapshot().revision(), before + 1, "{email}");
            }
            world.call(operation).by_nobody().body(json!({ "email": "" })).refused(400);
            world.call(operation).by_nobody().body(json!({ "mail": "x" })).refused(400);
        }
        assert_eq!(world.mails().len(), 2, "nobody is mailed for an unknown address");
        assert_eq!(world.all::<Session>().len(), 1, "what is written for it does not pile up");
    }

    #[test]
    fn the_link_gives_a_new_password_once() {
        let world = World::new();
        world.user("bob", Role::User);
        let session = log_in(&world, "bob@example.org", PASSWORD);
        world.call("reset_password").by_nobody().body(json!({ "email": "BOB@example.org" })).ok();
        let link = link(&world);

        let question = visit(&world, pages::forgot_page, &link);
        assert_eq!(question.status, 200);
        assert!(question.transaction.is_empty() && question.html.contains(r#"<form method="post">"#));
        log_in(&world, "bob@example.org", PASSWORD);

        assert_eq!(visit(&world, forgot, &link).status, 200);
        world.call("list_regions").with(bearer(&session)).refused(401);
        refused_log_in(&world, "bob@example.org", PASSWORD, 401);
        let fresh = mailed_password(&world);
        assert_eq!(fresh.len(), 16);
        log_in(&world, "bob@example.org", &fresh);
        assert!(!world.last_mail().subject.contains(&fresh));

        assert_eq!(visit(&world, forgot, &link).status, 403, "a link works once");
        assert_eq!(visit(&world, pages::forgot_page, &link).status, 403);
        log_in(&world, "bob@example.org", &fresh);
    }

    #[test]
    fn a_link_expires() {
        let mut world = World::new();
        let bob = world.user("bob", Role::User);
        world.call("reset_user_password").by(bob).to([bob]).ok();
        let link = link(&world);
        world.advance(crate::user::Ticket::RENEWAL);
        assert_eq!(visit(&world, forgot, &link).status, 403);
        log_in(&world, "bob@example.org", PASSWORD);
    }

    #[test]
    fn a_reset_does_not_confirm_an_account() {
        let world = World::new();
        let body = json!({ "name": "new", "email": "new@example.org", "role": "user" });
        let new = world.call("create_user").body(body).id();
        world.call("reset_user_password").to([new]).ok();
        let page = visit(&world, forgot, &link(&world));
        assert!(page.html.contains("confirm your account"), "{}", page.html);
        assert!(!world.get::<User>(new).spec.enabled);
        let reason = refused_log_in(&world, "new@example.org", &mailed_password(&world), 401);
        assert!(reason.contains("not confirmed"));
    }
}

mod confirmation {
    use super::*;

    fn invited(world: &World) -> (Id, String) {
        let body = json!({ "name": "new", "email": "new@example.org", "role": "user" });
        let id = world.call("create_user").body(body).id();
        (id, link(world))
    }

    #[test]
    fn the_link_opens_the_account_once() {
        let world = World::new();
        let (id, link) = invited(&world);
        let question = visit(&world, pages::confirm_page, &link);
        assert_eq!(question.status, 200);
        assert!(question.html.contains("<button>Confirm</button>"));
        assert!(!world.get::<User>(id).spec.enabled, "looking changes nothing");

        assert_eq!(visit(&world, pages::confirm, &link).status, 200);
        let user = world.get::<User>(id).spec;
        assert!(user.enabled && user.confirmation.is_none());
        assert_eq!(visit(&world, pages::confirm, &link).status, 403);
        assert_eq!(visit(&world, pages::confirm_page, &link).status, 403);
    }

    #[test]
    fn an_invited_account_logs_in_after_both_links() {
        let world = World::new();
        let (_, confirm) = invited(&world);
        world.call("reset_password").by_nobody().body(json!({ "email": "new@example.org" })).ok();
        let renew = link(&world);
        visit(&world, pages::confirm, &confirm);
        visit(&world, forgot, &renew);
        log_in(&world, "new@example.org", &mailed_password(&world));
    }

    #[test]
    fn what_does_not_fit_is_refused_alike_everywhere() {
        let mut world = World::new();
        let bob = world.user("bob", Role::User);
        let (new, good) = invited(&world);
        let token = good.split_once("token=").unwrap().1.to_owned();
        let before = world.snapshot().revision();
        let refusal = visit(&world, pages::confirm_page, "").html;
        let digest = world.get::<User>(new).spec.confirmation.unwrap().digest;
        let bad = [
            String::new(),
            format!("user={new}"),
            format!("user={new}&token="),
            format!("user={new}&token={}", &token[1..]),
            format!("user={new}&token={digest}"),
            format!("user={bob}&token={token}"),
            // Neither has a reset pending, and a blank token is not that.
            format!("user={bob}&token="),
            format!("user={bob}"),
            format!("user={}&token={token}", Id::from_u64(5)),
            format!("user=x&token={token}"),
            format!("token={token}"),
        ];
        for query in &bad {
            for page in [pages::confirm_page, pages::confirm, pages::forgot_page, forgot] {
                let page = visit(&world, page, query);
                assert_eq!((page.status, &page.html), (403, &refusal), "{query}");
            }
        }
        // A link serves its own purpose only.
        assert_eq!(visit(&world, forgot, &good).html, refusal);
        world.advance(crate::user::Ticket::CONFIRMATION);
        assert_eq!(visit(&world, pages::confirm, &good).html, refusal);
        assert_eq!(world.snapshot().revision(), before, "nothing was changed");
        log_in(&world, "bob@example.org", PASSWORD);
    }

    #[test]
    fn names_do_not_become_markup() {
        let world = World::new();
        let name = r#"<img src=x onerror="alert('&')">"#;
        let body = json!({ "name": name, "email": "new@example.org", "role": "user" });
        world.call("create_user").body(body).ok();
        let page = visit(&world, pages::confirm_page, &link(&world));
        assert!(!page.html.contains("<img"));
        assert!(
            page.html.contains("&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;"),
            "{}",
            page.html
        );
    }

    #[test]
    fn a_page_is_whole_and_loads_nothing() {
        let world = World::new();
        let (_, link) = invited(&world);
        let page = visit(&world, pages::confirm_page, &link).html;
        insta::assert_snapshot!("confirm_page", page);
        for forbidden in ["<script", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}

mod first_account {
    use super::*;

    #[test]
    fn it_can_do_everything_at_once() {
        let world = World::new();
        let hash = crate::password::hash(PASSWORD).unwrap();
        let (id, transaction) =
            bootstrap(&world.snapshot(), "root", "root@example.org", hash.clone(), world.now).unwrap();
        world.commit(transaction);
        let answer = log_in(&world, "root@example.org", PASSWORD);
        assert_eq!(world.call("list_users").with(bearer(&answer)).ids(), [id]);
        assert_eq!(world.mails().len(), 0);

        let again = |name, email| {
            let error = bootstrap(&world.snapshot(), name, email, hash.clone(), world.now).unwrap_err();
            error.kind.status()
        };
        assert_eq!(again("root", "other@example.org"), 409);
        assert_eq!(again("other", "ROOT@example.org"), 409);
        assert_eq!(again("", "other@example.org"), 400);
        assert_eq!(again("other", "nowhere"), 422);
    }
}
