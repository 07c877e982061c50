//! Network services as nodes make them: gateways, load balancers, and the names that edges answer for.
//!
//! Words of the controller-node protocol ([`crate::agent`]); no I/O. A service that stands on several
//! nodes is told to each with that node's own addresses and priorities.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::net::Mac;
use crate::secret::Secret;
use crate::wire::{
    DpdAction, EncryptionAlgorithm, FirewallPolicy, IntegrityAlgorithm, Protocol, StartAction,
};

/// An interface of a service, in a segment of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub segment: Id,
    pub mac: Mac,
    /// Its own address, which never moves.
    pub address: Option<Ipv4Net>,
}

/// One instance of a project's gateway: a network namespace that routes between the private network and
/// the world. Instances on other nodes share its virtual addresses with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    pub name: String,
    pub private: Port,
    /// Towards the world; none for a gateway without public addresses.
    pub public: Option<Port>,
    pub peerings: Vec<Peering>,
    /// What it holds while it is the active one, per zone.
    pub pairs: Vec<Pair>,
    /// Own private addresses of the other instances; without any, it holds all pairs.
    pub peers: Vec<Ipv4Addr>,
    pub firewall: Firewall,
    pub forwards: Vec<Forward>,
    pub tunnels: Vec<Tunnel>,
    /// Machines that may ask for their address by DHCP.
    pub leases: Vec<Lease>,
    /// Where questions for names are passed on to; none: it answers none.
    pub resolvers: Vec<IpAddr>,
    /// Domain of the project.
    pub domain: Option<String>,
}

/// The virtual addresses of a zone, which move together under one VRRP identifier (RFC 5798).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub vrid: u8,
    /// Of this instance; the highest one that lives holds the addresses.
    pub priority: u8,
    pub private: Ipv4Net,
    pub public: Option<PublicAddress>,
}

/// A virtual address towards the world, and the router behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicAddress {
    pub address: Ipv4Net,
    pub gateway: Ipv4Addr,
}

/// What may pass between the private network and the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firewall {
    /// What may come in, towards the gateway and what it forwards; `remote` is the source.
    pub ingress: Vec<Opening>,
    pub egress_policy: FirewallPolicy,
    /// Exceptions from the policy; `remote` is the destination.
    pub egress: Vec<Opening>,
}

/// Traffic that a rule names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub remote: Ipv4Net,
    pub protocol: Protocol,
    pub ports: Ports,
}

/// Ports of the public addresses that lead to a machine, unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    pub to: Ipv4Addr,
    pub protocol: Protocol,
    pub ports: Ports,
}

/// Another subnet that the gateway has an interface in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peering {
    pub port: Port,
    pub subnet: Ipv4Net,
    pub policy: FirewallPolicy,
    /// Exceptions from the policy for traffic from the subnet.
    pub ingress: Vec<PeeringRule>,
    /// Exceptions from the policy for traffic to the subnet.
    pub egress: Vec<PeeringRule>,
}

/// Traffic that a peering's rule names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeeringRule {
    pub protocol: Protocol,
    pub ports: Ports,
}

/// An IPsec connection (IKEv2 with a pre-shared key) to a foreign network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    pub id: Id,
    pub name: String,
    /// The public virtual address at this end.
    pub local: Ipv4Addr,
    pub remote: Ipv4Addr,
    pub local_subnet: Ipv4Net,
    pub remote_subnet: Ipv4Net,
    pub secret: Secret<String>,
    pub dpd_action: DpdAction,
    /// Seconds.
    pub dpd_timeout: u64,
    pub start_action: StartAction,
    /// Seconds.
    pub rekey_time: u64,
    pub phase1: Proposal,
    pub phase2: Proposal,
    /// What may come in through it; everything when empty.
    pub ingress: Vec<Opening>,
}

/// The algorithms of a phase, and how long its keys live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Seconds.
    pub lifetime: u64,
    /// Number of the Diffie-Hellman group (IANA, IKEv2 transform type 4).
    pub group: u8,
    pub integrity: IntegrityAlgorithm,
    pub encryption: EncryptionAlgorithm,
}

/// A machine's address, given by DHCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub mac: Mac,
    pub address: Ipv4Addr,
    pub host: String,
    /// The private virtual address of its zone.
    pub router: Ipv4Addr,
}

/// One instance of a project's load balancer: a network namespace with a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    pub name: String,
    pub private: Port,
    /// Where it answers while it is the active one.
    pub virtual_address: Ipv4Net,
    pub vrid: u8,
    pub priority: u8,
    /// Own private addresses of the other instances.
    pub peers: Vec<Ipv4Addr>,
    /// Router towards other networks.
    pub router: Option<Ipv4Addr>,
    pub endpoints: Vec<Endpoint>,
}

/// A port that is balanced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub name: String,
    pub protocol: Protocol,
    pub port: u16,
    pub backends: Vec<SocketAddrV4>,
}

