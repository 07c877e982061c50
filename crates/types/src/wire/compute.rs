//! Public models: compute.

use super::ignored;
use crate::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the members of a group must not share.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default,
)]
pub enum AntiAffinityPolicy {
    #[default]
    #[serde(rename = "host")]
    Host,
    #[serde(rename = "zone")]
    Zone,
}

/// A virtual machine made of existing adapters and volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Instance")]
#[serde(deny_unknown_fields)]
pub struct Instance {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Bytes.
    #[schemars(range(min = 1))]
    pub memory: u64,
    #[schemars(range(min = 1))]
    pub vcpus: u32,
    #[serde(default)]
    pub adapters: Vec<Id>,
    #[serde(default)]
    pub volumes: Vec<Id>,
    #[serde(default)]
    pub kwarantines: Vec<Id>,
    /// UEFI firmware (else legacy BIOS); fixed at creation.
    #[serde(default = "default_uefi")]
    pub uefi: bool,
    /// Whether the machine may be moved to another host.
    #[serde(default = "default_kmotion_enabled")]
    pub kmotion_enabled: bool,
}

/// A change to an [`Instance`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InstanceUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct InstanceUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub vcpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapters: Option<Vec<Id>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Id>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kmotion_enabled: Option<bool>,
}

/// What a machine is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InstanceState")]
#[serde(deny_unknown_fields)]
pub struct InstanceState {
    pub state: String,
    pub reason: String,
}

/// Where the machine's screen is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InstanceRemoteAccess")]
#[serde(deny_unknown_fields)]
pub struct InstanceRemoteAccess {
    pub url: String,
}

/// A machine together with its volumes and adapters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Kompute")]
#[serde(deny_unknown_fields)]
pub struct Compute {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Bytes.
    #[schemars(range(min = 1))]
    pub memory: u64,
    #[schemars(range(min = 1))]
    pub vcpus: u32,
    /// Size of the system disk, bytes.
    #[schemars(range(min = 1))]
    pub disk: u64,
    /// Size of the data disk, bytes; zero is none.
    #[serde(default)]
    pub data_disk: u64,
    /// First private address.
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub ip: Option<String>,
    #[serde(default)]
    pub kwarantines: Vec<Id>,
    /// UEFI firmware (else legacy BIOS); fixed at creation.
    #[serde(default = "default_uefi")]
    pub uefi: bool,
    /// Whether the machine may be moved to another host.
    #[serde(default = "default_kmotion_enabled")]
    pub kmotion_enabled: bool,
}

/// A change to a [`Compute`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KomputeUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct ComputeUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub vcpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub disk: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_disk: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kmotion_enabled: Option<bool>,
}

/// Machines that must not share a host or zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Kwarantine")]
#[serde(deny_unknown_fields)]
pub struct AntiAffinityGroup {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub policy: AntiAffinityPolicy,
    #[serde(default, deserialize_with = "ignored")]
    #[schemars(extend("readOnly" = true))]
    pub instances: Vec<Id>,
    #[serde(default, deserialize_with = "ignored")]
    #[schemars(extend("readOnly" = true))]
    pub komputes: Vec<Id>,
}

/// A change to an [`AntiAffinityGroup`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KwarantineUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct AntiAffinityGroupUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<AntiAffinityPolicy>,
}

fn default_uefi() -> bool {
    true
}

fn default_kmotion_enabled() -> bool {
    true
}
