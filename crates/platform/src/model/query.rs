//! Questions that renderers and checks ask of a platform.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Interface, Machine, Platform, Role};
use crate::words::{HostName, LinkName, Members};

impl Platform {
    /// The groups of a machine, those of its groups included; the weakest first, each once.
    pub fn groups_of(&self, machine: &Machine) -> Vec<&str> {
        let mut found = Vec::new();
        for group in &machine.groups {
            self.collect_groups(group.as_str(), &mut Vec::new(), &mut found);
        }
        found
    }

    fn collect_groups<'a>(&'a self, name: &str, above: &mut Vec<&'a str>, found: &mut Vec<&'a str>) {
        let Some((name, group)) = self.groups.get_key_value(name) else { return };
        if above.contains(&name.as_str()) || found.contains(&name.as_str()) {
            return;
        }
        above.push(name.as_str());
        for parent in &group.groups {
            self.collect_groups(parent.as_str(), above, found);
        }
        above.pop();
        found.push(name.as_str());
    }

    /// The machines that a list of machines and groups means, in the order of the list, each once.
    pub fn members<'a>(&'a self, members: &[Members]) -> Vec<&'a HostName> {
        let mut found: Vec<&HostName> = Vec::new();
        for member in members {
            let named = self.machines.get_key_value(member.as_str()).map(|(name, _)| name);
            let of_group = self
                .machines
                .iter()
                .filter(|(_, machine)| self.groups_of(machine).contains(&member.as_str()))
                .map(|(name, _)| name);
            let all: Vec<&HostName> = match named {
                Some(name) => vec![name],
                None => of_group.collect(),
            };
            for name in all {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        found
    }

    /// Every machine with what it does.
    pub fn roles_by_machine(&self) -> Vec<(&HostName, &Machine, BTreeSet<Role>)> {
        let assigned: Vec<(Role, BTreeSet<&HostName>)> = self
            .roles
            .iter()
            .map(|(role, members)| (*role, self.members(members).into_iter().collect()))
            .collect();
        let roles = |name: &HostName, machine: &Machine| {
            let from_table =
                assigned.iter().filter(|(_, members)| members.contains(name)).map(|(role, _)| *role);
            machine.roles.iter().copied().chain(from_table).collect()
        };
        self.machines.iter().map(|(name, machine)| (name, machine, roles(name, machine))).collect()
    }

    /// The machines with a role, by name.
    pub fn machines_with(&self, role: Role) -> Vec<&HostName> {
        let all = self.roles_by_machine();
        all.into_iter().filter(|(_, _, roles)| roles.contains(&role)).map(|(name, _, _)| name).collect()
    }

    /// The address of a machine on a network; on that of its default route without one.
    pub fn address(&self, machine: &Machine, network: Option<&str>) -> Option<IpAddr> {
        let network = network.or_else(|| machine.default_network())?;
        let on =
            |interface: &&Interface| interface.network.as_ref().is_some_and(|name| name.as_str() == network);
        let cidr = self.networks.get(network)?.cidr;
        let addresses = machine.interfaces.values().filter(on).flat_map(|interface| &interface.addresses);
        addresses.map(|address| address.ip).find(|ip| cidr.contains(*ip))
    }

    /// A machine's name with the platform's domain.
    pub fn full_name(&self, machine: &HostName) -> String {
        format!("{machine}.{}", self.domain)
    }
}

impl Machine {
    /// The interface of the default route.
    pub fn default_interface(&self) -> Option<(&LinkName, &Interface)> {
        self.interfaces.iter().find(|(_, interface)| interface.default_route)
    }

    /// The network of the default route; without one, the first network with an address.
    pub fn default_network(&self) -> Option<&str> {
        let with_address =
            || self.interfaces.values().find(|one| one.network.is_some() && !one.addresses.is_empty());
        let interface = self.default_interface().map(|(_, interface)| interface).or_else(with_address)?;
        interface.network.as_ref().map(crate::words::NetworkName::as_str)
    }
}
