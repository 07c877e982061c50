//! What certificates are made for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Deserialize;

use crate::error::{Error, Result};

/// Most nodes.
const MOST_NODES: usize = 1_000;

/// Nodes and names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The domain of services in Kubernetes.
    #[serde(default = "cluster_domain")]
    pub cluster_domain: String,
    /// The first address of the range of services in Kubernetes.
    #[serde(default)]
    pub service_address: Option<IpAddr>,
    /// Where the API of Kubernetes is reached: a virtual address or a balancer.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// The nodes.
    #[serde(default)]
    pub nodes: Vec<Node>,
    /// Web servers.
    #[serde(default)]
    pub web: Vec<Web>,
    /// Days that a certificate is valid.
    #[serde(default = "days")]
    pub days: u32,
    /// Days that an authority is valid.
    #[serde(default = "authority_days")]
    pub authority_days: u32,
}

fn cluster_domain() -> String {
    "cluster.local".to_owned()
}

const fn days() -> u32 {
    365
}

const fn authority_days() -> u32 {
    3_650
}

/// Names and addresses of a service that several nodes give.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its names; clients use the first.
    #[serde(default)]
    pub names: Vec<String>,
    /// Its addresses; clients use the first when there is no name.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

/// A machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its host name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Other names of it.
    #[serde(default)]
    pub names: Vec<String>,
    /// What it does.
    pub roles: Vec<Role>,
}

/// What a node does, as far as certificates matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// API server, scheduler and controller manager of Kubernetes.
    ControlPlane,
    /// A node of Kubernetes that runs work.
    Worker,
    /// A member of etcd.
    Etcd,
    /// Dashboard and gateway of Ceph.
    Ceph,
    /// A broker of MQTT.
    Mqtt,
    /// A broker or controller of Kafka.
    Kafka,
    /// Sends metrics and logs, and reports to the controller.
    Agent,
}

/// A web server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Its first name; the file is called by it.
    pub name: String,
    /// Its other names.
    #[serde(default)]
    pub names: Vec<String>,
    /// Its addresses.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

impl Input {
    /// Reads it from YAML.
    pub fn parse(subject: &str, text: &str) -> Result<Self> {
        let input: Self =
            serde_norway::from_str(text).map_err(|fault| Error::document(subject, fault.to_string()))?;
        input.check(subject)?;
        Ok(input)
    }

    /// Checks names, lengths of time, and that what needs an endpoint has one.
    pub fn check(&self, subject: &str) -> Result<()> {
        let fault = |fault: String| Err(Error::document(subject, fault));
        if self.nodes.len() > MOST_NODES {
            return fault(format!("there are more than {MOST_NODES} nodes"));
        }
        if !(1..=825).contains(&self.days) {
            return fault("days is 1 to 825; longer certificates are refused by browsers".to_owned());
        }
        if !(1..=7_300).contains(&self.authority_days) || self.authority_days < self.days {
            return fault("authority_days is at least days, and at most 7300".to_owned());
        }
        let mut seen = BTreeSet::new();
        let names = self.nodes.iter().map(|node| &node.name).chain(self.web.iter().map(|web| &web.name));
        for name in names {
            if !is_host_name(name) {
                return fault(format!("`{name}` is no host name: letters, digits, dots and dashes"));
            }
            if !seen.insert(name) {
                return fault(format!("`{name}` is there twice"));
            }
        }
        if let Some(node) = self.nodes.iter().find(|node| node.addresses.is_empty()) {
            return fault(format!("the node {} has no address", node.name));
        }
        let alternatives = self.nodes.iter().flat_map(|node| &node.names).chain(&self.endpoint.names);
        for name in alternatives.chain(self.web.iter().flat_map(|web| &web.names)) {
            if !is_host_name(name.strip_prefix("*.").unwrap_or(name)) {
                return fault(format!("`{name}` is no host name: letters, digits, dots and dashes"));
            }
        }
        let has_control_plane = self.nodes.iter().any(|node| node.roles.contains(&Role::ControlPlane));
        if has_control_plane && self.endpoint.names.is_empty() && self.endpoint.addresses.is_empty() {
            return fault(
                "there is a control plane, but no endpoint; give its virtual address or name".to_owned(),
            );
        }
        if has_control_plane && self.service_address.is_none() {
            return fault(
                "there is a control plane, but no service_address: the first address of the range of services, such \
                 as 10.96.0.1"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
