//! The host's links, as far as segments have to do with them. Pure data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use freehold_types::Id;
use ipnet::IpNet;

/// UDP port of VXLAN, as assigned by IANA.
pub(super) const VXLAN_PORT: u16 = 4789;

/// All links by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct World {
    pub(super) links: BTreeMap<String, Link>,
    /// The kernel hands packets between ports of a bridge to the host's firewall.
    pub(super) filters_bridges: bool,
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
    /// Settings of the host's own part in what the link carries, as far as the kernel has them.
    pub(super) switches: BTreeMap<Switch, u8>,
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) address: IpNet,
    /// Set by us.
    pub(super) ours: bool,
}

/// A setting of the host's own part in what a link carries. The values are the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Switch {
    /// 1: the host has no IPv6 on the link.
    DisableIpv6,
    /// 1: the host answers for addresses of this link only; 8: for none.
    ArpIgnore,
    /// 1: packets are taken only from senders that the link leads to; 2: that any link leads to.
    SourceCheck,
}

impl Switch {
    pub(super) const ALL: [Self; 3] = [Self::DisableIpv6, Self::ArpIgnore, Self::SourceCheck];

    /// The file of the setting; absent where the kernel has no such protocol.
    pub(super) fn path(self, link: &str) -> PathBuf {
        let (protocol, file) = match self {
            Self::DisableIpv6 => ("ipv6", "disable_ipv6"),
            Self::ArpIgnore => ("ipv4", "arp_ignore"),
            Self::SourceCheck => ("ipv4", "rp_filter"),
        };
        PathBuf::from(format!("/proc/sys/net/{protocol}/conf/{link}/{file}"))
    }
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
    pub(super) fn fresh(kind: Kind, mtu: u32) -> Self {
        Self {
            kind,
            mark: Mark::HalfMade,
            up: false,
            mtu,
            master: None,
            addresses: Vec::new(),
            default_route: false,
            flood: BTreeSet::new(),
            switches: Switch::ALL.into_iter().map(|switch| (switch, 0)).collect(),
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
