//! `freehold completions SHELL`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// For which shell
    #[arg(value_enum)]
    shell: freehold_cli::Shell,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    freehold_cli::completions(arguments.shell, crate::Arguments::command(), &mut std::io::stdout().lock());
    ExitCode::SUCCESS
}
