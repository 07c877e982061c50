//! Public models: file backends and file shares.

use super::ignored;
use crate::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What clients of a share may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default,
)]
pub enum Access {
    #[serde(rename = "RO")]
    ReadOnly,
    #[default]
    #[serde(rename = "RW")]
    ReadWrite,
}

/// Where file shares of a region lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StorageNFS")]
#[serde(deny_unknown_fields)]
pub struct FileBackend {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where clients mount from, for people.
    pub endpoint: String,
    /// Name of a CephFS, or `dir:` and a directory of a host.
    #[serde(default = "default_fs")]
    pub fs: String,
    /// Hosts that export.
    pub backends: Vec<String>,
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// A change to a [`FileBackend`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StorageNFSUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct FileBackendUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backends: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
}

/// A network file share of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Kylo")]
#[serde(deny_unknown_fields)]
pub struct FileShare {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub access: Access,
    /// NFS versions; all when empty.
    #[serde(default)]
    #[schemars(extend("items" = { "type": "integer", "enum": [3, 4] }))]
    pub protocols: Vec<u8>,
    /// Where clients mount from.
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub endpoint: Option<String>,
    /// Bytes in use.
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub size: Option<u64>,
}

/// A change to a [`FileShare`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KyloUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct FileShareUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("items" = { "type": "integer", "enum": [3, 4] }))]
    pub protocols: Option<Vec<u8>>,
}

fn default_fs() -> String {
    "nfs".to_owned()
}

const fn default_port() -> u16 {
    54_934
}
