//! Runs the measurements, which live in a crate of their own so that the other chores build quickly.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Builds the measurements in release profile and runs them.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<Vec<String>> {
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["run", "--release", "--locked", "--quiet", "--package", "freehold-bench", "--"])
        .args(arguments)
        .status()
        .context("cargo cannot be run")?;
    Ok(if status.success() { Vec::new() } else { vec![format!("the measurements ended with {status}")] })
}
