//! `freehold completions SHELL`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// For which shell
    #[arg(value_enum)]
    shell: freehold_cli::Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    // The generator panics when its reader, such as `head`, has seen enough; memory has no such reader.
    let mut script = Vec::new();
    freehold_cli::completions(arguments.shell, crate::Arguments::command(), &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
