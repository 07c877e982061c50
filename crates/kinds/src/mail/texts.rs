//! What the mails say. Plain text in lines of at most 72 columns, links and names apart.
//!
//! Keys, passwords and links stand in the text only: subjects are shown on locked screens and kept in logs.

use std::fmt::Write;
use std::net::Ipv4Addr;

use freehold_store::Snapshot;
use freehold_types::wire::{AgentType, OperatingSystem, Role};
use freehold_types::{Id, Secret, size};

use super::Mail;
use crate::agent::Agent;
use crate::cost::Price;
use crate::environment::Environment;
use crate::project::Project;
use crate::region::Region;
use crate::session::pages;
use crate::subnet::Subnet;
use crate::token::Issued;
use crate::user::User;

/// Welcomes a new account, with the link that confirms its address.
pub fn welcome(id: Id, user: &User, token: &Secret<String>, environment: &Environment) -> Mail {
    let facts = rows(&[
        ("Name", user.name.clone()),
        ("Role", role(user.role).to_owned()),
        ("Notifications", if user.notifications { "on" } else { "off" }.to_owned()),
    ]);
    let text = format!(
        "an account was made for you on the cloud at\n\
         {}\n\
         \n\
         {facts}\
         \n\
         Please confirm within seven days that this address is yours:\n\
         \n\
         {}\n\
         \n\
         If you do not know what this is about, do nothing: without your\n\
         confirmation the account stays closed.\n",
        environment.public_url,
        link(pages::CONFIRM, id, token, environment),
    );
    to_user(user, "Welcome: please confirm your account", &text, environment)
}

/// Carries the link that renews a forgotten password.
pub fn reset_link(id: Id, user: &User, token: &Secret<String>, environment: &Environment) -> Mail {
    let text = format!(
        "somebody, hopefully you, asked for a new password for your account.\n\
         This link gets you one, within an hour and once:\n\
         \n\
         {}\n\
         \n\
         If it was not you, do nothing: your password stays as it is.\n",
        link(pages::FORGOT, id, token, environment),
    );
    to_user(user, "You forgot your password?", &text, environment)
}

/// Carries a new password.
pub fn new_password(user: &User, password: &Secret<String>, environment: &Environment) -> Mail {
    let text = format!(
        "your password was renewed, as you asked. The new one is\n\
         \n    {}\n\
         \n\
         All sessions of your account have ended. Please log in with it, and\n\
         choose a password of your own, since mail is no safe place for one.\n",
        password.expose(),
    );
    to_user(user, "Your password was renewed", &text, environment)
}

/// Carries a new API key of an account.
pub fn user_key(user: &User, issued: &Issued, environment: &Environment) -> Mail {
    let text = format!(
        "your account has a new API key. It is shown here only, so keep it well:\n\
         \n    {}\n\
         \n\
         {}\
         Programs send it in the header X-API-Key. An earlier key, if there was\n\
         one, has stopped working. If you did not ask for a key, delete the\n\
         token {} at once.\n",
        issued.key.expose(),
        expiry(issued),
        issued.id,
    );
    to_user(user, "Your new API key", &text, environment)
}

/// Carries a new key of an agent, to the administrator if there is one.
pub fn agent_key(id: Id, agent: &Agent, issued: &Issued, environment: &Environment) -> Mail {
    let facts = rows(&[
        ("Agent", agent.name.clone()),
        ("Id", id.to_string()),
        ("Type", agent_type(agent.role).to_owned()),
    ]);
    let text = format!(
        "Hello,\n\
         \n\
         an agent has a new key. It is shown here only, so keep it well:\n\
         \n    {}\n\
         \n\
         {facts}\
         \n\
         {}\
         Put it into the configuration of the agent's node. An earlier key, if\n\
         there was one, has stopped working.\n\
         {}",
        issued.key.expose(),
        expiry(issued),
        signature(environment),
    );
    Mail {
        to: environment.admin_email.clone(),
        subject: format!("New key of the agent {}", agent.name),
        text: Secret::new(text),
    }
}

/// Tells a member of a new project. Its private subnets must be in the snapshot.
pub fn project_created(
    to: String,
    (id, project): (Id, &Project),
    snapshot: &Snapshot,
    environment: &Environment,
) -> Mail {
    let quotas = &project.quotas;
    let facts = rows(&[
        ("Name", project.name.clone()),
        ("Id", id.to_string()),
        ("Domain", project.domain.clone().unwrap_or_else(|| "none".to_owned())),
        ("Instances", quota(u64::from(quotas.instances), |count| count.to_string())),
        ("Virtual CPUs", quota(u64::from(quotas.vcpus), |count| count.to_string())),
        ("Memory", quota(quotas.memory, size::display)),
        ("Storage", quota(quotas.storage, size::display)),
    ]);
    let mut networks = String::new();
    for (region, subnet) in &project.subnets {
        let (Some(region), Some(subnet)) = (snapshot.get::<Region>(*region), snapshot.get::<Subnet>(*subnet))
        else {
            continue;
        };
        // Writing to a string cannot fail.
        let _ = write!(
            networks,
            "\nIts network in the region {}:\n\n{}",
            region.spec.name,
            rows(&[
                ("Addresses", subnet.spec.cidr.to_string()),
                ("Gateway", subnet.spec.gateway.to_string()),
                ("DNS", subnet.spec.resolver().to_string()),
            ])
        );
    }
    let text = format!(
        "Hello,\n\
         \n\
         a team of yours has a new project. Machines can be made in it at\n\
         {}\n\
         \n\
         {facts}\
         {networks}\
         {}",
        environment.public_url,
        signature(environment),
    );
    Mail { to: Some(to), subject: format!("New project {}", project.name), text: Secret::new(text) }
}

