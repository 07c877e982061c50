//! `migrate`: machines from one hypervisor to another.

use clap::Args;
use serde_json::{Value, json};

use super::arguments::WaitArgs;
use crate::client::{Method, Request};
use crate::directory::{Names, Scope};
use crate::error::{Error, Failure, Result};
use crate::kind::{self, Kind};
use crate::object::Object;
use crate::session::{Session, Waiting};

#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Computes or instances: NAME, an id, or KIND/NAME
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Hypervisor to go to; the best of the region when none is given
    #[arg(long, value_name = "HYPERVISOR", conflicts_with = "same_zone")]
    to: Option<String>,
    /// Stay in the zone
    #[arg(long)]
    same_zone: bool,
    /// Shut the guest down first, and start it there
    #[arg(long)]
    cold: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(super) fn run(args: &MigrateArgs, session: &Session<'_>) -> Result<()> {
    let machines = args.names.iter().map(|name| session.machine(name)).collect::<Result<Vec<_>>>()?;
    let request = request(args, session)?;
    for (kind, machine) in &machines {
        let subject = format!("{} {}", kind.name, machine.name());
        let path = format!("{}/{}/kmotion", kind.path, machine.id());
        let ask = Request::new(Method::Post, format!("{path}/plan")).body(request.clone());
        let plan = plan(&subject, &ask, args.wait.wait.map(Waiting::up_to), session)?;
        let names = session.directory.names(&["hypervisor"])?;
        session.terminal.note(&describe(machine.name(), &plan, &names));
        if args.dry_run {
            continue;
        }
        let commit = json!({ "plan": plan.get("id") });
        let commit = Request::new(Method::Patch, format!("{path}/commit")).body(commit);
        session.send(&format!("move {subject}"), &commit)?;
        if let Some(limit) = args.wait.wait {
            follow(kind, machine, &path, Waiting::up_to(limit), session)?;
        }
    }
    Ok(())
}

fn request(args: &MigrateArgs, session: &Session<'_>) -> Result<Value> {
    let live = !args.cold;
    if let Some(host) = &args.to {
        let host = session.directory.find(kind::find("hypervisor")?, host, &Scope::EMPTY)?;
        return Ok(json!({ "destination": "manual", "kaktus": host.id(), "live": live }));
    }
    Ok(json!({ "destination": if args.same_zone { "zone" } else { "auto" }, "live": live }))
}

/// Asks for a plan. Who waits also waits until the last move has left nothing behind.
fn plan(subject: &str, ask: &Request, waiting: Option<Waiting>, session: &Session<'_>) -> Result<Value> {
    let what = format!("plan the move of {subject}");
    let Some(waiting) = waiting else { return session.send(&what, ask).map(|answer| answer.body) };
    let mut refusal = None;
    let planned =
        session.poll(format!("{subject}: planning"), waiting, |_| match session.send(&what, ask) {
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.failure() == Failure::Conflict => {
                refusal = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        })?;
    let silent = || Error::new(Failure::TimedOut, format!("there was no time to {what}"));
    planned.ok_or_else(|| refusal.unwrap_or_else(silent))
}

/// A planned move in a line.
fn describe(name: &str, plan: &Value, names: &Names) -> String {
    format!("{name}: {} -> {}, {}", host(plan, "source", names), host(plan, "target", names), manner(plan))
}

/// The name of a plan's host.
pub(super) fn host(plan: &Value, field: &str, names: &Names) -> String {
    let id = plan.get(field).and_then(Value::as_str).unwrap_or_default();
    names.get("hypervisor", id).unwrap_or_else(|| id.to_owned())
}

/// How a plan moves.
pub(super) fn manner(plan: &Value) -> &'static str {
    if plan.get("live").and_then(Value::as_bool).unwrap_or(true) { "live" } else { "cold" }
}

/// Watches a move to its end.
fn follow(
    kind: &'static Kind,
    machine: &Object,
    path: &str,
    waiting: Waiting,
    session: &Session<'_>,
) -> Result<()> {
    let subject = format!("{} {}", kind.name, machine.name());
    let mut last = String::new();
    let ended = session.poll(format!("{subject}: preparing"), waiting, |spinner| {
        let status = session.client.get(path)?;
        let text = |field: &str| status.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (state, message) = (text("state"), text("message"));
        last = if message.is_empty() { state.clone() } else { format!("{state}: {message}") };
        spinner.say(format!("{subject}: {last}"));
        match state.as_str() {
            "done" => Ok(Some(())),
            "failed" => {
                let what = format!("{subject} stays where it was: {message}");
                Err(Error::new(Failure::General, what)
                    .hint("nothing is lost; mend the cause and move it again"))
            }
            _ => Ok(None),
        }
    })?;
    match ended {
        Some(()) => {
            session.terminal.note(&format!("{} has arrived.", machine.name()));
            Ok(())
        }
        None => Err(Error::new(Failure::TimedOut, format!("{subject} is still on its way ({last})"))
            .hint("it goes on; wait longer with `--wait=DURATION`")),
    }
}
