//! Makes one change at a time. No decisions are left here, but for what a kernel cannot do.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use nix::errno::Errno;
use rand::Rng;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage};
use rtnetlink::packet_route::address::{AddressAttribute, AddressProtocol};
use rtnetlink::packet_route::link::{BridgeStpState, LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{AddressMessageBuilder, Error, LinkBridge, LinkUnspec, LinkVlan, LinkVxlan};

use super::desired::Desired;
use super::observe::ALIAS;
use super::plan::Change;
use super::wire::{Wire, describe, errno};
use super::world::VXLAN_PORT;
use super::{ADDRESS_PROTOCOL, GROUP};
use crate::host::HostError;

impl Wire {
    /// Makes the change.
    pub(super) async fn apply(&self, desired: &Desired, change: &Change) -> Result<(), HostError> {
        if let Change::Turn { link, switch, to } = change {
            return self.turn(desired, switch.path(link), *to).await;
        }
        self.send(desired, change).await.map_err(|error| explain(desired, change, &error))
    }

    async fn send(&self, desired: &Desired, change: &Change) -> Result<(), Error> {
        match change {
            Change::Delete { link } => self.handle.link().del(self.index(link).await?).execute().await,
            Change::AddBridge { link, mtu } => self.create(bridge(link, *mtu)).await,
            Change::AddVlan { link, uplink, tag, mtu } => {
                let uplink = self.index(uplink).await?;
                self.create(LinkVlan::new(link, uplink, *tag).mtu(*mtu).build()).await
            }
            Change::AddVxlan { link, vni, local, mtu } => self.create(vxlan(link, *vni, *local, *mtu)).await,
            Change::Mark { link } => {
                let message = self.link(link).await?.alias(format!("{ALIAS}{}", desired.segment));
                self.change(message.build()).await
            }
            Change::MakePlain { link } => self.make_plain(link).await,
            Change::SetMtu { link, mtu } => self.change(self.link(link).await?.mtu(*mtu).build()).await,
            Change::Turn { .. } => Ok(()),
            Change::Join { link, bridge } => {
                let bridge = self.index(bridge).await?;
                self.change(self.link(link).await?.controller(bridge).build()).await
            }
            Change::Release { link } => self.change(self.link(link).await?.nocontroller().build()).await,
            Change::SetUp { link } => self.change(self.link(link).await?.up().build()).await,
            Change::AddAddress { link, address } => {
                let index = self.index(link).await?;
                let mut request =
                    self.handle.address().add(index, address.addr().into(), address.prefix_len());
                let mark = AddressAttribute::Protocol(AddressProtocol::Other(ADDRESS_PROTOCOL));
                request.message_mut().attributes.push(mark);
                request.execute().await
            }
            Change::RemoveAddress { link, address } => {
                let index = self.index(link).await?;
                let message = match address.addr() {
                    IpAddr::V4(ip) => AddressMessageBuilder::<std::net::Ipv4Addr>::new()
                        .index(index)
                        .address(ip, address.prefix_len())
                        .build(),
                    IpAddr::V6(ip) => AddressMessageBuilder::<std::net::Ipv6Addr>::new()
                        .index(index)
                        .address(ip, address.prefix_len())
                        .build(),
                };
                self.handle.address().del(message).execute().await
            }
            Change::AddFlood { link, peer } => {
                let message = RouteNetlinkMessage::NewNeighbour(flood(self.index(link).await?, *peer));
                let mut request = NetlinkMessage::from(message);
                // Appended, since one address floods to many peers.
                request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND;
                self.request(request).await
            }
            Change::RemoveFlood { link, peer } => {
                let message = flood(self.index(link).await?, *peer);
                self.handle.neighbours().del(message).execute().await
            }
        }
    }

    async fn index(&self, name: &str) -> Result<u32, Error> {
        let found = self.handle.link().get().match_name(name).execute().try_next().await?;
        found.map(|message| message.header.index).ok_or(Error::RequestFailed)
    }

    async fn link(&self, name: &str) -> Result<rtnetlink::LinkMessageBuilder<LinkUnspec>, Error> {
        Ok(LinkUnspec::new_with_index(self.index(name).await?))
    }

    async fn change(&self, message: LinkMessage) -> Result<(), Error> {
        self.handle.link().change(message).execute().await
    }

    /// Creates a link in our group, by which it is known as ours from its first moment.
    async fn create(&self, mut message: LinkMessage) -> Result<(), Error> {
        message.attributes.push(LinkAttribute::Group(GROUP));
        self.handle.link().add(message).execute().await
    }

    async fn make_plain(&self, name: &str) -> Result<(), Error> {
        let index = self.index(name).await?;
        let bridge = || LinkBridge::new(name).index(index);
        // In this order: no delay is allowed only without a spanning tree, and of one message the kernel
        // takes the delay first.
        self.change(bridge().stp_state(BridgeStpState::Disabled).build()).await?;
        self.change(bridge().forward_delay(0).build()).await
    }

    async fn turn(&self, desired: &Desired, path: PathBuf, to: u8) -> Result<(), HostError> {
        let shown = path.display().to_string();
        match self.files(move || write_existing(&path, to.to_string().as_bytes())).await? {
            // A kernel without the protocol takes no part in it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(HostError::Failed(format!("{}: {shown}: {error}", desired.subject))),
            Ok(()) => Ok(()),
        }
    }
}

fn write_existing(path: &Path, bytes: &[u8]) -> io::Result<()> {
    io::Write::write_all(&mut std::fs::File::options().write(true).open(path)?, bytes)
}

/// A bridge with a hardware address that stays when ports come and go, since guests remember it.
fn bridge(name: &str, mtu: u32) -> LinkMessage {
    let mut mac: [u8; 6] = rand::rng().random();
    // Chosen locally, and of one interface.
    mac[0] = (mac[0] | 0x02) & 0xfe;
    LinkBridge::new(name)
        .stp_state(BridgeStpState::Disabled)
        .forward_delay(0)
        .address(mac.to_vec())
        .mtu(mtu)
        .build()
}

fn vxlan(name: &str, vni: u32, local: IpAddr, mtu: u32) -> LinkMessage {
    let message = LinkVxlan::new(name, vni).port(VXLAN_PORT).learning(true).mtu(mtu);
    match local {
        IpAddr::V4(local) => message.local(local).build(),
        IpAddr::V6(local) => message.local6(local).build(),
    }
}

/// The entry by which a VXLAN device sends to a peer what it has no other place for.
fn flood(index: u32, peer: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Own;
    message.attributes =
        vec![NeighbourAttribute::LinkLayerAddress(vec![0; 6]), NeighbourAttribute::Destination(peer.into())];
    message
}

/// What went wrong, and what to do where that is known.
fn explain(desired: &Desired, change: &Change, error: &Error) -> HostError {
    let subject = &desired.subject;
    let code = errno(error).and_then(|error| error.raw_os_error()).map(Errno::from_raw);
    let module = match change {
        Change::AddBridge { .. } => Some(("bridges", "bridge")),
        Change::AddVlan { .. } => Some(("802.1q VLANs", "8021q")),
        Change::AddVxlan { .. } => Some(("VXLAN", "vxlan")),
        Change::Delete { .. }
        | Change::Release { .. }
        | Change::Mark { .. }
        | Change::MakePlain { .. }
        | Change::SetMtu { .. }
        | Change::Turn { .. }
        | Change::Join { .. }
        | Change::SetUp { .. }
        | Change::AddAddress { .. }
        | Change::RemoveAddress { .. }
        | Change::AddFlood { .. }
        | Change::RemoveFlood { .. } => None,
    };
    match (code, module) {
        (Some(Errno::EOPNOTSUPP), Some((what, module))) => HostError::Refused(format!(
            "{subject}: the kernel of this host has no support for {what}: load its module by `modprobe {module}`, or run a kernel that has it"
        )),
        (Some(Errno::EPERM), _) => HostError::Refused(format!(
            "{subject}: the node may not change the network: run it as root or with the capability CAP_NET_ADMIN"
        )),
        _ => HostError::Failed(format!(
            "{subject}: the kernel did not take the change {change:?}: {}",
            describe(error)
        )),
    }
}
