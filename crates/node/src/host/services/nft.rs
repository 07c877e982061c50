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
    let done = within(Some(namespace.path()), move || {
        let mut child = Command::new("nft")
            .args(["-f", "-"])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(rules.as_bytes())?;
        }
        child.wait_with_output()
    })
    .await?;
    match done {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(HostError::Failed(format!(
            "the packet filter did not take the rules, and keeps those that it had: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(HostError::Refused("nft is not installed: apt-get install nftables".to_owned()))
        }
        Err(error) => Err(HostError::Failed(format!("nft cannot be run: {error}"))),
    }
}
