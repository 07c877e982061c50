//! `freehold down`: ends the process that runs a home, in order. Machines keep running.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rustix::process::{Signal, kill_process};

use super::up::DEFAULT_HOME;
use crate::home::Home;

/// How long an orderly end may take.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Directory of the cloud
    #[arg(long, value_name = "DIR", default_value = DEFAULT_HOME)]
    home: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let home = Home::existing(&arguments.home)?;
    let told = |text: &str| writeln!(std::io::stderr().lock(), "{text}");
    if stop(&home)? {
        told("stopped; machines keep running, and `freehold up` takes them up again")?;
    } else {
        told("nothing was running")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends the process of a home and waits for it. `false` when there was none.
pub(super) fn stop(home: &Home) -> Result<bool> {
    let Some(process) = home.process()? else { return Ok(false) };
    kill_process(process, Signal::TERM)?;
    let since = Instant::now();
    while home.process()?.is_some() {
        if since.elapsed() > PATIENCE {
            bail!(
                "process {} did not end within {} s; see {}",
                process.as_raw_nonzero(),
                PATIENCE.as_secs(),
                home.log().display()
            );
        }
        sleep(Duration::from_millis(50));
    }
    Ok(true)
}
