//! `freehold store backup|restore`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use freehold_store::backend::sqlite;

use super::up::DEFAULT_HOME;
use crate::home::Home;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy the store to a file, also while the controller runs
    Backup {
        /// Directory of the cloud
        #[arg(long, value_name = "DIR", default_value = DEFAULT_HOME)]
        home: PathBuf,
        /// File to write; it must not exist. Keep `secrets.json` of the home with it.
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Put a copy in the place of the store, which must have been moved away
    Restore {
        /// Directory of the cloud
        #[arg(long, value_name = "DIR", default_value = DEFAULT_HOME)]
        home: PathBuf,
        /// The copy
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
    },
}

pub(super) fn run(command: &Command) -> Result<ExitCode> {
    let mut stderr = std::io::stderr().lock();
    match command {
        Command::Backup { home, file } => {
            sqlite::backup(&Home::existing(home)?.store(), file)?;
            writeln!(stderr, "backed up to {}", file.display())?;
        }
        Command::Restore { home, file } => {
            sqlite::restore(file, &Home::existing(home)?.store())?;
            writeln!(stderr, "restored from {}", file.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
