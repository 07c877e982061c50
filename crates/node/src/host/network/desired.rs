//! What a segment asks of this host. Pure: a segment that no host could have is refused here.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_types::Id;
use freehold_types::agent::{Segment, SegmentLink};
use ipnet::Ipv4Net;

use super::NetworkConfig;

/// Longest name of an interface, in bytes.
const NAME: usize = 15;
/// The least that IPv4 hosts must be able to take, and the most that a link can.
const MTU: std::ops::RangeInclusive<u32> = 576..=65_535;

/// What must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Desired {
    pub(super) segment: Id,
    /// What the segment is called in messages.
    pub(super) subject: String,
    pub(super) bridge: String,
    pub(super) mtu: u32,
    pub(super) addresses: BTreeSet<Ipv4Net>,
    pub(super) port: Port,
    /// The node's uplink, whether this segment uses it or not.
    pub(super) uplink: Option<String>,
}

/// How the bridge reaches other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    None,
    Uplink {
        name: String,
    },
    Vlan {
        name: String,
        uplink: String,
        tag: u16,
    },
    /// Without an address of its own the kernel chooses the sender by route; then `local` says the family.
    Vxlan {
        name: String,
        vni: u32,
        local: IpAddr,
        peers: BTreeSet<IpAddr>,
    },
}

impl Port {
    /// Name of the interface that is made for it.
    pub(super) fn made(&self) -> Option<&str> {
        match self {
            Self::None | Self::Uplink { .. } => None,
            Self::Vlan { name, .. } | Self::Vxlan { name, .. } => Some(name),
        }
    }
}

impl Desired {
    /// What a segment asks, or why it cannot be.
    pub(super) fn new(segment: Id, spec: &Segment, config: &NetworkConfig) -> Result<Self, String> {
        let subject = format!("segment {} ({segment})", spec.name);
        Self::read(segment, spec, config, subject.clone()).map_err(|why| format!("{subject}: {why}"))
    }

    /// As much of a segment as says what of it may be on this host, without asking whether it could be
    /// made: the node's configuration may have changed since it was.
    pub(super) fn for_removal(segment: Id, spec: &Segment, config: &NetworkConfig) -> Self {
        let port = match &spec.link {
            SegmentLink::Vxlan { vni, .. } => Port::Vxlan {
                name: vxlan_name(*vni),
                vni: *vni,
                local: Ipv4Addr::UNSPECIFIED.into(),
                peers: BTreeSet::new(),
            },
            SegmentLink::Vlan { tag } => config.uplink.as_ref().map_or(Port::None, |uplink| Port::Vlan {
                name: vlan_name(uplink, *tag),
                uplink: uplink.clone(),
                tag: *tag,
            }),
            SegmentLink::Local | SegmentLink::Untagged => Port::None,
        };
        Self {
            segment,
            subject: format!("segment {} ({segment})", spec.name),
            bridge: spec.bridge.clone(),
            mtu: spec.mtu,
            addresses: BTreeSet::new(),
            port,
            uplink: config.uplink.clone(),
        }
    }

    fn read(segment: Id, spec: &Segment, config: &NetworkConfig, subject: String) -> Result<Self, String> {
        check_name(&spec.bridge)?;
        if !MTU.contains(&spec.mtu) {
            return Err(format!("its MTU of {} is outside of {} to {}", spec.mtu, MTU.start(), MTU.end()));
        }
        if let Some(wrong) = spec.host_addresses.iter().find(|address| !can_be_held(**address)) {
            return Err(format!("no host can hold the address {wrong}: give an address of a subnet"));
        }
        let port = port(&spec.link, config)?;
        if port.made() == Some(spec.bridge.as_str()) || config.uplink.as_deref() == Some(spec.bridge.as_str())
        {
            return Err(format!(
                "its bridge cannot be called {}, as its port is: choose another name",
                spec.bridge
            ));
        }
        Ok(Self {
            segment,
            subject,
            bridge: spec.bridge.clone(),
            mtu: spec.mtu,
            addresses: spec.host_addresses.iter().copied().collect(),
            port,
            uplink: config.uplink.clone(),
        })
    }
}

fn port(link: &SegmentLink, config: &NetworkConfig) -> Result<Port, String> {
    match link {
        SegmentLink::Local => Ok(Port::None),
        SegmentLink::Untagged => Ok(Port::Uplink { name: uplink(config)? }),
        SegmentLink::Vlan { tag } => {
            if !(1..=4094).contains(tag) {
                return Err(format!("its VLAN tag {tag} is outside of 1 to 4094"));
            }
            let uplink = uplink(config)?;
            Ok(Port::Vlan { name: vlan_name(&uplink, *tag), uplink, tag: *tag })
        }
        SegmentLink::Vxlan { vni, peers } => {
            if !(1..1 << 24).contains(vni) {
                return Err(format!("its VXLAN identifier {vni} is outside of 1 to {}", (1 << 24) - 1));
            }
            let local = local(config.address, peers)?;
            Ok(Port::Vxlan {
                name: vxlan_name(*vni),
                vni: *vni,
                local,
                peers: peers.iter().copied().collect(),
            })
        }
    }
}

fn uplink(config: &NetworkConfig) -> Result<String, String> {
    config.uplink.clone().ok_or_else(|| {
        "it needs an uplink, and this node has none: name the interface by `uplink` in the node's configuration"
            .to_owned()
    })
}

fn vxlan_name(vni: u32) -> String {
    format!("vx{vni}")
}

