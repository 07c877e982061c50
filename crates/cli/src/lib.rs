//! The command line as a client of the public API.
//!
//! [`Command`] is the subcommands, to be flattened into those of the binary; [`Globals`] the flags they
//! share; [`run`] carries one out. It blocks, and must not be called from within an async task.
//!
//! Promises: data on standard output, everything else on standard error; exit codes as
//! [`error::Failure`] tells; secrets are neither taken from arguments nor printed. A kind of object is an
//! entry of [`kind::KINDS`]; no command knows one by name unless it is about that kind alone.

pub mod client;
mod command;
pub mod context;
pub mod directory;
pub mod draft;
pub mod error;
pub mod kind;
mod near;
pub mod object;
pub mod render;
mod session;
pub mod terminal;

use std::io::Write;
use std::process::ExitCode;

pub use clap_complete::Shell;
pub use command::{Command, Globals};
pub use error::{Error, Result};

use context::Environment;
use terminal::Terminal;

/// Carries out a command with the streams and the environment of the process.
///
/// # Errors
/// Ready to be told with [`Error::report`], with [`Error::code`] as exit code.
pub fn run(command: &Command, globals: &Globals) -> Result<ExitCode> {
    let terminal = Terminal::of_process(globals.quiet, globals.verbose > 0);
    command::dispatch(command, globals, &Environment::of_process(), &terminal)
}

/// Carries out a command with streams and an environment of the caller's choice.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    command: &Command,
    globals: &Globals,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<ExitCode> {
    command::dispatch(command, globals, environment, terminal)
}

/// Writes the completions of a whole command line for a shell.
pub fn completions(shell: Shell, mut command: clap::Command, out: &mut dyn Write) {
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, out);
}
