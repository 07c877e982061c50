//! `freehold doctor`: what this host lacks, and how to mend it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use freehold_images::doctor::{Question, Status, judge, probe};
use freehold_types::size::GIB;

use super::up::{DEFAULT_HOME, DEFAULT_LISTEN};

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

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let room = arguments.home.ancestors().find(|path| path.exists()).unwrap_or(&arguments.home).to_owned();
    let question = Question { listen: vec![arguments.listen], room: vec![(room, ROOM)], memory: MEMORY };
    let checks = judge(&probe(&question));
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
