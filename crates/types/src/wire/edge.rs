//! Public models: edges and DNS records.

use super::ignored;
use crate::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network node of a region: it answers for names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Kiwi")]
#[serde(deny_unknown_fields)]
pub struct Edge {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub agents: Vec<Id>,
}

/// A change to an [`Edge`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KiwiUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct EdgeUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<Id>>,
}

/// A name in the domain of a project or a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DnsRecord")]
#[serde(deny_unknown_fields)]
pub struct DnsRecord {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Of the project or region.
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub domain: Option<String>,
    /// IPv4 and IPv6 addresses.
    pub addresses: Vec<String>,
}

/// A change to a [`DnsRecord`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DnsRecordUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct DnsRecordUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
}
