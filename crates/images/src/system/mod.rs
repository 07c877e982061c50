//! Making a host fit to run machines: its packages, and libvirt.
//!
//! Installing never starts a daemon: [`start_libvirt`] does, and only that one. What is there already stays
//! as it is, except that QEMU and libvirt are brought to one suite when they are not of one: their versions
//! must match. Must not: touch configuration, or networks.

mod command;
mod libvirt;
pub mod packages;
pub mod release;

use std::path::Path;

pub(crate) use command::{find_program, is_root};
pub use libvirt::{Libvirt, observe_libvirt, start_libvirt};

use crate::command::{program, run, run_with_input};
use crate::{ImageError, OsRelease, Progress};
use packages::{Installation, Installed};

/// Keeps maintainer scripts from starting services (Debian policy 9.3.3).
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";
const REFUSE: &[u8] = b"#!/bin/sh\nexit 101\n";
const BACKPORTS_LIST: &str = "/etc/apt/sources.list.d/freehold-backports.list";

/// What is still to be installed before machines can run here; empty when nothing is. Changes nothing.
///
/// # Errors
///
/// On a system whose packages are not known, with what to install there.
pub fn missing_packages() -> Result<Vec<String>, ImageError> {
    Ok(plan()?.packages)
}

/// Installs what is missing and returns what that was. Asks for root through sudo when it is not root.
///
/// # Errors
///
/// On a system whose packages are not known, without root and sudo, or when apt fails.
pub fn ensure_packages(progress: Progress<'_>) -> Result<Vec<String>, ImageError> {
    let plan = plan()?;
    if plan.packages.is_empty() {
        return Ok(plan.packages);
    }
    let what = plan.packages.join(" ");
    let root = command::Elevation::find().ok_or_else(|| {
        ImageError::Host(format!(
            "packages are missing and this user is not root and has no sudo; run as root: \
             apt-get install --no-install-recommends {what}"
        ))
    })?;
    if plan.add_source {
        progress("adding bookworm-backports, where the installed QEMU comes from");
        let line = format!("deb {} {} main\n", debian_mirror()?, packages::BACKPORTS);
        run_with_input(
            root.command("install").args(["-m", "644", "/dev/stdin", BACKPORTS_LIST]),
            "coreutils",
            line.as_bytes(),
        )?;
    }
    progress(&format!("installing {what}"));
    run(root.command("apt-get").args(["update", "--quiet=2"]), "apt")?;
    without_services(root, || {
        let mut install = root.command("env");
        install.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet=2"]);
        install.arg("--no-install-recommends");
        if let Some(suite) = plan.suite {
            install.args(["--target-release", suite]);
        }
        run(install.args(&plan.packages), "apt").map(drop)
    })?;
    Ok(plan.packages)
}

/// The mirror that this host takes Debian 12 itself from; its backports lie there too.
fn debian_mirror() -> Result<String, ImageError> {
    let targets = run(
        program("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE)",
            "Created-By: Packages",
        ]),
        "apt",
    )?;
    targets.lines().find_map(|line| line.strip_suffix(" bookworm").map(str::to_owned)).ok_or_else(|| {
        ImageError::Host("apt knows no mirror of Debian 12; add one to /etc/apt/sources.list".to_owned())
    })
}

fn plan() -> Result<Installation, ImageError> {
    let release = OsRelease::of_host()?;
    let Some(supported) = release.supported() else {
        return Err(ImageError::Unsupported(packages::unknown_release(&release)));
    };
    let installed = run(
        program("dpkg-query").args(["--show", "--showformat", "${db:Status-Status} ${Package} ${Version}\n"]),
        "dpkg",
    )?;
    let policy = run(program("apt-cache").arg("policy"), "apt")?;
    Ok(Installation::plan(supported, &Installed::parse(&installed), policy.contains(packages::BACKPORTS)))
}

/// Runs `action` while services are kept from starting; a policy that the host has already is left alone.
fn without_services(
    root: command::Elevation,
    action: impl FnOnce() -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    if Path::new(SERVICE_POLICY).exists() {
        return action();
    }
    run_with_input(
        root.command("install").args(["-m", "755", "/dev/stdin", SERVICE_POLICY]),
        "coreutils",
        REFUSE,
    )?;
    let outcome = action();
    let removed = run(root.command("rm").args(["-f", SERVICE_POLICY]), "coreutils");
    outcome.and(removed.map(drop))
}
