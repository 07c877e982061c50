//! Repository chores: `cargo xtask deps | licences | coverage | bench`.
//!
//! A chore reads the checkout and judges it; none changes a source file. All faults are told at once, each
//! with its subject and the remedy, and any fault makes the exit status 1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "chores talk to the person who ran them")]

mod bench;
mod coverage;
mod deps;
mod licences;
mod manifests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

/// Repository chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
enum Chore {
    /// Which crate may use which, what manifests inherit, and whether every kind is registered.
    Deps,
    /// Whether every dependency comes under a licence that this project may be shipped with.
    Licences,
    /// Which rows of the feature checklist are shown by which tests.
    Coverage {
        /// The checklist; without it, and without one beside the checkout, only the tests are looked up.
        #[arg(long, value_name = "PATH")]
        checklist: Option<PathBuf>,
    },
    /// Measures the figures of docs/benchmarks.md on this machine, in release profile.
    Bench {
        /// Passed on; `cargo xtask bench --help` tells them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Chore::parse()) {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            for fault in &faults {
                eprintln!("error: {fault}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a chore and gives the faults it found.
fn run(chore: Chore) -> Result<Vec<String>> {
    let root = root()?;
    match chore {
        Chore::Deps => deps::check(&root),
        Chore::Licences => licences::check(&root),
        Chore::Coverage { checklist } => coverage::check(&root, checklist.as_deref()),
        Chore::Bench { arguments } => bench::run(&root, &arguments),
    }
}

/// The checkout that this program was built from.
fn root() -> Result<PathBuf> {
    let crate_directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crate_directory.ancestors().nth(2).context("the chores were built outside a workspace")?;
    root.canonicalize().with_context(|| {
        format!("{} is gone; build the chores anew where the checkout is now", root.display())
    })
}
