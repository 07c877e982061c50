//! The commands: one file each. Those of the client are [`freehold_cli`]'s.

mod completions;
mod controller;
mod doctor;
mod down;
mod image;
mod node;
mod platform;
mod secrets;
mod store;
pub(crate) mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::logging;

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole cloud on this machine
    Up(up::Arguments),
    /// Stop what `up` started; machines keep running
    Down(down::Arguments),
    /// Run the controller role
    Controller(controller::Arguments),
    /// Run the node role, on a host of machines
    Node(node::Arguments),
    /// Build guest images
    #[command(subcommand)]
    Image(image::Command),
    /// Declare machines, networks and services in files
    #[command(subcommand)]
    Platform(platform::Command),
    /// Back up and restore the store
    #[command(subcommand)]
    Store(store::Command),
    /// Keep secrets in encrypted files, make them, and issue certificates
    Secrets(secrets::Arguments),
    /// Check that this host can run machines, and say how to mend what it lacks
    Doctor(doctor::Arguments),
    /// Print completions for a shell
    Completions(completions::Arguments),
    #[command(flatten)]
    Client(freehold_cli::Command),
}

/// Carries out a command.
pub(crate) fn run(
    command: Command,
    globals: &freehold_cli::Globals,
    logging: &logging::Options,
) -> Result<ExitCode> {
    match command {
        Command::Up(arguments) => up::run(&arguments, globals.quiet, logging),
        Command::Down(arguments) => down::run(&arguments),
        Command::Controller(arguments) => controller::run(&arguments, logging),
        Command::Node(arguments) => node::run(&arguments, logging),
        Command::Image(command) => image::run(&command, globals.quiet),
        Command::Platform(command) => platform::run(&command, globals.quiet),
        Command::Store(command) => store::run(&command),
        Command::Secrets(arguments) => secrets::run(&arguments, globals.quiet),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Client(command) => Ok(freehold_cli::run(&command, globals)?),
    }
}

/// A runtime for a role.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Returns when the process is asked to end.
async fn ended() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // A closed terminal does not end a role.
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => {}
        }
    }
}
