//! `start`, `stop` and the other verbs of machines.

use clap::Args;

use super::arguments::WaitArgs;
use crate::client::{Method, Request};
use crate::error::Result;
use crate::session::{Session, Waiting};

#[derive(Debug, Args)]
pub struct PowerArgs {
    /// Computes or instances: NAME, an id, or KIND/NAME
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

/// What can be done to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
    Shutdown,
    Reboot,
    Reset,
    Suspend,
    Resume,
}

impl Verb {
    /// The last part of its path.
    const fn path(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Shutdown => "shutdown",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    /// The states in which it is done.
    const fn goal(self) -> &'static [&'static str] {
        match self {
            Self::Start | Self::Reboot | Self::Reset | Self::Resume => &["Running"],
            Self::Stop | Self::Shutdown => &["Shutoff"],
            Self::Suspend => &["Paused", "PM Suspended"],
        }
    }

    /// What one calls a machine of which it was done.
    const fn done(self) -> &'static str {
        match self {
            Self::Start | Self::Reboot | Self::Reset | Self::Resume => "running",
            Self::Stop | Self::Shutdown => "off",
            Self::Suspend => "paused",
        }
    }

    /// What was asked of the machine.
    const fn asked(self) -> &'static str {
        match self {
            Self::Start => "told to start",
            Self::Stop => "told to stop",
            Self::Shutdown => "asked to shut down",
            Self::Reboot => "asked to reboot",
            Self::Reset => "told to reset",
            Self::Suspend => "told to pause",
            Self::Resume => "told to go on",
        }
    }
}

pub(super) fn run(verb: Verb, args: &PowerArgs, session: &Session<'_>) -> Result<()> {
    let machines = args.names.iter().map(|name| session.machine(name)).collect::<Result<Vec<_>>>()?;
    for (kind, machine) in &machines {
        let subject = format!("{} {}", kind.name, machine.name());
        let path = format!("{}/{}/{}", kind.path, machine.id(), verb.path());
        let request = Request::new(Method::Patch, path).wait(args.wait.prefer());
        let waiting = args.wait.wait.map(Waiting::up_to);
        let spinner = session.terminal.spinner(format!("{subject}: {}", verb.path()));
        session.send(&format!("{} {subject}", verb.path()), &request)?;
        drop(spinner);
        match waiting {
            None => session.terminal.note(&format!("{} is {}.", machine.name(), verb.asked())),
            Some(waiting) => {
                session.await_state(kind, machine, verb.goal(), waiting)?;
                session.terminal.note(&format!("{} is {}.", machine.name(), verb.done()));
            }
        }
    }
    Ok(())
}
