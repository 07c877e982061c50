//! `freehold doctor`: what this host lacks, and how to mend it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use freehold_images::doctor::{Check, Question, Status, judge, probe};
use freehold_types::size::GIB;

use super::up::{DEFAULT_HOME, DEFAULT_LISTEN};
use crate::home::{Credentials, Home};

/// Room for images and a few machines, in bytes.
const ROOM: u64 = 5 * GIB;
/// Memory for the controller and a few small machines, in bytes.
const MEMORY: u64 = 2 * GIB;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Directory of the cloud, for the room that it needs
    #[arg(long, value_name = "DIR", default_value = DEFAULT_HOME)]
    home: PathBuf,
    /// Address that the controller is to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Whether it is the very cloud of this home that listens on the address.
fn runs_here(arguments: &Arguments) -> bool {
    let Ok(home) = Home::existing(&arguments.home) else { return false };
    let listens = |credentials: Credentials| credentials.url.ends_with(&format!("://{}", arguments.listen));
    home.process().is_ok_and(|process| process.is_some()) && home.credentials().is_some_and(listens)
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let room = arguments.home.ancestors().find(|path| path.exists()).unwrap_or(&arguments.home).to_owned();
    let own = runs_here(arguments);
    let listen = if own { Vec::new() } else { vec![arguments.listen] };
    let question = Question { listen, room: vec![(room, ROOM)], memory: MEMORY };
    let mut checks = judge(&probe(&question));
    if own {
        checks.push(Check {
            name: format!("address {}", arguments.listen),
            status: Status::Ok,
            found: format!("the cloud of {} listens there", arguments.home.display()),
            remedy: String::new(),
        });
    }
    let mut stdout = std::io::stdout().lock();
    if arguments.json {
        writeln!(stdout, "{}", serde_json::to_string_pretty(&checks)?)?;
    } else {
        for check in &checks {
            let mark = match check.status {
                Status::Ok => "ok     ",
                Status::Warning => "warning",
                Status::Failed => "FAILED ",
            };
            writeln!(stdout, "{mark}  {}: {}", check.name, check.found)?;
            if !check.remedy.is_empty() {
                writeln!(stdout, "         hint: {}", check.remedy)?;
            }
        }
    }
    let failed = checks.iter().any(|check| check.status == Status::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
