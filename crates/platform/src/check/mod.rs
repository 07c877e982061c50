//! What the values of a platform must be together. Pure; every check runs, whatever the others find.

mod addresses;
mod ceph;
mod disks;
mod identity;
mod interfaces;
mod kubernetes;
mod networks;
mod ports;
mod reach;
mod roles;
mod secrets;
mod services;
mod users;

use std::collections::BTreeSet;

use crate::fault::Fault;
use crate::model::{Machine, Platform, Role};
use crate::words::HostName;

pub(crate) use secrets::{clear as clear_secrets, hidden, is_secret};

/// What checks look at: the platform, and what each machine does.
struct Context<'a> {
    platform: &'a Platform,
    machines: Vec<(&'a HostName, &'a Machine, BTreeSet<Role>)>,
}

impl<'a> Context<'a> {
    /// The machines with a role, by name.
    fn with(&self, role: Role) -> Vec<(&'a HostName, &'a Machine)> {
        let has = self.machines.iter().filter(|(_, _, roles)| roles.contains(&role));
        has.map(|(name, machine, _)| (*name, *machine)).collect()
    }

    fn count(&self, role: Role) -> usize {
        self.machines.iter().filter(|(_, _, roles)| roles.contains(&role)).count()
    }
}

/// Everything that is wrong with a platform of the right structure.
pub(crate) fn platform(platform: &Platform) -> Vec<Fault> {
    const CHECKS: &[fn(&Context<'_>) -> Vec<Fault>] = &[
        networks::check,
        addresses::check,
        interfaces::check,
        identity::check,
        reach::check,
        disks::check,
        roles::check,
        ceph::check,
        kubernetes::check,
        services::check,
        ports::check,
        users::check,
    ];
    let context = Context { platform, machines: platform.roles_by_machine() };
    CHECKS.iter().flat_map(|check| check(&context)).collect()
}

/// Names joined for a sentence: `a`, `b` and `c`.
fn list(names: &[impl std::fmt::Display]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => format!("`{one}`"),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", rest.join(", "))
        }
    }
}
