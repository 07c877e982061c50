//! `group`: the members of an anti-affinity group.

use clap::{Args, Subcommand};

use super::arguments::ResultArgs;
use crate::client::{Method, Request};
use crate::directory::Scope;
use crate::error::Result;
use crate::kind;
use crate::object::Object;
use crate::session::{Session, Shown};

#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Add machines to a group
    Add(MemberArgs),
    /// Remove machines from a group
    Remove(MemberArgs),
}

#[derive(Debug, Args)]
pub struct MemberArgs {
    /// Name or id of the group
    group: String,
    /// Computes or instances: NAME, an id, or KIND/NAME
    #[arg(value_name = "MEMBER", required = true)]
    members: Vec<String>,
    #[command(flatten)]
    result: ResultArgs,
}

pub(super) fn run(command: &GroupCommand, session: &Session<'_>) -> Result<()> {
    let (args, method, verb, told) = match command {
        GroupCommand::Add(args) => (args, Method::Put, "add", "is now in"),
        GroupCommand::Remove(args) => (args, Method::Delete, "remove", "is no longer in"),
    };
    let kind = kind::find("anti-affinity-group")?;
    let group = session.directory.find(kind, &args.group, &Scope::EMPTY)?;
    let members = args.members.iter().map(|member| session.machine(member)).collect::<Result<Vec<_>>>()?;
    for (member_kind, member) in &members {
        let path = format!("{}/{}{}/{}", kind.path, group.id(), member_kind.path, member.id());
        let what = format!("{verb} {} {}", member_kind.name, member.name());
        session.send(&what, &Request::new(method, path))?;
        session.terminal.note(&format!("{} {told} {}.", member.name(), group.name()));
    }
    match args.result.output {
        Some(format) => {
            let group: Object = session.directory.read(kind, group.id())?;
            session.print(kind, &[group], Shown { format, secrets: false }, true)
        }
        None => Ok(()),
    }
}
