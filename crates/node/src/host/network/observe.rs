//! Reads the links of the host.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use rtnetlink::packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVlan, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Error, RouteMessageBuilder};

use super::desired::{Desired, Port};
use super::wire::{Wire, describe};
use super::world::{Held, Kind, Link, Mark, Switch, World};
use super::{ADDRESS_PROTOCOL, GROUP};
use crate::host::HostError;

/// Prefix of the alias of each link of ours.
pub(in crate::host) const ALIAS: &str = "freehold:";

impl Wire {
    /// The links as they are, with what concerns a segment looked at closely.
    pub(super) async fn observe(&self, desired: &Desired) -> Result<World, HostError> {
        let failed = |error: Error| {
            HostError::Failed(format!(
                "the kernel does not tell its network interfaces: {}",
                describe(&error)
            ))
        };
        let messages: Vec<LinkMessage> =
            self.handle.link().get().execute().try_collect().await.map_err(failed)?;
        let names: BTreeMap<u32, String> =
            messages.iter().filter_map(|message| Some((message.header.index, name(message)?))).collect();
        let mut world = World {
            links: messages
                .iter()
                .filter_map(|message| {
                    Some((names.get(&message.header.index)?.clone(), link(message, &names)))
                })
                .collect(),
            filters_bridges: self.files(filters_bridges).await?,
        };
        let addresses: Vec<AddressMessage> =
            self.handle.address().get().execute().try_collect().await.map_err(failed)?;
        for message in &addresses {
            let link = names.get(&message.header.index).and_then(|name| world.links.get_mut(name));
            if let (Some(link), Some(held)) = (link, held(message)) {
                link.addresses.push(held);
            }
        }
        // Asked only where it matters, since a router has many routes.
        if matches!(desired.port, Port::Uplink { .. }) {
            for index in self.default_routes().await.map_err(failed)? {
                if let Some(link) = names.get(&index).and_then(|name| world.links.get_mut(name)) {
                    link.default_route = true;
                }
            }
        }
        if let Port::Vxlan { name, .. } = &desired.port {
            self.flood(name, &names, &mut world).await.map_err(failed)?;
        }
        self.switches(desired, &mut world).await?;
        Ok(world)
    }

    /// Indexes of the links that default routes go out by.
    async fn default_routes(&self) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        for request in
            [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()]
        {
            let mut routes = std::pin::pin!(self.handle.route().get(request).execute());
            while let Some(route) = routes.try_next().await? {
                if route.header.destination_prefix_length == 0 && route.header.kind == RouteType::Unicast {
                    found.extend(interfaces(&route));
                }
            }
        }
        Ok(found)
    }

    async fn flood(&self, name: &str, names: &BTreeMap<u32, String>, world: &mut World) -> Result<(), Error> {
        let Some(link) = world.links.get_mut(name) else { return Ok(()) };
        let request = self.handle.neighbours().get().set_address_family(AddressFamily::Bridge);
        let entries: Vec<NeighbourMessage> = request.execute().try_collect().await?;
        let mine = entries
            .iter()
            .filter(|entry| names.get(&entry.header.ifindex).is_some_and(|found| found == name));
        link.flood = mine.filter_map(flood_peer).collect();
        Ok(())
    }

    /// What part the host takes in what the links of the segment carry.
    async fn switches(&self, desired: &Desired, world: &mut World) -> Result<(), HostError> {
        let names = [Some(desired.bridge.as_str()), desired.port.made()];
        for name in names.into_iter().flatten() {
            let Some(link) = world.links.get_mut(name) else { continue };
            let name = name.to_owned();
            link.switches = self
                .files(move || {
                    let read = |switch: Switch| {
                        std::fs::read_to_string(switch.path(&name)).ok()?.trim().parse().ok()
                    };
                    Switch::ALL.into_iter().filter_map(|switch| Some((switch, read(switch)?))).collect()
                })
                .await?;
        }
        Ok(())
    }
}

/// Absent where the kernel cannot.
fn filters_bridges() -> bool {
    std::fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables")
        .is_ok_and(|text| text.trim() == "1")
}

