//! Public models: network.

use super::ignored;
use crate::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a subnet is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default,
)]
pub enum SubnetApplication {
    #[serde(rename = "ceph")]
    Ceph,
    #[default]
    #[serde(rename = "user")]
    User,
}

/// A layer-2 network of a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VNet")]
#[serde(deny_unknown_fields)]
pub struct Network {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// 802.1q tag; zero is untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub vlan: Option<u16>,
    /// Name of the bridge on hosts.
    pub interface: String,
    /// Whether its subnets hold private addresses; fixed at creation.
    #[serde(default = "default_private")]
    pub private: bool,
}

/// A change to a [`Network`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VNetUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct NetworkUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// An address range of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Subnet")]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Address range; fixed at creation.
    pub cidr: String,
    /// Address of the upstream gateway.
    pub gateway: String,
    /// Resolver given to machines; the gateway when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// Ranges reached through the gateway.
    #[serde(default)]
    pub extra_routes: Vec<String>,
    /// Ranges never given to machines.
    #[serde(default)]
    pub reserved: Vec<IpRange>,
    /// Addresses kept for the zone gateways of a project.
    #[serde(default)]
    pub gw_pool: Vec<IpRange>,
    #[serde(default)]
    pub application: SubnetApplication,
}

/// A change to a [`Subnet`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SubnetUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct SubnetUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_routes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Vec<IpRange>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gw_pool: Option<Vec<IpRange>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<SubnetApplication>,
}

/// First and last address, both included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "IpRange")]
#[serde(deny_unknown_fields)]
pub struct IpRange {
    pub first: String,
    pub last: String,
}

/// A network card: a MAC and its addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Adapter")]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Hardware address; generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Whether the MAC may appear on several subnets, as of a router.
    #[serde(default)]
    pub reserved: bool,
}

/// A change to an [`Adapter`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AdapterUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct AdapterUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<bool>,
}

fn default_private() -> bool {
    true
}