/// What there is to say of a new instance. Its parts may be of the same transaction, so they are given.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    pub name: &'a str,
    pub domain: Option<&'a str>,
    /// Of its system disk; none when that was not made of one.
    pub image: Option<&'a str>,
    pub os: OperatingSystem,
    pub vcpus: u32,
    /// Bytes.
    pub memory: u64,
    pub adapters: usize,
    pub volumes: usize,
    /// The account that its owner logs in with.
    pub account: &'a str,
    /// In clear; this mail is the only place that shows a generated one.
    pub root_password: &'a Secret<String>,
    /// Of a month, for CPU and memory; none while it is not known.
    pub price: Option<&'a Price>,
    pub public_address: Option<Ipv4Addr>,
    pub private_address: Option<Ipv4Addr>,
}

/// Tells a member of a new instance.
pub fn instance_created(to: String, machine: &Machine<'_>, environment: &Environment) -> Mail {
    let (system, administrator) = match machine.os {
        OperatingSystem::Linux => ("Linux", "root"),
        OperatingSystem::Windows => ("Windows", "Admin"),
    };
    let mut facts = vec![
        ("Host name", machine.name.to_owned()),
        ("Domain", machine.domain.unwrap_or("none").to_owned()),
        ("System", machine.image.map_or_else(|| system.to_owned(), |image| format!("{image} ({system})"))),
        ("Virtual CPUs", machine.vcpus.to_string()),
        ("Memory", size::display(machine.memory)),
        ("Adapters", machine.adapters.to_string()),
        ("Disks", machine.volumes.to_string()),
        ("Account", machine.account.to_owned()),
    ];
    let addresses =
        [("Private address", machine.private_address), ("Public address", machine.public_address)];
    facts.extend(addresses.into_iter().filter_map(|(label, address)| Some((label, address?.to_string()))));
    facts.extend(
        machine
            .price
            .map(|price| ("Monthly cost", format!("{:.2} {}, disks apart", price.amount, price.currency))),
    );
    let text = format!(
        "Hello,\n\
         \n\
         a project of yours has a new instance. It is managed at\n\
         {}\n\
         \n\
         {}\
         \n\
         The password of {administrator}, shown here only, is\n\
         \n    {}\n\
         {}",
        environment.public_url,
        rows(&facts),
        machine.root_password.expose(),
        signature(environment),
    );
    Mail { to: Some(to), subject: format!("New instance {}", machine.name), text: Secret::new(text) }
}

fn to_user(user: &User, subject: &str, text: &str, environment: &Environment) -> Mail {
    let text = format!("Hello {},\n\n{text}{}", user.name, signature(environment));
    Mail { to: Some(user.email.clone()), subject: subject.to_owned(), text: Secret::new(text) }
}

/// Mail programs fold what comes after `-- `.
fn signature(environment: &Environment) -> String {
    format!("\n-- \nFreehold at {}\n", environment.public_url)
}

/// Tokens are letters and digits, so they stand in a link as they are.
fn link(path: &str, id: Id, token: &Secret<String>, environment: &Environment) -> String {
    format!("{}{path}?user={id}&token={}", environment.public_url, token.expose())
}

fn expiry(issued: &Issued) -> String {
    issued.expiration_date.map(|date| format!("It stops working on {date} (UTC).\n\n")).unwrap_or_default()
}

fn quota(amount: u64, display: impl Fn(u64) -> String) -> String {
    if amount == 0 { "unlimited".to_owned() } else { display(amount) }
}

/// Labels and values in two columns.
fn rows(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default() + 1;
    rows.iter().fold(String::new(), |mut text, (label, value)| {
        let label = format!("{label}:");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {label:<width$} {value}");
        text
    })
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::SuperAdmin => "super administrator",
        Role::ProjectAdmin => "project administrator",
        Role::User => "user",
    }
}

/// As it stands in the public contract, where the reader has chosen it.
const fn agent_type(role: AgentType) -> &'static str {
    match role {
        AgentType::Hypervisor => "Kaktus",
        AgentType::Edge => "Kiwi",
        AgentType::Service => "Kontroller",
    }
}
