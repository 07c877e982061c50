use std::net::Ipv4Addr;

use freehold_types::wire::{AgentType, OperatingSystem, Role};
use freehold_types::{Id, Secret, size};
use serde_json::{Value, json};

use super::texts::{self, Machine};
use super::*;
use crate::agent::Agent;
use crate::cost::Price;
use crate::environment::Environment;
use crate::project::Project;
use crate::testing::World;
use crate::token::Issued;
use crate::user::User;

const SECRET: &str = "q7VwXz2LkRt9BnMd4HsPc6JfGy8TaEu3";

fn alice() -> User {
    User {
        name: "alice".to_owned(),
        description: None,
        email: "alice@example.org".to_owned(),
        role: Role::ProjectAdmin,
        notifications: true,
        enabled: true,
        password: None,
        confirmation: None,
        renewal: None,
    }
}

fn secret() -> Secret<String> {
    Secret::new(SECRET.to_owned())
}

fn issued(date: Option<&str>) -> Issued {
    let key = Secret::new(SECRET.repeat(2));
    Issued { id: Id::from_u64(2), key, expiration_date: date.map(|date| date.parse().unwrap()) }
}

/// Checks what all mails have in common, and shows one as it is sent.
fn shown(mail: &Mail) -> String {
    assert!(!mail.subject.contains(SECRET), "{}", mail.subject);
    assert!(!mail.subject.contains('\n') && mail.subject.chars().count() <= 72, "{}", mail.subject);
    for line in mail.text.expose().lines() {
        let is_link = line.starts_with("https://");
        assert!(is_link || line.chars().count() <= 72, "too long: {line}");
    }
    let to = mail.to.as_deref().unwrap_or("nobody");
    format!("To: {to}\nSubject: {}\n\n{}", mail.subject, mail.text.expose())
}

#[test]
fn mails_of_an_account() {
    let environment = Environment::for_tests();
    let (id, user) = (Id::from_u64(1), alice());
    insta::assert_snapshot!("welcome", shown(&texts::welcome(id, &user, &secret(), &environment)));
    insta::assert_snapshot!("reset_link", shown(&texts::reset_link(id, &user, &secret(), &environment)));
    insta::assert_snapshot!("new_password", shown(&texts::new_password(&user, &secret(), &environment)));
    insta::assert_snapshot!("user_key", shown(&texts::user_key(&user, &issued(None), &environment)));
}

#[test]
fn mail_of_an_agent() {
    let environment =
        Environment { admin_email: Some("ops@example.org".to_owned()), ..Environment::for_tests() };
    let agent = Agent { name: "n1".to_owned(), description: None, role: AgentType::Hypervisor };
    let mail = texts::agent_key(Id::from_u64(1), &agent, &issued(Some("2030-12-31")), &environment);
    insta::assert_snapshot!("agent_key", shown(&mail));
}

#[test]
fn mail_of_a_project() {
    let world = World::new();
    let site = world.site("lab");
    let project = world.project("green", [], [site.region]);
    world.change::<Project>(project, |project| {
        project.spec.domain = Some("green.example.org".to_owned());
        project.spec.quotas.memory = 64 * size::GIB;
        project.spec.quotas.vcpus = 16;
    });
    let spec = world.get::<Project>(project).spec;
    let to = "alice@example.org".to_owned();
    let mail = texts::project_created(to, (Id::from_u64(1), &spec), &world.snapshot(), &world.environment);
    insta::assert_snapshot!("project_created", shown(&mail));
}

#[test]
fn mail_of_an_instance() {
    let machine = Machine {
        name: "web-1",
        domain: Some("green.example.org"),
        image: Some("debian"),
        os: OperatingSystem::Linux,
        vcpus: 2,
        memory: 3 * size::GIB / 2,
        adapters: 2,
        volumes: 1,
        account: "admin",
        root_password: &secret(),
        price: Some(&Price { amount: 7.5, currency: "EUR".to_owned() }),
        public_address: Some(Ipv4Addr::new(192, 0, 2, 10)),
        private_address: Some(Ipv4Addr::new(10, 1, 0, 10)),
    };
    let send = |machine: &Machine<'_>| {
        shown(&texts::instance_created("alice@example.org".to_owned(), machine, &Environment::for_tests()))
    };
    insta::assert_snapshot!("instance_created", send(&machine));
    let bare = Machine {
        domain: None,
        image: None,
        os: OperatingSystem::Windows,
        price: None,
        public_address: None,
        private_address: None,
        ..machine
    };
    insta::assert_snapshot!("instance_created_bare", send(&bare));
}

/// An account that wants to be told.
fn listener(world: &World, name: &str) -> Id {
    let id = world.user(name, Role::User);
    world.change::<User>(id, |user| user.spec.notifications = true);
    id
}

