//! `console`: where the screen of a machine is.

use clap::Args;

use crate::directory::Scope;
use crate::error::{Error, Failure, Result};
use crate::kind;
use crate::session::Session;

#[derive(Debug, Args)]
pub struct ConsoleArgs {
    /// Compute or instance: NAME, an id, or KIND/NAME
    name: String,
}

pub(super) fn run(args: &ConsoleArgs, session: &Session<'_>) -> Result<()> {
    let (kind, machine) = session.machine(&args.name)?;
    let instance_kind = kind::find("instance")?;
    // Screens belong to instances; that of a compute has the same name.
    let instance = if kind.name == instance_kind.name {
        machine
    } else {
        session.directory.find(instance_kind, machine.name(), &Scope::EMPTY)?
    };
    let subject = format!("{} {}", kind.name, instance.name());
    let answer = session
        .client
        .get(format!("{}/{}/connect", instance_kind.path, instance.id()))
        .map_err(|error| error.during(format!("cannot find the screen of {subject}")))?;
    match answer.get("url").and_then(|url| url.as_str()) {
        Some(url) if !url.is_empty() => session.terminal.print(&format!("{url}\n")),
        _ => Err(Error::new(Failure::NotFound, format!("{subject} has no screen now"))
            .hint(format!("start it with `freehold start {}`", instance.name()))),
    }
}
