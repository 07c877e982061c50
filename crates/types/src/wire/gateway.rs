//! Public models: gateways and their IPsec connections.

use super::ignored;
use crate::id::Id;
use crate::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A transport that rules and balancers know.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default,
)]
pub enum Protocol {
    #[default]
    #[serde(rename = "tcp")]
    Tcp,
    #[serde(rename = "udp")]
    Udp,
}

/// What becomes of traffic that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FirewallPolicy {
    #[serde(rename = "accept")]
    Accept,
    #[serde(rename = "drop")]
    Drop,
}

/// A project's way out of its private network in a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Kawaii")]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its addresses; given at creation.
    #[serde(default, deserialize_with = "ignored")]
    #[schemars(extend("readOnly" = true))]
    pub netip: GatewayAddresses,
    #[serde(default)]
    pub firewall: GatewayFirewall,
    /// What is forwarded from the public addresses to machines.
    #[serde(default)]
    pub dnat: Vec<GatewayForward>,
    /// Other subnets that it joins; fixed at creation.
    #[serde(default)]
    pub vpc_peerings: Vec<GatewayPeering>,
}

/// A change to a [`Gateway`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct GatewayUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<GatewayFirewall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnat: Option<Vec<GatewayForward>>,
}

/// The addresses of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiNetIp")]
#[serde(deny_unknown_fields)]
pub struct GatewayAddresses {
    #[schemars(extend("readOnly" = true))]
    pub public: Vec<String>,
    #[schemars(extend("readOnly" = true))]
    pub private: Vec<String>,
    #[schemars(extend("readOnly" = true))]
    pub zones: Vec<GatewayZone>,
}

/// The addresses of a gateway that belong to a zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiNetIpZone")]
#[serde(deny_unknown_fields)]
pub struct GatewayZone {
    /// Its name.
    #[schemars(extend("readOnly" = true))]
    pub zone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub public: Option<String>,
    #[schemars(extend("readOnly" = true))]
    pub private: String,
}

/// What may pass between a project and the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiFirewall")]
#[serde(deny_unknown_fields)]
pub struct GatewayFirewall {
    /// What may come in; nothing else does.
    #[serde(default)]
    pub ingress: Vec<GatewayIngress>,
    /// What becomes of traffic to the world.
    #[serde(default = "accept")]
    pub egress_policy: FirewallPolicy,
    /// Exceptions from the policy.
    #[serde(default)]
    pub egress: Vec<GatewayEgress>,
}

/// An opening for traffic from the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiFirewallIngressRule")]
#[serde(deny_unknown_fields)]
pub struct GatewayIngress {
    #[serde(default = "everywhere")]
    pub source: String,
    #[serde(default)]
    pub protocol: Protocol,
    /// Numbers and ranges, as in `80,443,8000-8099`.
    pub ports: String,
}

/// An exception from the policy for traffic to the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiFirewallEgressRule")]
#[serde(deny_unknown_fields)]
pub struct GatewayEgress {
    #[serde(default = "everywhere")]
    pub destination: String,
    #[serde(default)]
    pub protocol: Protocol,
    /// Numbers and ranges, as in `80,443,8000-8099`.
    pub ports: String,
}

/// What is forwarded from the public addresses to a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiDNatRule")]
#[serde(deny_unknown_fields)]
pub struct GatewayForward {
    /// Private address of the machine.
    pub destination: String,
    #[serde(default)]
    pub protocol: Protocol,
    /// Numbers and ranges, as in `80,443,8000-8099`.
    pub ports: String,
}

/// Another subnet that a gateway joins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiVpcPeering")]
#[serde(deny_unknown_fields)]
pub struct GatewayPeering {
    /// Id of the subnet.
    pub subnet: String,
    /// What becomes of traffic between the two.
    #[serde(default = "drop")]
    pub policy: FirewallPolicy,
    /// Exceptions from the policy for traffic from the subnet.
    #[serde(default)]
    pub ingress: Vec<PeeringRule>,
    /// Exceptions from the policy for traffic to the subnet.
    #[serde(default)]
    pub egress: Vec<PeeringRule>,
    /// Its addresses in the subnet.
    #[serde(default, deserialize_with = "ignored")]
    #[schemars(extend("readOnly" = true))]
    pub netip: Vec<GatewayZone>,
}

/// An exception from the policy of a peering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiVpcForwardRule")]
#[serde(deny_unknown_fields)]
pub struct PeeringRule {
    #[serde(default)]
    pub protocol: Protocol,
    /// Numbers and ranges, as in `80,443,8000-8099`.
    pub ports: String,
}

