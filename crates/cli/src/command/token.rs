//! `token`: API keys of users and agents.

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

use super::arguments::ResultArgs;
use crate::client::{Method, Request};
use crate::directory::Scope;
use crate::error::Result;
use crate::kind;
use crate::object::Object;
use crate::session::{Session, Shown};

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Issue a new key, which replaces the former one
    ///
    /// The key itself is never shown: that of a user is mailed to the user, that of an agent to the
    /// administrator. `freehold outbox` shows the mails of a controller that sends none.
    Issue(IssueArgs),
}

#[derive(Debug, Args)]
pub struct IssueArgs {
    /// Whose key
    #[arg(value_enum)]
    owner: Owner,
    /// Name or id
    name: String,
    /// First day (UTC) on which it no longer works, as 2027-01-31
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    expires: Option<Date>,
    #[command(flatten)]
    result: ResultArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Owner {
    /// A user
    User,
    /// An agent; its connection is closed
    Agent,
}

fn read_date(text: &str) -> std::result::Result<Date, String> {
    text.parse().map_err(|_| format!("`{text}` is not a day: write it as 2027-01-31"))
}

pub(super) fn run(command: &TokenCommand, session: &Session<'_>) -> Result<()> {
    let TokenCommand::Issue(args) = command;
    let kind = kind::find(match args.owner {
        Owner::User => "user",
        Owner::Agent => "agent",
    })?;
    let owner = session.directory.find(kind, &args.name, &Scope::EMPTY)?;
    let mut request = Request::new(Method::Patch, format!("{}/{}/token", kind.path, owner.id()))
        .query("expire", args.expires.is_some().to_string());
    if let Some(date) = args.expires {
        request = request.query("expirationDate", date.to_string());
    }
    let subject = format!("{} {}", kind.name, owner.name());
    let answer = session.send(&format!("issue a key for {subject}"), &request)?;
    let receiver = match args.owner {
        Owner::User => owner.at("email").as_str().unwrap_or("the user"),
        Owner::Agent => "the administrator",
    };
    session.terminal.note(&format!("Issued a key for {subject}; it is mailed to {receiver}."));
    match args.result.output {
        Some(format) => {
            let token = Object::from_json(answer.body)?;
            session.print(kind::find("token")?, &[token], Shown { format, secrets: false }, true)
        }
        None => Ok(()),
    }
}