/// A directory that machines of a project mount over NFS: a network namespace with a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub name: String,
    /// Where it answers.
    pub private: Port,
    /// Router towards other networks.
    pub router: Option<Ipv4Addr>,
    pub store: ShareStore,
    pub writable: bool,
    /// NFS versions; all when empty.
    pub protocols: Vec<u8>,
    /// Who may mount it.
    pub clients: Vec<Ipv4Net>,
}

/// Where the files of a share are. Each share has a directory of its own there, named by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareStore {
    /// In a directory of the host.
    Directory { path: String },
    /// In a CephFS.
    CephFs { name: String },
}

/// A domain that edges answer for, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsZone {
    /// Without a dot at its end.
    pub domain: String,
    /// Sorted by name; no name twice.
    pub names: Vec<DnsName>,
}

/// A name below a domain, and its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsName {
    /// Relative to the domain; `@` is the domain itself.
    pub name: String,
    /// IPv4 become A, IPv6 AAAA records.
    pub addresses: Vec<IpAddr>,
}

/// What a gateway's instance is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayDetail {
    /// The VRRP identifiers of the pairs that it holds.
    pub active: Vec<u8>,
    #[serde(default)]
    pub tunnels: Vec<TunnelState>,
}

/// How an IPsec connection is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelState {
    pub id: Id,
    pub up: bool,
    /// Why it is not, in words; empty when it is.
    #[serde(default)]
    pub reason: String,
}

/// What a load balancer's instance is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerDetail {
    /// It holds the virtual address.
    pub active: bool,
    pub backends: Vec<BackendState>,
}

/// How a backend is, as the balancer's own checks see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendState {
    pub endpoint: String,
    pub address: SocketAddrV4,
    pub healthy: bool,
    /// Connections so far.
    #[serde(default)]
    pub connections: u64,
}

/// A list of ports and ranges of ports, in ascending order, apart from each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ports(Vec<(u16, u16)>);

/// Why a text does not list ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not list ports; write numbers from 1 to 65535 and ranges, as in 80,443,8000-8099")]
pub struct InvalidPorts(String);

/// Most ports and ranges of a list.
const PORTS_LIMIT: usize = 128;

impl Ports {
    /// First and last port of each range; a single port is both.
    pub fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        self.0.iter().copied()
    }

    /// Whether both lists name some port.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.ranges().any(|(first, last)| other.ranges().any(|range| range.0 <= last && first <= range.1))
    }
}

impl FromStr for Ports {
    type Err = InvalidPorts;

    /// Overlapping and adjoining ranges become one.
    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let invalid = || InvalidPorts(text.to_owned());
        let port = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|port| digits && *port > 0).ok_or_else(invalid)
        };
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (port(first)?, port(last)?);
            if first > last || ranges.len() == PORTS_LIMIT {
                return Err(invalid());
            }
            ranges.push((first, last));
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(held) if u32::from(first) <= u32::from(held.1) + 1 => held.1 = held.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Ok(Self(merged))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (first, last)) in self.ranges().enumerate() {
            f.write_str(if position > 0 { "," } else { "" })?;
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}-{last}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Ports {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_ports_are_read_and_written() {
        let shown = |text: &str| text.parse::<Ports>().map(|ports| ports.to_string());
        assert_eq!(shown("80").unwrap(), "80");
        assert_eq!(shown("443,80").unwrap(), "80,443");
        assert_eq!(shown("8000-8099,80,8050-8100,81").unwrap(), "80-81,8000-8100");
        assert_eq!(shown("1-65535").unwrap(), "1-65535");
        for bad in
            ["", "443, 80", "0", "65536", "80-", "-80", "90-80", "80,,81", "http", "+80", "80;81", "1-2-3"]
        {
            assert!(shown(bad).unwrap_err().to_string().contains("8000-8099"), "{bad}");
        }
        assert!(vec!["80"; PORTS_LIMIT + 1].join(",").parse::<Ports>().is_err());
    }

    proptest! {
        #[test]
        fn a_list_means_what_it_says(ranges in proptest::collection::vec((1u16.., 0u16..300), 1..20)) {
            let ends = |(first, length): &(u16, u16)| (*first, first.saturating_add(*length));
            let text: Vec<String> =
                ranges.iter().map(ends).map(|(first, last)| format!("{first}-{last}")).collect();
            let ports: Ports = text.join(",").parse().unwrap();
            let named = |port: u16| ranges.iter().map(ends).any(|(first, last)| (first..=last).contains(&port));
            let listed = |port: u16| ports.ranges().any(|(first, last)| (first..=last).contains(&port));
            prop_assert!((1..=u16::MAX).all(|port| named(port) == listed(port)));
            prop_assert_eq!(&ports.to_string().parse::<Ports>().unwrap(), &ports);
            prop_assert!(ports.overlaps(&ports));
        }
    }
}
