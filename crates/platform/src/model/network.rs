//! Networks and the virtual addresses on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Address, Cidr, Domain, MachineName, Members, NetworkName, Port, Range};

/// A network that machines are on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its addresses.
    pub cidr: Cidr,
    /// VLAN id on the wire; untagged without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub vlan: Option<u16>,
    /// Address of the router towards other networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Address>,
    /// Name servers for machines whose default route leads through this network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Address>,
    /// Largest packet, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 576, max = 9216))]
    pub mtu: Option<u16>,
    /// Addresses that a DHCP server gives out; no machine and no virtual address may have one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<Range>,
    /// Addresses that belong to something outside of this file; nothing here may have one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<Range>,
}

/// A virtual address: VRRP moves it to a machine that is well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vip {
    /// The network it belongs to.
    pub network: NetworkName,
    /// The address.
    pub address: Address,
    /// Machines or groups that may hold it.
    pub holders: Vec<Members>,
    /// The machine that holds it while all are well; without one, the first of the holders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<MachineName>,
    /// Virtual router id, unique on the network.
    #[schemars(range(min = 1, max = 255))]
    pub vrid: u8,
    /// Whether the primary takes the address back when it has recovered.
    #[serde(default)]
    pub preempt: bool,
    /// Names of the domain that resolve to this address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Domain>,
    /// A holder gives the address up while nothing on it listens on this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_port: Option<Port>,
}
