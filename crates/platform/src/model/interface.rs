//! The network interfaces of a machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Address, Cidr, InterfaceAddress, LinkName, Mac, NetworkName};

/// A network interface, by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Interface {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: InterfaceKind,
    /// Hardware address by which an Ethernet adapter is found; the adapter is then given this interface's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The network it is on; gives the prefix length, the VLAN id, the gateway and the name servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Addresses. One outside of the interface's network needs a prefix length.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<InterfaceAddress>,
    /// Ask for an address by DHCP.
    pub dhcp: bool,
    /// Whether the default route leads through the gateway of the interface's network.
    pub default_route: bool,
    /// Further routes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Largest packet, in bytes; the network's without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 576, max = 9216))]
    pub mtu: Option<u16>,
    /// For a bond or a bridge: the interfaces it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<LinkName>,
    /// For a VLAN: the interface that carries it. Its id is that of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<LinkName>,
    /// For a bond: how it uses its members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bond: Option<Bond>,
    /// For a bridge: whether it speaks the spanning tree protocol.
    pub stp: bool,
    /// The interface belongs to something else, such as Open vSwitch: it is brought up and may have no address.
    pub raw: bool,
    /// Whether the machine counts as online only when this interface is up.
    pub required: bool,
}

impl Default for Interface {
    fn default() -> Self {
        Self {
            kind: InterfaceKind::Ethernet,
            mac: None,
            network: None,
            addresses: Vec::new(),
            dhcp: false,
            default_route: false,
            routes: Vec::new(),
            mtu: None,
            members: Vec::new(),
            parent: None,
            bond: None,
            stp: false,
            raw: false,
            required: true,
        }
    }
}

/// What an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum InterfaceKind {
    /// A physical adapter.
    Ethernet,
    /// Several adapters as one.
    Bond,
    /// A tagged network on another interface.
    Vlan,
    /// A bridge, for machines.
    Bridge,
}

/// How a bond uses its members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bond {
    /// The mode.
    pub mode: BondMode,
    /// How often the link of a member is looked at, in milliseconds.
    #[schemars(range(min = 1, max = 10_000))]
    pub monitor_interval: u32,
}

impl Default for Bond {
    fn default() -> Self {
        Self { mode: BondMode::Lacp, monitor_interval: 100 }
    }
}

/// The mode of a bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum BondMode {
    /// IEEE 802.3ad; the switch must take part.
    Lacp,
    /// One member at a time; needs nothing of the switch.
    ActiveBackup,
    /// Balanced by hash, without a protocol.
    BalanceXor,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The network that it leads to.
    pub to: Cidr,
    /// The router.
    pub via: Address,
    /// Among routes to the same network the lowest wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}
