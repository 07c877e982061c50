//! Freehold's own cloud: the controller, and the node roles that serve it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{LinkName, NetworkName, Port, SecretText};

/// Freehold's own cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freehold {
    /// Where people, programs and agents reach the controller.
    #[schemars(extend("format" = "http-url"))]
    pub public_url: String,
    /// The controller.
    #[serde(default)]
    pub controller: Controller,
    /// Hypervisors and edges.
    #[serde(default)]
    pub node: NodeRole,
}

/// The controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Controller {
    /// The network on whose address it listens; all addresses without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Its port.
    pub port: Port,
    /// Where it keeps its data.
    #[schemars(extend("format" = "path"))]
    pub data_dir: String,
    /// Mail address of the first administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_email: Option<String>,
    /// Key that seals secrets in the store; generated without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key: Option<SecretText>,
    /// How it sends mail; it sends none without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            network: None,
            port: Port(8443),
            data_dir: "/var/lib/freehold".to_owned(),
            admin_email: None,
            master_key: None,
            mail: None,
        }
    }
}

/// How the controller sends mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server.
    #[schemars(length(min = 1))]
    pub host: String,
    /// Its port.
    #[serde(default = "submission")]
    pub port: Port,
    /// The sender.
    #[schemars(length(min = 3))]
    pub from: String,
    /// Account there; none without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
}

const fn submission() -> Port {
    Port(587)
}

/// Hypervisors and edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeRole {
    /// Where the agent keeps its ledger.
    #[schemars(extend("format" = "path"))]
    pub data_dir: String,
    /// The interface that carries the networks of projects, on every node; that of the default route without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink: Option<LinkName>,
}

impl Default for NodeRole {
    fn default() -> Self {
        Self { data_dir: "/var/lib/freehold-node".to_owned(), uplink: None }
    }
}
