//! Databases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Cidr, Name, NetworkName, Port, SecretText, Size, Table};

/// MariaDB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MariaDb {
    /// The network on whose address it answers; the loopback only without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Its port.
    pub port: Port,
    /// Databases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Name>,
    /// Accounts.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub users: Table<Name, MariaDbUser>,
    /// Memory for data that is in use.
    pub buffer_pool: Size,
    /// Most connections at a time.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_connections: u32,
}

impl Default for MariaDb {
    fn default() -> Self {
        Self {
            network: None,
            port: Port(3306),
            databases: Vec::new(),
            users: Table::default(),
            buffer_pool: Size::from_bytes(256 << 20),
            max_connections: 200,
        }
    }
}

/// An account of MariaDB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MariaDbUser {
    /// Its password; generated without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// Databases in which it may do everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Name>,
    /// From where it may come, such as `10.0.0.%`.
    #[serde(default = "here")]
    #[schemars(length(min = 1))]
    pub host: String,
}

fn here() -> String {
    "localhost".to_owned()
}

/// PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PostgreSql {
    /// The network on whose address it answers; the loopback only without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Its port.
    pub port: Port,
    /// Databases, each with the account that owns it.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub databases: Table<Name, Name>,
    /// Accounts.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub users: Table<Name, PostgreSqlUser>,
    /// Memory for data that is in use.
    pub shared_buffers: Size,
    /// Most connections at a time.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_connections: u32,
}

impl Default for PostgreSql {
    fn default() -> Self {
        Self {
            network: None,
            port: Port(5432),
            databases: Table::default(),
            users: Table::default(),
            shared_buffers: Size::from_bytes(256 << 20),
            max_connections: 200,
        }
    }
}

/// An account of PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PostgreSqlUser {
    /// Its password; generated without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// Networks from which it may come, beside the machine itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Cidr>,
    /// Whether it may do everything.
    pub superuser: bool,
}
