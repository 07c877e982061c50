//! Segments on this host: bridges, and the ports that join them to other nodes, by netlink.
//!
//! Whose a link is:
//!
//! - each interface that is made here bears the alias `freehold:` and the segment's id. It is created in
//!   the link group [`GROUP`], since a kernel takes a group with the creation and an alias only after it:
//!   one in the group without an alias is of a call that was cut off, and is taken up again;
//! - only interfaces with the segment's mark are changed or removed. One that another segment or the
//!   operator made is never taken over: the segment is refused, and the message says what to do;
//! - a bridge of the operator with the segment's name is used as it stands: nothing is added to it,
//!   changed or removed. That is how a host whose only interface carries its own address joins a
//!   network: its operator makes the bridge;
//! - the uplink is the operator's. It becomes a port of our bridge only while it carries no address and
//!   no default route, and is released with the segment; of a VLAN it is only brought up;
//! - addresses that are set here carry [`ADDRESS_PROTOCOL`] (Linux 5.18 and later), so that only those
//!   are removed that were set here. An older kernel forgets the mark, and an address then stays until
//!   its bridge goes.
//!
//! Promises: on what is made here the host has no IPv6, answers for addresses of the same bridge only,
//! and takes no packets at all where the bridge has none, so that guests do not reach the host but by
//! addresses that the segment names (what it routes between them is its firewall's business); a bridge forwards at once and speaks no spanning tree; VXLAN devices learn
//! where guests are, and flood to the peers and to nothing else. No program is run; nothing is written
//! outside of the kernel, so a reboot leaves nothing behind and the next call makes it again.

mod advice;
mod apply;
mod desired;
mod features;
pub(in crate::host) mod observe;
mod plan;
pub(in crate::host) mod wire;
mod world;

use std::net::IpAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::Segment;

pub use self::features::features;

use self::desired::Desired;
use self::plan::Change;
use self::wire::Wire;
use self::world::World;
use super::{HostError, Network};

/// Link group of everything that is made here.
pub(in crate::host) const GROUP: u32 = 0x6672_6565;

/// Protocol number of the addresses that are set here.
pub(in crate::host) const ADDRESS_PROTOCOL: u8 = 0xf2;

/// How often the host may turn out otherwise than the plan left it, before that is an error.
const ROUNDS: usize = 3;

/// How networking is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Interface that carries VLAN and untagged segments.
    pub uplink: Option<String>,
    /// Address that VXLAN packets are sent from. Without one the kernel chooses by route.
    pub address: Option<IpAddr>,
    /// Network namespace to work in, as a path such as `/run/netns/name`. Without one, that of the process.
    pub namespace: Option<PathBuf>,
}

/// The network of this host.
#[derive(Debug)]
pub struct Netlink {
    config: NetworkConfig,
}

impl Netlink {
    /// Networking as configured. Nothing is touched before the first call.
    pub const fn new(config: NetworkConfig) -> Self {
        Self { config }
    }

    /// Plans and applies until the plan is empty.
    async fn converge(
        &self,
        desired: &Desired,
        plan: impl Fn(&Desired, &World) -> Result<Vec<Change>, HostError>,
    ) -> Result<(), HostError> {
        let wire = Wire::open(self.config.namespace.as_deref()).await?;
        for _ in 0..ROUNDS {
            let world = wire.observe(desired).await?;
            let changes = plan(desired, &world)?;
            if changes.is_empty() {
                return Ok(());
            }
            for warning in advice::of(desired, &world) {
                tracing::warn!("{warning}");
            }
            for change in &changes {
                tracing::info!(segment = %desired.segment, ?change, "changing the network of the host");
                wire.apply(desired, change).await?;
            }
        }
        Err(HostError::Failed(format!(
            "{}: something else changes the interfaces of the segment: see that no network manager takes care of {}",
            desired.subject, desired.bridge
        )))
    }
}

#[async_trait]
impl Network for Netlink {
    async fn ensure_segment(&self, id: Id, segment: &Segment) -> Result<(), HostError> {
        let desired = Desired::new(id, segment, &self.config).map_err(HostError::Refused)?;
        self.converge(&desired, plan::ensure).await
    }

    async fn remove_segment(&self, id: Id, segment: &Segment) -> Result<(), HostError> {
        let desired = Desired::for_removal(id, segment, &self.config);
        self.converge(&desired, plan::remove).await
    }
}
