//! Loads rules into the packet filter of a namespace, as one transaction: all of them, or none.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::daemon::replace;
use super::namespace::Namespace;
use crate::host::HostError;
use crate::host::network::wire::within;

/// Loads rules. Each time, since what was loaded cannot be known from outside: a namespace may be another with the
/// number of an old one, and people change tables by hand. The kernel remembers what is connected apart from them.
pub(super) async fn apply(namespace: &Namespace, directory: &Path, rules: &str) -> Result<(), HostError> {
    load(namespace, rules).await?;
    // For people who look; the kernel holds what counts.
    replace(&directory.join("rules.nft"), rules.as_bytes()).map(drop)
}

async fn load(namespace: &Namespace, rules: &str) -> Result<(), HostError> {
    let rules = rules.to_owned();
    within(Some(namespace.path()), move || load_here(&rules)).await?
}

/// Loads rules into the packet filter of the thread's own namespace. Blocks.
pub(in crate::host) fn load_here(rules: &str) -> Result<(), HostError> {
    let run = || {
        let mut child = nft(&["-f", "-"]).stdin(Stdio::piped()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(rules.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error| missing(&error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(HostError::Failed(format!(
        "the packet filter did not take the rules, and keeps those that it had: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

/// What the packet filter of the thread's own namespace tells; nothing where it has no such thing. Blocks.
pub(in crate::host) fn list_here(arguments: &[&str]) -> Result<Option<String>, HostError> {
    let run = || nft(arguments).stdin(Stdio::null()).spawn()?.wait_with_output();
    let output = run().map_err(|error| missing(&error))?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn nft(arguments: &[&str]) -> Command {
    let mut command = Command::new("nft");
    command
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn missing(error: &std::io::Error) -> HostError {
    if error.kind() == ErrorKind::NotFound {
        return HostError::Refused("nft is not installed: apt-get install nftables".to_owned());
    }
    HostError::Failed(format!("nft cannot be run: {error}"))
}
