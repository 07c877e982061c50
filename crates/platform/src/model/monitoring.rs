//! Metrics, logs and the web server in front of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Domain, Duration, Name, Port, Size, Table};

/// Prometheus. It scrapes what the platform's services offer, without further ado.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// Its port.
    pub port: Port,
    /// How often it asks.
    pub interval: Duration,
    /// How long it keeps what it learns.
    pub retention: Duration,
    /// Most bytes it keeps; no limit without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_size: Option<Size>,
    /// Further targets.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub scrapes: Table<Name, Scrape>,
    /// Alert managers, as `HOST:PORT`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 3)))]
    pub alertmanagers: Vec<String>,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            port: Port(9090),
            interval: Duration::from_seconds(15),
            retention: Duration::from_seconds(15 * 86_400),
            retention_size: None,
            scrapes: Table::default(),
            alertmanagers: Vec::new(),
        }
    }
}

/// Something that offers metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scrape {
    /// Where, as `HOST:PORT`.
    #[schemars(length(min = 1), inner(length(min = 3)))]
    pub targets: Vec<String>,
    /// The path.
    #[serde(default = "metrics")]
    #[schemars(extend("format" = "path"))]
    pub path: String,
    /// How often; as often as everything else without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
}

fn metrics() -> String {
    "/metrics".to_owned()
}

/// The exporter of a machine's own metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeExporter {
    /// Whether machines have one.
    pub enabled: bool,
    /// Its port.
    pub port: Port,
}

impl Default for NodeExporter {
    fn default() -> Self {
        Self { enabled: true, port: Port(9100) }
    }
}

/// The shipper of metrics and logs to `victoria`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alloy {
    /// Whether machines have one.
    pub enabled: bool,
    /// Whether it ships the journal.
    pub journal: bool,
    /// Port of its own page, on the loopback only.
    pub port: Port,
}

impl Default for Alloy {
    fn default() -> Self {
        Self { enabled: false, journal: true, port: Port(12345) }
    }
}

/// The store of metrics and logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Victoria {
    /// Port of metrics.
    pub metrics_port: Port,
    /// Port of logs.
    pub logs_port: Port,
    /// How long both are kept.
    pub retention: Duration,
}

impl Default for Victoria {
    fn default() -> Self {
        Self {
            metrics_port: Port(8428),
            logs_port: Port(9428),
            retention: Duration::from_seconds(30 * 86_400),
        }
    }
}

/// The web server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Caddy {
    /// Mail address for the authority of certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Sites by their domain name.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub sites: Table<Domain, Site>,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Where requests go.
    #[schemars(extend("format" = "http-url"))]
    pub upstream: String,
    /// Where its certificate comes from.
    #[serde(default)]
    pub tls: SiteTls,
}

/// Where the certificate of a site comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SiteTls {
    /// A public authority, through ACME.
    #[default]
    Acme,
    /// The platform's own authority.
    Platform,
}