/// What is done when the other end of a connection is silent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default,
)]
pub enum DpdAction {
    #[serde(rename = "clear")]
    Clear,
    #[serde(rename = "trap")]
    Trap,
    #[default]
    #[serde(rename = "restart")]
    Restart,
}

/// When a connection is made.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default,
)]
pub enum StartAction {
    #[serde(rename = "none")]
    None,
    #[default]
    #[serde(rename = "start")]
    Start,
    #[serde(rename = "trap")]
    Trap,
}

/// Algorithms that protect the integrity of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum IntegrityAlgorithm {
    #[serde(rename = "SHA1")]
    Sha1,
    #[serde(rename = "SHA256")]
    Sha256,
    #[serde(rename = "SHA384")]
    Sha384,
    #[serde(rename = "SHA512")]
    Sha512,
}

/// Algorithms that encrypt a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EncryptionAlgorithm {
    #[serde(rename = "AES128")]
    Aes128,
    #[serde(rename = "AES256")]
    Aes256,
    #[serde(rename = "CAMELLIA128")]
    Camellia128,
    #[serde(rename = "CAMELLIA256")]
    Camellia256,
}

/// An IPsec connection of a gateway to a foreign network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiIpSec")]
#[serde(deny_unknown_fields)]
pub struct IpsecConnection {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Public address of the gateway at this end.
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub ip: Option<String>,
    /// Address of the other end.
    pub remote_ip: String,
    /// What lies behind the other end.
    pub remote_subnet: String,
    pub pre_shared_key: Secret<String>,
    #[serde(default)]
    pub dpd_timeout_action: DpdAction,
    /// Silence after which the other end counts as dead, such as `240s`.
    #[serde(default = "default_dpd_timeout")]
    pub dpd_timeout: String,
    #[serde(default)]
    pub start_action: StartAction,
    /// Such as `2h`.
    #[serde(default = "default_rekey_time")]
    pub rekey_time: String,
    #[serde(default = "default_lifetime")]
    pub phase1_lifetime: String,
    /// Diffie-Hellman group: 2, 5, or 14 to 24.
    #[schemars(extend("enum" = [2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]))]
    pub phase1_dh_group_number: u8,
    pub phase1_integrity_algorithm: IntegrityAlgorithm,
    pub phase1_encryption_algorithm: EncryptionAlgorithm,
    #[serde(default = "default_lifetime")]
    pub phase2_lifetime: String,
    /// Diffie-Hellman group: 2, 5, or 14 to 24.
    #[schemars(extend("enum" = [2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]))]
    pub phase2_dh_group_number: u8,
    pub phase2_integrity_algorithm: IntegrityAlgorithm,
    pub phase2_encryption_algorithm: EncryptionAlgorithm,
    #[serde(default)]
    pub firewall: IpsecFirewall,
}

/// A change to an [`IpsecConnection`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiIpSecUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct IpsecConnectionUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_subnet: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_shared_key: Option<Secret<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpd_timeout_action: Option<DpdAction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpd_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_action: Option<StartAction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rekey_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase1_lifetime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]))]
    pub phase1_dh_group_number: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase1_integrity_algorithm: Option<IntegrityAlgorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase1_encryption_algorithm: Option<EncryptionAlgorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase2_lifetime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]))]
    pub phase2_dh_group_number: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase2_integrity_algorithm: Option<IntegrityAlgorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase2_encryption_algorithm: Option<EncryptionAlgorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<IpsecFirewall>,
}

/// What may come in through a connection; everything when it names nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KawaiiIpSecFirewall")]
#[serde(deny_unknown_fields)]
pub struct IpsecFirewall {
    #[serde(default)]
    pub ingress: Vec<GatewayIngress>,
}

fn everywhere() -> String {
    "0.0.0.0/0".to_owned()
}

const fn accept() -> FirewallPolicy {
    FirewallPolicy::Accept
}

const fn drop() -> FirewallPolicy {
    FirewallPolicy::Drop
}

fn default_dpd_timeout() -> String {
    "240s".to_owned()
}

fn default_rekey_time() -> String {
    "2h".to_owned()
}

fn default_lifetime() -> String {
    "1h".to_owned()
}

impl Default for GatewayFirewall {
    fn default() -> Self {
        Self { ingress: Vec::new(), egress_policy: accept(), egress: Vec::new() }
    }
}
