//! The host's links, as far as segments have to do with them. Pure data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use freehold_types::Id;
use ipnet::IpNet;

/// UDP port of VXLAN, as assigned by IANA.
pub(super) const VXLAN_PORT: u16 = 4789;

/// All links by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct World {
    pub(super) links: BTreeMap<String, Link>,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) kind: Kind,
    pub(super) mark: Mark,
    pub(super) up: bool,
    pub(super) mtu: u32,
    /// Name of the bridge or bond that it is a port of.
    pub(super) master: Option<String>,
    pub(super) addresses: Vec<Held>,
    pub(super) default_route: bool,
    /// Where a VXLAN device sends what it has no other place for.
    pub(super) flood: BTreeSet<IpAddr>,
    /// Whether the host takes part in IPv6 on it.
    pub(super) ipv6: bool,
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) address: IpNet,
    /// Set by us.
    pub(super) ours: bool,
}

/// Whose a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Not ours.
    Foreign,
    /// Ours, from a call that was cut off before it could say for which segment.
    HalfMade,
    /// Of this segment.
    Of(Id),
}

/// What a link is, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bridge { plain: bool },
    Vlan { uplink: Option<String>, tag: u16 },
    Vxlan { vni: u32, port: u16, local: Option<IpAddr>, learning: bool },
    Other,
}

impl Kind {
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Bridge { .. } => "bridge",
            Self::Vlan { .. } => "VLAN interface",
            Self::Vxlan { .. } => "VXLAN interface",
            Self::Other => "interface",
        }
    }
}

impl Link {
    /// A link as the kernel makes it.
    pub(super) const fn fresh(kind: Kind, mtu: u32) -> Self {
        Self {
            kind,
            mark: Mark::HalfMade,
            up: false,
            mtu,
            master: None,
            addresses: Vec::new(),
            default_route: false,
            flood: BTreeSet::new(),
            ipv6: true,
        }
    }

    /// Addresses that someone gave it, beyond those that each interface gives itself.
    pub(super) fn given_addresses(&self) -> impl Iterator<Item = IpNet> {
        self.addresses.iter().map(|held| held.address).filter(|address| match address.addr() {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        })
    }
}

impl World {
    pub(super) fn get(&self, name: &str) -> Option<&Link> {
        self.links.get(name)
    }

    /// Names of the ports of a bridge.
    pub(super) fn ports(&self, bridge: &str) -> impl Iterator<Item = (&str, &Link)> {
        self.links
            .iter()
            .filter(move |(_, link)| link.master.as_deref() == Some(bridge))
            .map(|(name, link)| (name.as_str(), link))
    }

    /// Links that bear the mark of a segment.
    pub(super) fn marked(&self, segment: Id) -> impl Iterator<Item = (&str, &Link)> {
        self.links
            .iter()
            .filter(move |(_, link)| link.mark == Mark::Of(segment))
            .map(|(name, link)| (name.as_str(), link))
    }

    /// Whether an address is one of this host.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.links.values().flat_map(|link| &link.addresses).any(|held| held.address.addr() == address)
    }
}
