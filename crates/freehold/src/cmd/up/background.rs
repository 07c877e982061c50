//! Starting a cloud in the background, and waiting until it is ready.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Arguments, TlsChoice, summary};
use crate::home::Home;
use crate::logging;
use crate::report::Progress;

/// How long everything may take, packages and image included.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often is looked whether it is ready.
const LOOK: Duration = Duration::from_millis(50);

/// Starts the cloud in a process of its own and returns when it is ready.
pub(super) fn start(
    home: &Home,
    arguments: &Arguments,
    quiet: bool,
    logging: &logging::Options,
) -> Result<ExitCode> {
    for stale in [home.ready(), home.progress()] {
        if stale.exists() {
            std::fs::remove_file(&stale).with_context(|| format!("{} cannot be removed", stale.display()))?;
        }
    }
    let mut child = spawn(home, arguments, logging)?;
    let progress = Progress::on_terminal(quiet);
    let (since, mut shown) = (Instant::now(), 0);
    while !home.ready().exists() {
        shown = show(home, &progress, shown);
        if let Some(status) = child.try_wait()? {
            progress.finish();
            bail!(
                "the cloud could not be started ({status}): {}; the log is {}",
                last_words(home),
                home.log().display()
            );
        }
        if since.elapsed() > PATIENCE {
            bail!(
                "the cloud is not ready after {} min; see {}",
                PATIENCE.as_secs() / 60,
                home.log().display()
            );
        }
        sleep(LOOK);
    }
    progress.finish();
    summary::print_existing(home)?;
    Ok(ExitCode::SUCCESS)
}

fn spawn(home: &Home, arguments: &Arguments, logging: &logging::Options) -> Result<Child> {
    let errors = File::create(home.errors()).context("the home cannot be written")?;
    let mut command =
        Command::new(std::env::current_exe().context("this program's own file cannot be found")?);
    command.arg("up").arg("--background").arg("--home").arg(home.path());
    command.args(["--listen", &arguments.listen.to_string()]);
    command
        .args(["--log-format", if logging.log_format == logging::Format::Json { "json" } else { "human" }]);
    command.args(["--log-level", &logging.log_level]);
    match &arguments.tls {
        TlsChoice::SelfMade => {}
        TlsChoice::Off => drop(command.args(["--tls", "off"])),
        TlsChoice::Own { certificate, key } => {
            command.arg("--tls").arg(format!("{},{}", certificate.display(), key.display()));
        }
    }
    if let Some(count) = arguments.simulated {
        command.args(["--simulated", &count.to_string()]);
    }
    for (flag, given) in [("--no-demo", arguments.no_demo), ("--no-install", arguments.no_install)] {
        if given {
            command.arg(flag);
        }
    }
    // A group of its own, so that an interrupt at the terminal does not reach it.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    command.spawn().context("the cloud's own process cannot be started")
}

/// Shows the steps that were begun since the last look.
fn show(home: &Home, progress: &Progress, shown: usize) -> usize {
    let text = std::fs::read_to_string(home.progress()).unwrap_or_default();
    let steps: Vec<&str> = text.lines().collect();
    for step in steps.iter().skip(shown) {
        progress.step(step);
    }
    steps.len()
}

/// What the process said before it ended.
fn last_words(home: &Home) -> String {
    let text = std::fs::read_to_string(home.errors()).unwrap_or_default();
    text.trim().trim_start_matches("error: ").to_owned()
}