/// `uplink.tag`, with the uplink's name cut where it is too long.
fn vlan_name(uplink: &str, tag: u16) -> String {
    let tail = format!(".{tag}");
    let mut end = uplink.len().min(NAME - tail.len());
    while !uplink.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", &uplink[..end])
}

fn local(address: Option<IpAddr>, peers: &[IpAddr]) -> Result<IpAddr, String> {
    if let Some(wrong) = peers.iter().find(|peer| peer.is_multicast() || peer.is_unspecified()) {
        return Err(format!("its peer {wrong} is no address of a node"));
    }
    let local = address.unwrap_or_else(|| match peers.first() {
        Some(IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        Some(IpAddr::V4(_)) | None => Ipv4Addr::UNSPECIFIED.into(),
    });
    match peers.iter().find(|peer| peer.is_ipv4() != local.is_ipv4()) {
        Some(other) => Err(format!(
            "its peer {other} is of another IP version than {}: give all nodes addresses of one version",
            if address.is_some() { "this node's address" } else { "other peers" }
        )),
        None => Ok(local),
    }
}

/// The kernel's rules for names, and those of the files that carry settings by name.
fn check_name(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%');
    let reserved = ["", ".", "..", "all", "default", "lo"];
    if name.len() > NAME || reserved.contains(&name) || !name.bytes().all(allowed) {
        return Err(format!(
            "its bridge cannot be called `{name}`: choose 1 to {NAME} letters, digits, dots and hyphens"
        ));
    }
    Ok(())
}

fn can_be_held(address: Ipv4Net) -> bool {
    let host = address.addr();
    let edge = address.prefix_len() < 31 && (host == address.network() || host == address.broadcast());
    !(edge || host.is_unspecified() || host.is_multicast() || host.is_loopback() || address.prefix_len() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(link: SegmentLink) -> Segment {
        Segment {
            name: "blue".to_owned(),
            bridge: "br0".to_owned(),
            mtu: 1500,
            link,
            host_addresses: Vec::new(),
        }
    }

    fn config(uplink: Option<&str>, address: Option<&str>) -> NetworkConfig {
        NetworkConfig {
            uplink: uplink.map(str::to_owned),
            address: address.map(|address| address.parse().unwrap()),
            namespace: None,
        }
    }

    fn desired(link: SegmentLink, config: &NetworkConfig) -> Result<Desired, String> {
        Desired::new(Id::from_u64(1), &segment(link), config)
    }

    #[test]
    fn names_of_vlan_interfaces_fit() {
        assert_eq!(vlan_name("eth0", 100), "eth0.100");
        assert_eq!(vlan_name("enp129s0f1np1", 4094), "enp129s0f1.4094");
        assert_eq!(vlan_name("ééééééé", 100).len(), 14);
    }

    #[test]
    fn what_no_host_could_have_is_refused_with_the_subject() {
        let plain = config(Some("eth0"), None);
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        for link in [
            SegmentLink::Vlan { tag: 0 },
            SegmentLink::Vlan { tag: 4095 },
            SegmentLink::Vxlan { vni: 0, peers: Vec::new() },
            SegmentLink::Vxlan { vni: 1 << 24, peers: Vec::new() },
            SegmentLink::Vxlan { vni: 1, peers: vec![v4, v6] },
            SegmentLink::Vxlan { vni: 1, peers: vec!["239.1.1.1".parse().unwrap()] },
        ] {
            let error = desired(link, &plain).unwrap_err();
            assert!(error.starts_with("segment blue (000000000000000000000001): "), "{error}");
        }
        let error = desired(SegmentLink::Untagged, &config(None, None)).unwrap_err();
        assert!(error.contains("`uplink`"), "{error}");
        let other = config(None, Some("2001:db8::9"));
        assert!(desired(SegmentLink::Vxlan { vni: 1, peers: vec![v4] }, &other).is_err());
    }

    #[test]
    fn the_family_follows_the_peers_where_no_address_is_set() {
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let found = desired(SegmentLink::Vxlan { vni: 7, peers: vec![v6] }, &config(None, None)).unwrap();
        let Port::Vxlan { name, local, .. } = found.port else { panic!() };
        assert_eq!((name.as_str(), local), ("vx7", IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
    }

    #[test]
    fn bad_names_sizes_and_addresses_are_refused() {
        let plain = config(Some("eth0"), None);
        let good = segment(SegmentLink::Local);
        for name in ["", "a/b", "..", "all", "sixteen-letters-", "eth0", "a b"] {
            let wrong = Segment { bridge: name.to_owned(), ..good.clone() };
            assert!(Desired::new(Id::from_u64(1), &wrong, &plain).is_err(), "{name}");
        }
        for address in ["10.0.0.0/24", "10.0.0.255/24", "0.0.0.0/0", "224.0.0.1/24", "127.0.0.1/8"] {
            let wrong = Segment { host_addresses: vec![address.parse().unwrap()], ..good.clone() };
            assert!(Desired::new(Id::from_u64(1), &wrong, &plain).is_err(), "{address}");
        }
        for mtu in [0, 575, 65_536] {
            assert!(Desired::new(Id::from_u64(1), &Segment { mtu, ..good.clone() }, &plain).is_err());
        }
        let point = Segment { host_addresses: vec!["10.0.0.0/31".parse().unwrap()], ..good };
        assert!(Desired::new(Id::from_u64(1), &point, &plain).is_ok());
    }
}
