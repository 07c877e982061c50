//! Addresses, networks, ranges and ports.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::word;

/// An IPv4 or IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub IpAddr);
word!(Address, "address", "An IPv4 or IPv6 address");

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Err(format!("`{text}` has a prefix length; write the address alone, such as 10.0.0.7"));
        }
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is not an IP address such as 10.0.0.7 or fd00::7"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A network: its first address and the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(pub IpNet);
word!(Cidr, "cidr", "A network in CIDR notation, such as 10.0.0.0/24");

impl Cidr {
    /// Whether two networks share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether the address lies in it and a machine may have it: not the network's own, not for broadcasts.
    pub fn is_host(&self, address: IpAddr) -> bool {
        let IpNet::V4(net) = self.0 else { return self.contains(address) };
        let small = net.prefix_len() >= 31;
        self.contains(address)
            && (small || (address != IpAddr::V4(net.network()) && address != IpAddr::V4(net.broadcast())))
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net: IpNet = text
            .parse()
            .map_err(|_| format!("`{text}` is not a network such as 10.0.0.0/24 or fd00::/64"))?;
        if net.addr() == net.network() {
            Ok(Self(net))
        } else {
            Err(format!("`{text}` is an address within a network; the network is {}", net.trunc()))
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address of an interface, with a prefix length where it is not that of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceAddress {
    pub ip: IpAddr,
    pub prefix: Option<u8>,
}
word!(
    InterfaceAddress,
    "interface-address",
    "An address, such as 10.0.0.7; with a prefix length (10.0.0.7/32) where it is not that of the network"
);

impl FromStr for InterfaceAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("`{text}` is not an address such as 10.0.0.7 or 10.0.0.7/24");
        if text.contains('/') {
            let net: IpNet = text.parse().map_err(|_| fail())?;
            Ok(Self { ip: net.addr(), prefix: Some(net.prefix_len()) })
        } else {
            Ok(Self { ip: text.parse().map_err(|_| fail())?, prefix: None })
        }
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip.fmt(f)?;
        self.prefix.map_or(Ok(()), |prefix| write!(f, "/{prefix}"))
    }
}

/// First and last address, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    pub first: IpAddr,
    pub last: IpAddr,
}
word!(Range, "range", "An address, or the first and the last of a range: 10.0.0.100-10.0.0.199");

impl Range {
    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("`{text}` is not a range such as 10.0.0.100-10.0.0.199");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let parse = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| fail());
        let (first, last) = (parse(first)?, parse(last)?);
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Err(format!("the range `{text}` ends before it begins"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.first == self.last { Ok(()) } else { write!(f, "-{}", self.last) }
    }
}

/// A port, or the first and the last of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    pub first: u16,
    pub last: u16,
}
word!(Ports, numeric "ports", "A port, or the first and the last of a range: 443, 6800-7568");

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("`{text}` is not a port or a range of ports such as 443 or 6800-7568");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let parse = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(fail);
        let (first, last) = (parse(first)?, parse(last)?);
        if first > last {
            return Err(format!("the range of ports `{text}` ends before it begins"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first == self.last { Ok(()) } else { write!(f, "-{}", self.last) }
    }
}

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub freehold_types::net::Mac);
word!(Mac, "mac", "A hardware address, such as da:1e:70:00:00:01");

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: freehold_types::net::InvalidMac| error.to_string())
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
