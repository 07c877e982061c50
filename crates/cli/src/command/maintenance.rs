//! `maintenance`: hypervisors that take no new machines.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::arguments::{OutputArgs, WaitArgs};
use super::migrate;
use crate::client::{Method, Request};
use crate::directory::Scope;
use crate::error::{Error, Failure, Result};
use crate::kind;
use crate::render::{Format, Style, Table, TableCell, duration, json, ordered, yaml};
use crate::session::{Session, Waiting};

#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// Place no new machine there; those that run stay
    Enable {
        /// Names or ids
        #[arg(value_name = "HYPERVISOR", required = true)]
        names: Vec<String>,
    },
    /// Enable it, and move the machines elsewhere
    Evacuate(EvacuateArgs),
    /// Place machines there again; ends an evacuation
    Disable {
        /// Names or ids
        #[arg(value_name = "HYPERVISOR", required = true)]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct EvacuateArgs {
    /// Name or id
    #[arg(value_name = "HYPERVISOR")]
    name: String,
    /// Shut guests down first, and start them elsewhere
    #[arg(long)]
    cold: bool,
    /// How long machines are sent away, at most; 24 hours when it does not say
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deadline: Option<Duration>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(command: &MaintenanceCommand, session: &Session<'_>) -> Result<()> {
    let (names, verb, told) = match command {
        MaintenanceCommand::Evacuate(args) => return evacuate(args, session),
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

/// Shows what would be done, asks, and has it done.
fn evacuate(args: &EvacuateArgs, session: &Session<'_>) -> Result<()> {
    let kind = kind::find("hypervisor")?;
    let host = session.directory.find(kind, &args.name, &Scope::EMPTY)?;
    let path = format!("{}/{}/evacuation", kind.path, host.id());
    let live = if args.cold { "false" } else { "true" };
    let look = Request::get(path.as_str()).query("live", live);
    let outlook = session.send(&format!("plan the evacuation of {}", host.name()), &look)?.body;
    show(&outlook, args.output.output, session)?;
    if args.dry_run {
        return Ok(());
    }
    if !args.yes {
        match session.terminal.confirm(&format!("Evacuate {}?", host.name()))? {
            Some(true) => {}
            Some(false) => return Err(Error::new(Failure::General, "nothing was moved")),
            None => {
                let error = Error::usage("an evacuation needs a yes");
                return Err(error.hint("give `--yes` where nobody can be asked, or `--dry-run` to look only"));
            }
        }
    }
    let mut start = Request::new(Method::Patch, path.as_str()).query("live", live);
    if let Some(deadline) = args.deadline {
        start = start.query("deadline", deadline.as_secs().to_string());
    }
    session.send(&format!("evacuate {}", host.name()), &start)?;
    match args.wait.wait {
        None => {
            session.terminal.note(&format!("{} takes no new machines, and is being emptied.", host.name()));
            Ok(())
        }
        Some(limit) => follow(host.name(), &path, Waiting::up_to(limit), session),
    }
}

/// Watches an evacuation until nothing moves any more.
fn follow(name: &str, path: &str, waiting: Waiting, session: &Session<'_>) -> Result<()> {
    let count =
        |outlook: &Value, field: &str| outlook.get(field).and_then(Value::as_array).map_or(0, Vec::len);
    let mut left = (0, 0);
    let ended = session.poll(format!("evacuating {name}"), waiting, |spinner| {
        let outlook = session.client.get(path)?;
        left = (count(&outlook, "moves"), count(&outlook, "stuck"));
        spinner.say(format!("evacuating {name}: {} to move, {} stuck", left.0, left.1));
        Ok((left.0 == 0).then_some(()))
    })?;
    match (ended, left) {
        (Some(()), (_, 0)) => {
            session.terminal.note(&format!("{name} is empty."));
            Ok(())
        }
        (Some(()), (_, stuck)) => Err(Error::new(
            Failure::General,
            format!("what cannot move stays on {name}: {stuck} of its machines"),
        )
        .hint(format!("see why with `freehold maintenance evacuate {name} --dry-run`"))),
        (None, (moving, _)) => Err(Error::new(
            Failure::TimedOut,
            format!("{name} is not empty yet: {moving} of its machines are still to move"),
        )
        .hint("the evacuation goes on; wait longer with `--wait=DURATION`")),
    }
}

fn show(outlook: &Value, format: Format, session: &Session<'_>) -> Result<()> {
    let list = |field: &str| outlook.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let text =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (moves, stuck) = (list("moves"), list("stuck"));
    match format {
        Format::Json => return session.terminal.print(&json(outlook)?),
        Format::Yaml => return session.terminal.print(&yaml(&ordered(std::slice::from_ref(outlook))?)?),
        Format::Table | Format::Wide | Format::Name | Format::Id => {}
    }
    if moves.is_empty() && stuck.is_empty() {
        session.terminal.note("No machine is on it.");
        return Ok(());
    }
    let names = session.directory.names(&["hypervisor", "instance"])?;
    let mut table = Table::new(["MACHINE", "TO", "HOW, OR WHY NOT"]);
    for plan in &moves {
        let id = text(plan, "instance");
        let name = names.get("instance", &id).unwrap_or(id);
        table.row([name, migrate::host(plan, "target", &names), migrate::manner(plan).to_owned()]);
    }
    for obstacle in &stuck {
        let reason = TableCell { text: text(obstacle, "reason"), style: Style::Bad };
        table.row([text(obstacle, "name").into(), "-".into(), reason]);
    }
    session.terminal.print(&table.render())
}
