//! The load balancer and exports over NFS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::role::Role;
use crate::words::{
    CephFilesystemName, Cidr, Duration, MachineName, Name, NetworkName, Port, Table, VipName,
};

/// The load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HaProxy {
    /// Where it takes connections, and to whom they go.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub frontends: Table<Name, Frontend>,
    /// Port of its statistics and metrics, on the loopback only.
    pub stats_port: Port,
    /// Most connections at a time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u32,
    /// How long it waits for a server.
    pub connect_timeout: Duration,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
}

impl Default for HaProxy {
    fn default() -> Self {
        Self {
            frontends: Table::default(),
            stats_port: Port(8404),
            max_connections: 10_000,
            connect_timeout: Duration::from_seconds(5),
            idle_timeout: Duration::from_seconds(300),
        }
    }
}

/// Where the load balancer takes connections, and to whom they go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// The virtual address; all addresses of the machine without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vip: Option<VipName>,
    /// The port.
    pub port: Port,
    /// What it understands of the traffic.
    #[serde(default)]
    pub mode: TrafficMode,
    /// Whether it ends TLS, with a certificate of the platform.
    #[serde(default)]
    pub tls: bool,
    /// To whom connections go.
    pub servers: Servers,
    /// How it sees that a server is well.
    #[serde(default)]
    pub check: Check,
}

/// What the load balancer understands of the traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum TrafficMode {
    /// Bytes.
    #[default]
    Tcp,
    /// HTTP.
    Http,
}

/// To whom connections go: to the machines with a role, or to those that are named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Servers {
    /// The machines with this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// These machines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<MachineName>,
    /// Their network; that of the default route without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Their port.
    pub port: Port,
}

/// How a load balancer sees that a server is well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Check {
    /// A path that must answer with a status of success; a connection is enough without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "path"))]
    pub path: Option<String>,
    /// Whether the check speaks TLS.
    pub tls: bool,
    /// How often it looks.
    pub interval: Duration,
}

impl Default for Check {
    fn default() -> Self {
        Self { path: None, tls: false, interval: Duration::from_seconds(2) }
    }
}

/// Exports over NFS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Nfs {
    /// What is exported.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub exports: Table<Name, NfsExport>,
}

/// An export over NFS 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NfsExport {
    /// Its number, unique.
    #[schemars(range(min = 1, max = 65_535))]
    pub id: u16,
    /// The file system of Ceph.
    pub filesystem: CephFilesystemName,
    /// The directory within the file system.
    #[serde(default = "root")]
    #[schemars(extend("format" = "path"))]
    pub path: String,
    /// Under which path clients see it.
    #[schemars(extend("format" = "path"))]
    pub pseudo: String,
    /// What clients may do.
    #[serde(default)]
    pub access: NfsAccess,
    /// Whose files root's are.
    #[serde(default)]
    pub squash: Squash,
    /// Clients.
    #[schemars(length(min = 1))]
    pub clients: Vec<Cidr>,
}

fn root() -> String {
    "/".to_owned()
}

/// What clients of an export may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum NfsAccess {
    /// Read and write.
    #[default]
    Rw,
    /// Read.
    Ro,
}

/// Whom the server takes clients' accounts for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Squash {
    /// Root for nobody, others for themselves.
    #[default]
    Root,
    /// Everyone for nobody.
    All,
    /// Everyone for themselves.
    None,
}
