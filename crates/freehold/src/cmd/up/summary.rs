//! What a user needs to know of a cloud that runs.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Arguments, DEFAULT_HOME};
use crate::home::Home;
use crate::setup::demo::Demo;

/// The closing summary, kept in the home while the cloud runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    url: String,
    credentials: PathBuf,
    admin: PathBuf,
    log: PathBuf,
    default_home: bool,
    machine: Option<Machine>,
}

/// How to enter the demo machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Machine {
    name: String,
    address: Ipv4Addr,
    key: PathBuf,
    serial_log: PathBuf,
    simulated: bool,
}

impl Summary {
    pub(super) fn of(home: &Home, arguments: &Arguments, demo: Option<&Demo>) -> Result<Self> {
        let credentials = home.credentials().context("the credentials were not written")?;
        let serial_logs = home.data().join("node").join("machines").join("serial");
        Ok(Self {
            url: credentials.url,
            credentials: home.credentials_file(),
            admin: home.admin_file(),
            log: home.log(),
            default_home: std::path::absolute(DEFAULT_HOME).is_ok_and(|path| path == home.path()),
            machine: demo.map(|demo| Machine {
                name: demo.name.clone(),
                address: demo.address,
                key: home.ssh_key(),
                serial_log: serial_logs.join(format!("{}.log", demo.instance)),
                simulated: arguments.simulated.is_some(),
            }),
        })
    }

    /// Prints it.
    pub(super) fn print(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "Your cloud runs.\n")?;
        writeln!(out, "  API           {}/api/v1", self.url)?;
        writeln!(out, "  Credentials   {}", self.credentials.display())?;
        writeln!(out, "  First account {}", self.admin.display())?;
        writeln!(out, "  Log           {}", self.log.display())?;
        if let Some(machine) = &self.machine {
            writeln!(out, "\n  The machine `{}` runs at {}.", machine.name, machine.address)?;
            if !machine.simulated {
                writeln!(out, "  Log in        ssh -i {} admin@{}", machine.key.display(), machine.address)?;
                writeln!(out, "  Serial log    {}", machine.serial_log.display())?;
            }
        }
        writeln!(out, "\nNext:")?;
        if !self.default_home {
            let home = self.credentials.parent().unwrap_or(&self.credentials);
            writeln!(out, "  freehold context import {}", home.display())?;
        }
        writeln!(out, "  freehold get compute")?;
        if self.machine.is_some() {
            writeln!(out, "  freehold create compute web --project demo --zone home-1 \\")?;
            writeln!(out, "      --vcpus 1 --memory 256M --disk 1G --wait")?;
        } else {
            writeln!(out, "  freehold create project first --team admins --region home")?;
        }
        writeln!(out, "  freehold down")?;
        Ok(())
    }
}

/// Prints the summary of a cloud that runs already.
pub(super) fn print_existing(home: &Home) -> Result<()> {
    let path = home.ready();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the cloud is still starting or stopping; see {}", home.log().display()))?;
    let summary: Summary =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    summary.print()
}
