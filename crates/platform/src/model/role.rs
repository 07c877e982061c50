//! What machines do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline, extend("x-instead" = {
    "master": "control-plane",
    "kube-apiserver": "control-plane",
    "kafka-broker": "kafka",
    "mqtt": "mosquitto",
    "mqtt-broker": "mosquitto",
    "dns-server": "dns",
    "kaktus": "hypervisor",
    "kiwi": "edge",
    "kahuna": "controller",
    "osd": "ceph-osd",
    "mon": "ceph-mon",
}))]
pub enum Role {
    /// Kubernetes: API server, controller manager, scheduler, and a kubelet.
    ControlPlane,
    /// Kubernetes: a kubelet that runs workloads.
    Worker,
    /// A member of the etcd cluster.
    Etcd,
    /// A Ceph monitor.
    CephMon,
    /// A Ceph manager.
    CephMgr,
    /// Ceph OSDs, one per disk with `use: ceph-osd`.
    CephOsd,
    /// A Ceph metadata server.
    CephMds,
    /// A Kafka broker, and controller of the KRaft quorum.
    Kafka,
    /// The MQTT broker.
    Mosquitto,
    /// An authoritative name server, with a recursor where the engine has one.
    Dns,
    /// The load balancer HAProxy.
    Haproxy,
    /// Exports file systems of Ceph over NFS.
    Nfs,
    /// Prometheus.
    Prometheus,
    /// VictoriaMetrics and VictoriaLogs.
    Victoria,
    /// The web server Caddy.
    Caddy,
    /// MariaDB.
    Mariadb,
    /// PostgreSQL.
    Postgresql,
    /// Freehold's controller.
    Controller,
    /// Freehold's node role with machines and storage.
    Hypervisor,
    /// Freehold's node role with the region's networks.
    Edge,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 20] = [
        Self::ControlPlane,
        Self::Worker,
        Self::Etcd,
        Self::CephMon,
        Self::CephMgr,
        Self::CephOsd,
        Self::CephMds,
        Self::Kafka,
        Self::Mosquitto,
        Self::Dns,
        Self::Haproxy,
        Self::Nfs,
        Self::Prometheus,
        Self::Victoria,
        Self::Caddy,
        Self::Mariadb,
        Self::Postgresql,
        Self::Controller,
        Self::Hypervisor,
        Self::Edge,
    ];

    /// How it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
            Self::Etcd => "etcd",
            Self::CephMon => "ceph-mon",
            Self::CephMgr => "ceph-mgr",
            Self::CephOsd => "ceph-osd",
            Self::CephMds => "ceph-mds",
            Self::Kafka => "kafka",
            Self::Mosquitto => "mosquitto",
            Self::Dns => "dns",
            Self::Haproxy => "haproxy",
            Self::Nfs => "nfs",
            Self::Prometheus => "prometheus",
            Self::Victoria => "victoria",
            Self::Caddy => "caddy",
            Self::Mariadb => "mariadb",
            Self::Postgresql => "postgresql",
            Self::Controller => "controller",
            Self::Hypervisor => "hypervisor",
            Self::Edge => "edge",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_print_what_serde_writes() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
    }
}
