//! Public models: location.

use super::ignored;
use crate::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A set of zones that share storage and networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Region")]
#[serde(deny_unknown_fields)]
pub struct Region {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub domain: String,
}

/// A change to a [`Region`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RegionUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct RegionUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// A set of hypervisors that fail together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Zone")]
#[serde(deny_unknown_fields)]
pub struct Zone {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A change to a [`Zone`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ZoneUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct ZoneUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A host that runs machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Kaktus")]
#[serde(deny_unknown_fields)]
pub struct Hypervisor {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_cost: Option<Cost>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_cost: Option<Cost>,
    #[serde(default = "default_overcommit_cpu_ratio")]
    #[schemars(range(min = 1))]
    pub overcommit_cpu_ratio: u32,
    #[serde(default = "default_overcommit_memory_ratio")]
    #[schemars(range(min = 1))]
    pub overcommit_memory_ratio: u32,
    pub agents: Vec<Id>,
    /// No new machine is placed here.
    #[serde(default, deserialize_with = "ignored")]
    #[schemars(extend("readOnly" = true))]
    pub maintenance: bool,
}

/// A change to a [`Hypervisor`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KaktusUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct HypervisorUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_cost: Option<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_cost: Option<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub overcommit_cpu_ratio: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub overcommit_memory_ratio: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<Id>>,
}

/// What a hypervisor has, as it reported it; zero until it first connected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KaktusCaps")]
#[serde(deny_unknown_fields)]
pub struct HypervisorCapabilities {
    pub cpu: HypervisorCpu,
    /// Bytes.
    pub memory: u64,
}

/// The processors of a hypervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KaktusCPU")]
#[serde(deny_unknown_fields)]
pub struct HypervisorCpu {
    pub arch: String,
    pub model: String,
    pub vendor: String,
    pub sockets: u32,
    pub cores: u32,
    pub threads: u32,
}

/// A monthly price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Cost")]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Per month.
    pub price: f64,
    /// ISO 4217 code.
    pub currency: String,
}

fn default_overcommit_cpu_ratio() -> u32 {
    3
}

fn default_overcommit_memory_ratio() -> u32 {
    2
}
