//! Public models: storage.

use super::ignored;
use super::location::Cost;
use crate::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The family of operating system that an image holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default,
)]
pub enum OperatingSystem {
    #[default]
    #[serde(rename = "linux")]
    Linux,
    #[serde(rename = "windows")]
    Windows,
}

/// What a volume is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VolumeType {
    #[serde(rename = "os")]
    Os,
    #[serde(rename = "iso")]
    Iso,
    #[serde(rename = "raw")]
    Raw,
    #[serde(rename = "template")]
    Template,
}

/// Where volumes and images of a region live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StoragePool")]
#[serde(deny_unknown_fields)]
pub struct StoragePool {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `dir:PATH`, `logical:VG`, or the name of a Ceph pool.
    pub pool: String,
    #[serde(default = "default_ceph_address")]
    pub ceph_address: String,
    #[serde(default = "default_ceph_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub ceph_port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceph_secret_uuid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    pub agents: Vec<Id>,
}

/// A change to a [`StoragePool`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StoragePoolUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct StoragePoolUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceph_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub ceph_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceph_secret_uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<Id>>,
}

/// An image that disks are cloned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Template")]
#[serde(deny_unknown_fields)]
pub struct Image {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub os: OperatingSystem,
    /// HTTP(S) or file URL of a raw or qcow2 image, plain or compressed.
    pub source: String,
}

/// A change to an [`Image`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TemplateUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct ImageUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Volume")]
#[serde(deny_unknown_fields)]
pub struct Volume {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub r#type: VolumeType,
    /// Bytes.
    pub size: u64,
}

/// A change to a [`Volume`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct VolumeUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

fn default_ceph_address() -> String {
    "localhost".to_owned()
}

fn default_ceph_port() -> u16 {
    3300
}
