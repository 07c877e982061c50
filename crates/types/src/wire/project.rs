//! Public models: project.

use super::ignored;
use crate::id::Id;
use crate::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Project")]
#[serde(deny_unknown_fields)]
pub struct Project {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Password of `root` on the project's machines; generated per machine when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_password: Option<Secret<String>>,
    /// Account made on the project's machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_user: Option<String>,
    /// SSH key of that account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_pubkey: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub metadatas: Vec<Metadata>,
    #[serde(default)]
    pub quotas: ProjectResources,
    #[serde(default, deserialize_with = "ignored")]
    #[schemars(extend("readOnly" = true))]
    pub private_subnets: Vec<RegionSubnet>,
    #[serde(default, deserialize_with = "ignored")]
    #[schemars(extend("readOnly" = true))]
    pub reserved_vrrp_ids: Vec<u8>,
    pub teams: Vec<Id>,
    pub regions: Vec<Id>,
}

/// A change to a [`Project`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProjectUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct ProjectUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_password: Option<Secret<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_pubkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadatas: Option<Vec<Metadata>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotas: Option<ProjectResources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams: Option<Vec<Id>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<Id>>,
}

/// Amounts: a quota (zero is unlimited) or a usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProjectResources")]
#[serde(deny_unknown_fields)]
pub struct ProjectResources {
    #[serde(default)]
    pub vcpus: u32,
    /// Bytes.
    #[serde(default)]
    pub memory: u64,
    /// Bytes.
    #[serde(default)]
    pub storage: u64,
    #[serde(default)]
    pub instances: u32,
}

/// A free key and value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Metadata")]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    pub key: String,
    pub value: String,
}

/// The private subnet of a project in a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RegionSubnet")]
#[serde(deny_unknown_fields)]
pub struct RegionSubnet {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
