//! Freehold's own cloud: the controller, and the node roles that serve it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Duration, LinkName, NetworkName, Port, SecretText, SshKey, SystemName};

/// Freehold's own cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freehold {
    /// Where people, programs and agents reach the controller.
    #[schemars(extend("format" = "http-url"))]
    pub public_url: String,
    /// The account on virtual machines of projects that name none.
    pub bootstrap: Bootstrap,
    /// The controller.
    #[serde(default)]
    pub controller: Controller,
    /// Hypervisors and edges.
    #[serde(default)]
    pub node: NodeRole,
}

/// The account on virtual machines of projects that name none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Its name.
    #[serde(default = "admin")]
    pub user: SystemName,
    /// The public SSH key that may log in.
    pub public_key: SshKey,
}

fn admin() -> SystemName {
    SystemName::literal("admin")
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
    /// Whether it speaks TLS with a certificate of the platform; without, a proxy must.
    pub tls: bool,
    /// Where it keeps its data.
    #[schemars(extend("format" = "path"))]
    pub data_dir: String,
    /// Mail address that receives the keys of agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_email: Option<String>,
    /// How long somebody who logged in stays so.
    pub session: Duration,
    /// How long the log of changes is kept.
    pub keep_log: Duration,
    /// Whether hosts hold the gateway addresses of subnets themselves.
    pub host_gateways: bool,
    /// Key that opens everything and is no account; generated without one.
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
            tls: true,
            data_dir: "/var/lib/freehold".to_owned(),
            admin_email: None,
            session: Duration::from_seconds(86_400),
            keep_log: Duration::from_seconds(90 * 86_400),
            host_gateways: false,
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
    /// How the connection is secured.
    #[serde(default)]
    pub security: MailSecurity,
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

/// How the connection to a mail server is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum MailSecurity {
    /// TLS after a greeting in the clear.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

/// Hypervisors and edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeRole {
    /// Where the agent keeps its ledger.
    #[schemars(extend("format" = "path"))]
    pub data_dir: String,
    /// The interface of hypervisors that carries the networks of projects; none without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink: Option<LinkName>,
    /// The network over which nodes reach each other; that of the default route without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// How virtual machines are accelerated.
    pub accel: Acceleration,
    /// Directories that images may come from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub image_directories: Vec<String>,
}

impl Default for NodeRole {
    fn default() -> Self {
        Self {
            data_dir: "/var/lib/freehold/node".to_owned(),
            uplink: None,
            network: None,
            accel: Acceleration::Auto,
            image_directories: Vec::new(),
        }
    }
}

/// How virtual machines are accelerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Acceleration {
    /// With KVM where it works, else not.
    Auto,
    /// With KVM.
    Kvm,
    /// Not: every instruction is emulated.
    Tcg,
}
