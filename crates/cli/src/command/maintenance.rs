//! `maintenance`: hypervisors that take no new machines.

use clap::Subcommand;

use crate::client::{Method, Request};
use crate::directory::Scope;
use crate::error::Result;
use crate::kind;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// Place no new machine there; those that run stay
    Enable {
        /// Names or ids
        #[arg(value_name = "HYPERVISOR", required = true)]
        names: Vec<String>,
    },
    /// Place machines there again
    Disable {
        /// Names or ids
        #[arg(value_name = "HYPERVISOR", required = true)]
        names: Vec<String>,
    },
}

pub(super) fn run(command: &MaintenanceCommand, session: &Session<'_>) -> Result<()> {
    let (names, verb, told) = match command {
        MaintenanceCommand::Enable { names } => (names, "enable", "takes no new machines"),
        MaintenanceCommand::Disable { names } => (names, "disable", "takes new machines again"),
    };
    let kind = kind::find("hypervisor")?;
    for name in names {
        let host = session.directory.find(kind, name, &Scope::EMPTY)?;
        let path = format!("{}/{}/maintenance/{verb}", kind.path, host.id());
        let what = format!("{verb} maintenance of {}", host.name());
        session.send(&what, &Request::new(Method::Patch, path))?;
        session.terminal.note(&format!("{} {told}.", host.name()));
    }
    Ok(())
}
