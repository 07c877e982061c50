//! Name service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Address, Cidr, Domain, Duration, NetworkName, SecretText, Table};

/// Name service: zones, and who answers for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// The program.
    pub engine: DnsEngine,
    /// For PowerDNS: where it keeps records.
    pub backend: DnsBackend,
    /// Networks on whose addresses it answers; all without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkName>,
    /// Whether the platform's machines and virtual addresses have records in the zone of its domain.
    pub machine_records: bool,
    /// Zones that it answers for, beside the platform's domain.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub zones: Table<Domain, Zone>,
    /// Answers for other names.
    pub recursor: Recursor,
    /// For PowerDNS: key of its API; generated without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SecretText>,
    /// For PowerDNS with a database: password of its account there; generated without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_password: Option<SecretText>,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            engine: DnsEngine::Powerdns,
            backend: DnsBackend::Sqlite,
            networks: Vec::new(),
            machine_records: true,
            zones: Table::default(),
            recursor: Recursor::default(),
            api_key: None,
            database_password: None,
        }
    }
}

/// A name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum DnsEngine {
    /// PowerDNS, with its recursor.
    Powerdns,
    /// BIND.
    Bind,
    /// CoreDNS.
    Coredns,
}

/// Where PowerDNS keeps records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum DnsBackend {
    /// A file of each server.
    Sqlite,
    /// The MariaDB of the platform.
    Mariadb,
    /// The PostgreSQL of the platform.
    Postgresql,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Zone {
    /// How long answers may be kept.
    pub ttl: Duration,
    /// Mail address of whoever is responsible; hostmaster of the zone without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Its records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Record>,
}

impl Default for Zone {
    fn default() -> Self {
        Self { ttl: Duration::from_seconds(300), email: None, records: Vec::new() }
    }
}

/// A record, or several of the same name and type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its name within the zone; `@` is the zone itself.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: RecordType,
    /// Its values; several are answered in turn.
    #[schemars(length(min = 1))]
    pub values: Vec<String>,
    /// How long answers may be kept; the zone's without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

/// The type of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum RecordType {
    /// IPv4 address.
    #[default]
    A,
    /// IPv6 address.
    Aaaa,
    /// Another name.
    Cname,
    /// Mail server.
    Mx,
    /// Name server of a zone below.
    Ns,
    /// Text.
    Txt,
    /// Where a service is.
    Srv,
    /// Name of an address.
    Ptr,
}

/// Answers for names of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recursor {
    /// Whether there is one.
    pub enabled: bool,
    /// Name servers that are asked; those of the Internet's root without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forwarders: Vec<Address>,
    /// Who may ask; the platform's networks without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_from: Vec<Cidr>,
}

impl Default for Recursor {
    fn default() -> Self {
        Self { enabled: true, forwarders: Vec::new(), allow_from: Vec::new() }
    }
}
