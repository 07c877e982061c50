//! `freehold image build`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use crate::report::Progress;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image from the distribution's packages
    Build {
        /// `tiny` is made in seconds; `debian` is a real Debian with cloud-init
        #[arg(value_enum)]
        kind: Kind,
        /// File to write
        #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Make it again though nothing has changed
        #[arg(long)]
        rebuild: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    Tiny,
    Debian,
}

pub(super) fn run(command: &Command, quiet: bool) -> Result<ExitCode> {
    let Command::Build { kind, out, rebuild } = command;
    let progress = Progress::on_terminal(quiet);
    let mut step = |text: &str| progress.step(text);
    let built = match kind {
        Kind::Tiny => {
            let out = out.clone().unwrap_or_else(|| PathBuf::from("tiny.qcow2"));
            let options = freehold_images::tiny::Options { rebuild: *rebuild, ..Default::default() };
            freehold_images::tiny::build(&out, options, &mut step)?
        }
        Kind::Debian => {
            let out = out.clone().unwrap_or_else(|| PathBuf::from("debian.qcow2"));
            let options = freehold_images::debian::Options { rebuild: *rebuild, ..Default::default() };
            freehold_images::debian::build(&out, &options, &mut step)?
        }
    };
    progress.finish();
    writeln!(
        std::io::stdout().lock(),
        "{}\t{}\tsha256={}",
        built.path.display(),
        freehold_types::size::display(built.bytes),
        built.sha256
    )?;
    Ok(ExitCode::SUCCESS)
}
