//! The binary: one program, several roles. It only assembles; what it says to people is written here.

mod certificates;
mod cmd;
mod files;
mod home;
mod logging;
mod report;
mod setup;

use std::process::ExitCode;

use clap::Parser;

/// Own a cloud instead of renting one.
///
/// Freehold turns machines you own into a private cloud. Start with `freehold up`.
#[derive(Debug, Parser)]
#[command(name = "freehold", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    globals: freehold_cli::Globals,
    #[command(flatten)]
    logging: logging::Options,
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match cmd::run(arguments.command, &arguments.globals, &arguments.logging) {
        Ok(code) => code,
        Err(failure) => report::failure(&failure),
    }
}
