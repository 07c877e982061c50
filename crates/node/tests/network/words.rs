//! Short words for what tests ask of the network.

use freehold_node::host::network::Netlink;
use freehold_node::host::{HostError, Network};
use freehold_types::Id;
use freehold_types::agent::{Segment, SegmentLink};

use crate::namespace::Namespace;

pub(crate) const ID: Id = Id::from_u64(1);

pub(crate) fn segment(link: SegmentLink, addresses: &[&str]) -> Segment {
    Segment {
        name: "blue".to_owned(),
        bridge: "br-blue".to_owned(),
        mtu: 1400,
        link,
        host_addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

pub(crate) fn vxlan(peers: &[&str]) -> SegmentLink {
    SegmentLink::Vxlan { vni: 4242, peers: peers.iter().map(|peer| peer.parse().unwrap()).collect() }
}

/// Brings a segment about, and sees that a second call changes nothing.
pub(crate) async fn ensure(space: &Namespace, netlink: &Netlink, segment: &Segment) {
    netlink.ensure_segment(ID, segment).await.unwrap();
    let before = space.snapshot();
    netlink.ensure_segment(ID, segment).await.unwrap();
    assert_eq!(space.snapshot(), before);
}

pub(crate) async fn refusal(netlink: &Netlink, segment: &Segment) -> String {
    match netlink.ensure_segment(ID, segment).await {
        Err(HostError::Refused(text)) => text,
        other => panic!("expected a refusal, got {other:?}"),
    }
}
