//! The model: one type per concern. Values only; what they mean together is [`crate::check`]'s.
//!
//! Promises: every key has a sentence of documentation, from which the schema and the reference are made; every
//! default stands here and nowhere else; nothing here reads a file or the clock.

mod access;
mod ceph;
mod cloud;
mod data;
mod firewall;
mod interface;
mod kubernetes;
mod machine;
mod messaging;
mod monitoring;
mod names;
mod network;
mod query;
mod role;
mod services;
mod substrate;
mod traffic;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use access::{NamedSecret, Provider, SecretKind, Secrets, User};
pub use ceph::{
    Application, Caps, Ceph, CephClient, Dashboard, FailureDomain, Filesystem, OsdDefaults, Pool,
};
pub use cloud::{Acceleration, Bootstrap, Controller, Freehold, Mail, MailSecurity, NodeRole};
pub use data::{MariaDb, MariaDbUser, PostgreSql, PostgreSqlUser};
pub use firewall::{Dnat, Firewall, Forward, Open, Protocol};
pub use interface::{Bond, BondMode, Interface, InterfaceKind, Route};
pub use kubernetes::{Cni, CniKind, Containerd, Etcd, Kubelet, Kubernetes, ProxyMode};
pub use machine::{
    Architecture, Disk, DiskClass, DiskUse, Hardware, Identity, Machine, OperatingSystem, Ssh, Sshd, Time,
};
pub use messaging::{Access, Acl, Kafka, KafkaUser, Mosquitto, MosquittoUser};
pub use monitoring::{Alloy, Caddy, NodeExporter, Prometheus, Scrape, Site, SiteTls, Victoria};
pub use names::{Dns, DnsBackend, DnsEngine, Record, RecordType, Recursor, Zone};
pub use network::{Network, Vip};
pub use role::Role;
pub use services::Services;
pub use substrate::{Substrate, SubstrateKind};
pub use traffic::{Check, Frontend, HaProxy, Nfs, NfsAccess, NfsExport, Servers, Squash, TrafficMode};

use crate::words::{GroupName, HostName, Members, Name, SystemName, Table};

/// A platform: machines, networks, roles and services, as one declaration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Name of the platform.
    pub name: Name,
    /// Domain of the machines: a machine's full name is `MACHINE.DOMAIN`.
    #[serde(default = "default_domain")]
    #[schemars(extend("format" = "domain"))]
    pub domain: String,
    /// What all machines have in common; the weakest layer of a machine's settings.
    #[serde(default)]
    pub defaults: Machine,
    /// Groups of machines, with what their members have in common.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub groups: Table<Name, Group>,
    /// The machines.
    pub machines: Table<HostName, Machine>,
    /// The networks that machines are on.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub networks: Table<Name, Network>,
    /// Virtual addresses, each held by one of several machines at a time (VRRP).
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub vips: Table<Name, Vip>,
    /// Who does what: for each role, machines or groups. Adds to `roles` of machines and groups.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub roles: Table<Role, Vec<Members>>,
    /// Settings of the services that the roles run.
    #[serde(default)]
    pub services: Services,
    /// Where machines come from. A machine without one exists and is reached over SSH.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub substrates: Table<Name, Substrate>,
    /// Where secrets are kept, and which there are beyond those of the services.
    #[serde(default)]
    pub secrets: Secrets,
    /// Accounts on the machines.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub users: Table<SystemName, User>,
    /// Variants of the platform: parts of this file that are merged over the rest when the profile is chosen.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub profiles: Table<Name, Overlay>,
}

fn default_domain() -> String {
    "home.internal".to_owned()
}

/// A group of machines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Groups that this one belongs to; their settings are weaker than this group's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// Settings of the members, with the keys of a machine.
    pub settings: Machine,
}

/// A part of a platform that is merged over it when its profile is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overlay(pub serde_json::Value);

impl JsonSchema for Overlay {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Overlay".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object", "x-overlay": true })
    }
}
