//! Public models: load balancers.

use super::{Protocol, ignored};
use crate::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A layer-4 load balancer of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Konvey")]
#[serde(deny_unknown_fields)]
pub struct Balancer {
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub id: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its address in the private subnet of the project.
    #[serde(default, deserialize_with = "ignored", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("readOnly" = true))]
    pub vip: Option<String>,
    /// Whether a second host takes over when the first one dies; fixed at creation.
    #[serde(default = "default_failover")]
    pub failover: bool,
    pub endpoints: Vec<BalancerEndpoint>,
}

/// A change to a [`Balancer`]; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KonveyUpdate")]
#[serde(default, deny_unknown_fields)]
pub struct BalancerUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<BalancerEndpoint>>,
}

/// A port that is balanced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KonveyEndpoint")]
#[serde(deny_unknown_fields)]
pub struct BalancerEndpoint {
    pub name: String,
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    pub protocol: Protocol,
    pub backends: BalancerBackends,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KonveyBackends")]
#[serde(deny_unknown_fields)]
pub struct BalancerBackends {
    /// Addresses.
    pub hosts: Vec<String>,
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

const fn default_failover() -> bool {
    true
}
