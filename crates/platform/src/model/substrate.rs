//! Where machines come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{NetworkName, Table};

/// Where machines come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Substrate {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: SubstrateKind,
    /// Where it is reached, such as `qemu:///system`; the substrate's own default without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub uri: Option<String>,
    /// Image that machines start from: a file or a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub image: Option<String>,
    /// Storage pool for disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub pool: Option<String>,
    /// What the substrate calls our networks.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub networks: Table<NetworkName, String>,
}

/// What a substrate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SubstrateKind {
    /// Machines that exist.
    Existing,
    /// Virtual machines of libvirt.
    Libvirt,
    /// Virtual machines of Lima, on a laptop.
    Lima,
}
