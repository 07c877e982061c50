//! What a machine lets in and passes on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Address, Cidr, LinkName, NetworkName, Ports};

/// The firewall: everything is denied but what stands here and what roles need of each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Firewall {
    /// Whether there is one.
    pub enabled: bool,
    /// Whether SSH is let in from everywhere. Without it, `open` must name its port.
    pub ssh: bool,
    /// Ports that are open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<Open>,
    /// Networks from which everything is let in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<Cidr>,
    /// Traffic to these ports is sent on to another address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dnat: Vec<Dnat>,
    /// Pairs of interfaces between which traffic passes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<Forward>,
    /// Interfaces behind which addresses of other networks are hidden (masquerading).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masquerade: Vec<LinkName>,
    /// Rules in the language of nftables, put into the chain of incoming traffic as they stand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_rules: Vec<String>,
}

impl Default for Firewall {
    fn default() -> Self {
        Self {
            enabled: true,
            ssh: true,
            open: Vec::new(),
            trusted: Vec::new(),
            dnat: Vec::new(),
            forward: Vec::new(),
            masquerade: Vec::new(),
            extra_rules: Vec::new(),
        }
    }
}

/// Ports that are open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The ports.
    pub ports: Ports,
    /// The protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Only from these networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Cidr>,
    /// Only from the addresses of this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Traffic that is sent on to another address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dnat {
    /// The interface it comes in by.
    pub interface: LinkName,
    /// The protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// The ports.
    pub ports: Ports,
    /// Where it goes.
    pub to: Address,
    /// The port there; the same without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_port: Option<crate::words::Port>,
}

/// Two interfaces between which traffic passes, in this direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Where it comes in.
    pub from: LinkName,
    /// Where it goes out.
    pub to: LinkName,
}