#[test]
fn each_member_who_wants_to_is_told_once() {
    let world = World::new();
    let site = world.site("lab");
    let (bob, eve) = (listener(&world, "bob"), listener(&world, "eve"));
    let quiet = world.user("quiet", Role::User);
    let closed = listener(&world, "closed");
    world.change::<User>(closed, |user| user.spec.enabled = false);
    listener(&world, "stranger");
    let (crew, band) = (world.team("crew", [bob, quiet, closed]), world.team("band", [eve, bob]));
    let project = world.project("green", [crew, band], [site.region]);
    let addresses = |mails: Vec<Mail>| mails.into_iter().filter_map(|mail| mail.to).collect::<Vec<_>>();
    assert_eq!(addresses(world.mails()), ["bob@example.org", "eve@example.org"]);
    let spec = world.get::<Project>(project).spec;
    assert_eq!(recipients(&spec, &world.snapshot()), ["bob@example.org", "eve@example.org"]);

    world
        .call("create_project_region_kompute")
        .to([project, site.region])
        .query("public=true")
        .body(json!({ "name": "web", "memory": size::GIB, "vcpus": 1, "disk": 10 * size::GIB }))
        .ok();
    let mails = world.mails();
    assert_eq!(mails.len(), 4);
    let text = mails[3].text.expose();
    for part in ["web", "lab.example.org", "debian (Linux)", "192.0.2.", "10.1.0.", "1 GiB"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

mod outbox {
    use super::*;

    fn world_with_mails(count: usize) -> (World, Vec<Id>) {
        let world = World::new();
        let ids = (0..count)
            .map(|number| {
                let to = Some(format!("u{number}@example.org"));
                world.put(Mail { to, subject: format!("Mail {number}"), text: secret() })
            })
            .collect();
        (world, ids)
    }

    #[test]
    fn operators_read_it_in_order_and_in_pages() {
        let (world, ids) = world_with_mails(3);
        let list = |query: &str| world.call("list_mails").query(query).ok();
        let all = list("");
        let subjects: Vec<&Value> = all.as_array().unwrap().iter().map(|mail| &mail["subject"]).collect();
        assert_eq!(subjects, ["Mail 0", "Mail 1", "Mail 2"]);
        let expected = json!({
            "id": ids[0], "to": "u0@example.org", "subject": "Mail 0", "text": SECRET,
            "created_at": "2027-01-15T08:00:00.000Z", "state": "queued", "attempts": 0,
        });
        assert_eq!(all[0], expected);
        assert_eq!(world.call("read_mail").to([ids[0]]).ok(), expected);
        let page = list(&format!("after={}&limit=1", ids[0]));
        assert_eq!(page.as_array().unwrap().len(), 1);
        assert_eq!(page[0]["subject"], json!("Mail 1"));
        world.call("list_mails").query("limit=0").refused(400);
        world.call("list_mails").query("expand=true").refused(400);
    }

    #[test]
    fn nobody_else_reads_the_keys_in_it() {
        let (world, ids) = world_with_mails(1);
        for role in [Role::User, Role::ProjectAdmin] {
            // Not even the one whom the mail is for.
            let account = world.user(if role == Role::User { "u0" } else { "lead" }, role);
            world.call("list_mails").by(account).refused(403);
            world.call("read_mail").by(account).to([ids[0]]).refused(403);
            world.call("retry_mail").by(account).to([ids[0]]).refused(403);
            world.call("delete_mail").by(account).to([ids[0]]).refused(403);
        }
        world.call("list_mails").by_nobody().refused(401);
    }

    #[test]
    fn what_was_given_up_is_tried_again() {
        let (world, ids) = world_with_mails(1);
        let failed = MailStatus {
            state: MailState::Failed,
            attempts: 9,
            next_attempt: Some(world.now),
            error: Some("no route".to_owned()),
        };
        world.change::<Mail>(ids[0], |mail| mail.status = failed);
        let body = world.call("read_mail").to([ids[0]]).ok();
        assert_eq!((&body["state"], &body["error"]), (&json!("failed"), &json!("no route")));
        world.call("retry_mail").to([ids[0]]).ok();
        assert_eq!(world.get::<Mail>(ids[0]).status, MailStatus::default());

        world.change::<Mail>(ids[0], |mail| mail.status.state = MailState::Sent);
        world.call("retry_mail").to([ids[0]]).refused(409);
        let stray = world.put(Mail { to: None, subject: "Key".to_owned(), text: secret() });
        world.call("retry_mail").to([stray]).refused(422);
        world.call("delete_mail").to([stray]).ok();
        world.call("read_mail").to([stray]).refused(404);
    }
}