fn name(message: &LinkMessage) -> Option<String> {
    message.attributes.iter().find_map(|attribute| {
        if let LinkAttribute::IfName(name) = attribute { Some(name.clone()) } else { None }
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells much that is of no concern here")]
fn link(message: &LinkMessage, names: &BTreeMap<u32, String>) -> Link {
    let mut link = Link::fresh(Kind::Other, 0);
    link.up = message.header.flags.contains(LinkFlags::Up);
    link.switches.clear();
    let (mut alias, mut group, mut parent) = (None, 0, None);
    let mut infos: &[LinkInfo] = &[];
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(index) => link.master = names.get(index).cloned(),
            LinkAttribute::IfAlias(text) => alias = Some(text.as_str()),
            LinkAttribute::Group(number) => group = *number,
            LinkAttribute::Link(index) => parent = names.get(index).cloned(),
            LinkAttribute::LinkInfo(found) => infos = found,
            _ => {}
        }
    }
    link.mark = mark(alias, group);
    link.kind = kind(infos, parent);
    link
}

fn mark(alias: Option<&str>, group: u32) -> Mark {
    match alias.filter(|alias| !alias.is_empty()) {
        Some(alias) => {
            alias.strip_prefix(ALIAS).and_then(|id| id.parse().ok()).map_or(Mark::Foreign, Mark::Of)
        }
        None if group == GROUP => Mark::HalfMade,
        None => Mark::Foreign,
    }
}

fn kind(infos: &[LinkInfo], parent: Option<String>) -> Kind {
    let kind = infos.iter().find_map(|info| if let LinkInfo::Kind(kind) = info { Some(kind) } else { None });
    let data = infos.iter().find_map(|info| if let LinkInfo::Data(data) = info { Some(data) } else { None });
    match (kind, data) {
        (Some(InfoKind::Bridge), Some(InfoData::Bridge(data))) => bridge(data),
        (Some(InfoKind::Vlan), Some(InfoData::Vlan(data))) => {
            let tag =
                data.iter().find_map(|info| if let InfoVlan::Id(tag) = info { Some(*tag) } else { None });
            Kind::Vlan { uplink: parent, tag: tag.unwrap_or_default() }
        }
        (Some(InfoKind::Vxlan), Some(InfoData::Vxlan(data))) => vxlan(data),
        _ => Kind::Other,
    }
}

fn bridge(data: &[InfoBridge]) -> Kind {
    let tree = data
        .iter()
        .any(|info| matches!(info, InfoBridge::StpState(state) if *state != BridgeStpState::Disabled));
    let delay = data.iter().any(|info| matches!(info, InfoBridge::ForwardDelay(delay) if *delay != 0));
    // Without a spanning tree the kernel forwards at once, and keeps the delay at its least.
    Kind::Bridge { plain: !tree && !delay }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells much that is of no concern here")]
fn vxlan(data: &[InfoVxlan]) -> Kind {
    let (mut vni, mut port, mut local, mut learning) = (0, 0, None, false);
    for info in data {
        match info {
            InfoVxlan::Id(number) => vni = *number,
            InfoVxlan::Port(number) => port = *number,
            InfoVxlan::Local(address) => local = Some(IpAddr::V4(*address)),
            InfoVxlan::Local6(address) => local = Some(IpAddr::V6(*address)),
            InfoVxlan::Learning(on) => learning = *on,
            _ => {}
        }
    }
    Kind::Vxlan { vni, port, local: local.filter(|local| !local.is_unspecified()), learning }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells much that is of no concern here")]
fn held(message: &AddressMessage) -> Option<Held> {
    let (mut address, mut local, mut ours) = (None, None, false);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(found) => address = Some(*found),
            AddressAttribute::Local(found) => local = Some(*found),
            AddressAttribute::Protocol(AddressProtocol::Other(ADDRESS_PROTOCOL)) => ours = true,
            _ => {}
        }
    }
    // With a peer, the address is the peer's and the local one is ours.
    let address = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
    Some(Held { address, ours })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells much that is of no concern here")]
fn interfaces(route: &RouteMessage) -> Vec<u32> {
    route
        .attributes
        .iter()
        .flat_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => vec![*index],
            RouteAttribute::MultiPath(hops) => hops.iter().map(|hop| hop.interface_index).collect(),
            _ => Vec::new(),
        })
        .collect()
}

/// The peer that an entry floods to, if it is for frames that have no other place.
fn flood_peer(entry: &NeighbourMessage) -> Option<IpAddr> {
    let everywhere = entry.attributes.iter().any(
        |attribute| matches!(attribute, NeighbourAttribute::LinkLayerAddress(mac) if mac.iter().all(|byte| *byte == 0)),
    );
    let peer = entry.attributes.iter().find_map(|attribute| {
        if let NeighbourAttribute::Destination(address) = attribute { Some(address) } else { None }
    })?;
    everywhere.then(|| peer_address(peer)).flatten()
}

fn peer_address(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(address) => Some(IpAddr::V4(*address)),
        NeighbourAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        // Entries of bridges do not say the family, only the length does.
        NeighbourAddress::Other(bytes) => <[u8; 4]>::try_from(bytes.as_slice())
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from))
            .ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use freehold_types::Id;

    use super::*;

    #[test]
    fn marks_say_whose_a_link_is() {
        let id = Id::from_u64(7);
        assert_eq!(mark(Some(&format!("{ALIAS}{id}")), 0), Mark::Of(id));
        assert_eq!(mark(None, GROUP), Mark::HalfMade);
        assert_eq!(mark(Some(""), GROUP), Mark::HalfMade);
        assert_eq!(mark(Some("to the switch"), GROUP), Mark::Foreign);
        assert_eq!(mark(Some("freehold:x"), 0), Mark::Foreign);
        assert_eq!(mark(None, 0), Mark::Foreign);
    }

    #[test]
    fn addresses_of_peers_are_told_by_their_length() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let bytes = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        for address in [v4, v6] {
            assert_eq!(peer_address(&NeighbourAddress::Other(bytes(address))), Some(address));
        }
        assert_eq!(peer_address(&NeighbourAddress::Other(vec![1, 2])), None);
    }
}
