//! Kafka and the MQTT broker.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Duration, Name, NetworkName, Port, SecretText, Size, Table};

/// The Kafka cluster, with a KRaft quorum of the same machines. Their `number` is the node id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Identity of the cluster, 22 characters of URL-safe base64; never changes.
    #[schemars(extend("format" = "kafka-id"))]
    pub cluster_id: String,
    /// Its version.
    #[serde(default = "kafka_version")]
    #[schemars(extend("format" = "version"))]
    pub version: String,
    /// The network of brokers and clients; that of the default route without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Port for clients and other brokers.
    #[serde(default = "kafka_port")]
    pub port: Port,
    /// Port of the quorum.
    #[serde(default = "kafka_controller_port")]
    pub controller_port: Port,
    /// Where it keeps its data.
    #[serde(default = "kafka_data")]
    #[schemars(extend("format" = "path"))]
    pub data_dir: String,
    /// Memory of the Java heap.
    #[serde(default = "kafka_heap")]
    pub heap: Size,
    /// Partitions of a topic that does not say.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 10_000))]
    pub partitions: u16,
    /// Copies of a topic that does not say; as many as there are brokers, at most 3, without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub replication: Option<u8>,
    /// Copies that must have taken a write; one less than there are copies, without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub min_insync: Option<u8>,
    /// How long records are kept.
    #[serde(default = "week")]
    pub retention: Duration,
    /// Accounts of clients.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub users: Table<Name, KafkaUser>,
}

fn kafka_version() -> String {
    "4.2.0".to_owned()
}
const fn kafka_port() -> Port {
    Port(9092)
}
const fn kafka_controller_port() -> Port {
    Port(9093)
}
fn kafka_data() -> String {
    "/var/lib/kafka".to_owned()
}
const fn kafka_heap() -> Size {
    Size::from_bytes(1 << 30)
}
const fn three() -> u16 {
    3
}
const fn week() -> Duration {
    Duration::from_seconds(7 * 86_400)
}

/// An account of a client of Kafka.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaUser {
    /// Its password; generated without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// Whether it may do everything.
    pub superuser: bool,
}

/// The MQTT broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mosquitto {
    /// Port with TLS.
    pub port: Port,
    /// Port without TLS; closed without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain_port: Option<Port>,
    /// Port for WebSockets with TLS; closed without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websockets_port: Option<Port>,
    /// Whether clients must present a certificate of the platform.
    pub client_certificates: bool,
    /// Most clients at a time; no limit without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: Option<u32>,
    /// Largest message.
    pub max_message: Size,
    /// Whether messages survive a restart.
    pub persistence: bool,
    /// Accounts, each with what it may do.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub users: Table<Name, MosquittoUser>,
    /// What every account may do; `%u` in a topic is the account, `%c` the client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub everyone: Vec<Acl>,
}

impl Default for Mosquitto {
    fn default() -> Self {
        Self {
            port: Port(8883),
            plain_port: None,
            websockets_port: None,
            client_certificates: false,
            max_connections: None,
            max_message: Size::from_bytes(1 << 20),
            persistence: true,
            users: Table::default(),
            everyone: Vec::new(),
        }
    }
}

/// An account of the MQTT broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MosquittoUser {
    /// Its password; generated without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// What it may do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acl: Vec<Acl>,
}

/// What may be done with a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acl {
    /// The topic, with `+` and `#` as in subscriptions.
    #[schemars(length(min = 1, max = 1000))]
    pub topic: String,
    /// What may be done.
    #[serde(default)]
    pub access: Access,
}

/// What may be done with a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Access {
    /// Subscribe.
    Read,
    /// Publish.
    Write,
    /// Both.
    #[default]
    Readwrite,
    /// Neither, though another rule allows it.
    Deny,
}
