//! What would surprise the operator of a segment that is nevertheless made. Pure.

use super::desired::{Desired, Port};
use super::world::World;

/// What is worth a warning though it is no reason to refuse.
pub(super) fn of(desired: &Desired, world: &World) -> Vec<String> {
    let filter = world.filters_bridges.then(|| {
        format!(
            "{}: packets between machines pass the FORWARD chain of this host's iptables, which may drop them: `sysctl net.bridge.bridge-nf-call-iptables=0`",
            desired.subject
        )
    });
    filter.into_iter().chain(tight_carrier(desired, world)).collect()
}

/// Tells when packets of a VXLAN segment do not fit the interface that carries them.
fn tight_carrier(desired: &Desired, world: &World) -> Option<String> {
    let Port::Vxlan { local, .. } = &desired.port else { return None };
    // Ethernet, IP, UDP and VXLAN headers around each frame.
    let needed = desired.mtu + if local.is_ipv4() { 50 } else { 70 };
    let (name, carrier) = world
        .links
        .iter()
        .find(|(_, link)| link.addresses.iter().any(|held| held.address.addr() == *local))?;
    (carrier.mtu < needed).then(|| {
        format!(
            "{}: packets of {} bytes do not fit {name} with its MTU of {}: raise it to {needed} on all nodes, or lower that of the segment",
            desired.subject, desired.mtu, carrier.mtu
        )
    })
}
