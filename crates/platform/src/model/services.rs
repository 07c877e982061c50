//! The settings of all services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Alloy, Caddy, Ceph, Containerd, Dns, Etcd, Freehold, HaProxy, Kafka, Kubernetes, MariaDb, Mosquitto, Nfs,
    NodeExporter, PostgreSql, Prometheus, Victoria,
};

/// Settings of services. A service runs where a machine has its role; without settings it runs with the defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// The container runtime of Kubernetes nodes.
    pub containerd: Containerd,
    /// The etcd cluster of the machines with role `etcd`.
    pub etcd: Etcd,
    /// Kubernetes, of the machines with roles `control-plane` and `worker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// The Ceph cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceph: Option<Ceph>,
    /// The Kafka cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,
    /// The MQTT broker.
    pub mosquitto: Mosquitto,
    /// Name service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// The load balancer.
    pub haproxy: HaProxy,
    /// Exports over NFS.
    pub nfs: Nfs,
    /// Prometheus.
    pub prometheus: Prometheus,
    /// The exporter of a machine's own metrics, on all machines while `prometheus` or `victoria` has a machine.
    pub node_exporter: NodeExporter,
    /// The shipper of metrics and logs.
    pub alloy: Alloy,
    /// The store of metrics and logs.
    pub victoria: Victoria,
    /// The web server.
    pub caddy: Caddy,
    /// MariaDB.
    pub mariadb: MariaDb,
    /// PostgreSQL.
    pub postgresql: PostgreSql,
    /// Freehold's own cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freehold: Option<Freehold>,
}
