//! Every certificate that an input asks for. Subjects and names are those of kubeadm, so that its tools and manuals fit.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::input::{Input, Node, Role, Web};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signs others.
    Authority,
    /// A server.
    Server,
    /// A client.
    Client,
    /// Both.
    Peer,
    /// No certificate, but a pair of keys.
    KeyPair,
}

/// A certificate that there is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name, and the path of its files.
    pub name: String,
    /// Who signs it; nobody else signs authorities and pairs of keys.
    pub authority: Option<&'static str>,
    /// Its common name.
    pub common_name: String,
    /// Its organisation, which is a group in Kubernetes.
    pub organisation: Option<&'static str>,
    /// What it is for.
    pub purpose: Purpose,
    /// Names that it is valid for.
    pub names: BTreeSet<String>,
    /// Addresses that it is valid for.
    pub addresses: BTreeSet<IpAddr>,
    /// The API of Kubernetes that its kubeconfig speaks to.
    pub kubeconfig: Option<String>,
    /// How long it is valid.
    pub days: u32,
}

pub(super) const KUBERNETES: &str = "authorities/kubernetes";
const FRONT_PROXY: &str = "authorities/front-proxy";
const ETCD: &str = "authorities/etcd";
const CEPH: &str = "authorities/ceph";
const MQTT: &str = "authorities/mqtt";
const KAFKA: &str = "authorities/kafka";
const AGENTS: &str = "authorities/agents";
const WEB: &str = "authorities/web";

struct Builder<'a> {
    input: &'a Input,
    items: Vec<Item>,
}

/// All certificates, authorities first, in an order that depends on the input alone.
pub fn inventory(input: &Input) -> Vec<Item> {
    let mut builder = Builder { input, items: Vec::new() };
    builder.authorities();
    builder.shared();
    for node in &input.nodes {
        builder.node(node);
    }
    for web in &input.web {
        builder.web(web);
    }
    builder.items
}

impl Builder<'_> {
    fn has(&self, roles: &[Role]) -> bool {
        self.input.nodes.iter().any(|node| node.roles.iter().any(|role| roles.contains(role)))
    }

    fn authorities(&mut self) {
        let kubernetes = self.has(&[Role::ControlPlane, Role::Worker]);
        for (name, common_name, is_needed) in [
            (KUBERNETES, "kubernetes", kubernetes),
            (FRONT_PROXY, "front-proxy-ca", self.has(&[Role::ControlPlane])),
            (ETCD, "etcd-ca", self.has(&[Role::Etcd, Role::ControlPlane])),
            (CEPH, "ceph-ca", self.has(&[Role::Ceph])),
            (MQTT, "mqtt-ca", self.has(&[Role::Mqtt])),
            (KAFKA, "kafka-ca", self.has(&[Role::Kafka])),
            (AGENTS, "agents-ca", self.has(&[Role::Agent])),
            (WEB, "web-ca", !self.input.web.is_empty()),
        ] {
            if is_needed {
                self.add(name.to_owned(), None, common_name, None, Purpose::Authority);
            }
        }
    }

    fn shared(&mut self) {
        if self.has(&[Role::ControlPlane]) {
            let server = self.endpoint();
            for (name, common_name, group) in [
                ("shared/admin", "kubernetes-admin", "kubeadm:cluster-admins"),
                ("shared/super-admin", "kubernetes-super-admin", "system:masters"),
            ] {
                let item =
                    self.add(name.to_owned(), Some(KUBERNETES), common_name, Some(group), Purpose::Client);
                item.kubeconfig = Some(server.clone());
            }
            self.add("shared/service-account".to_owned(), None, "service-account", None, Purpose::KeyPair);
        }
        if self.has(&[Role::Kafka]) {
            self.add("shared/kafka-admin".to_owned(), Some(KAFKA), "kafka-admin", None, Purpose::Client);
        }
        if self.has(&[Role::Mqtt]) {
            self.add("shared/mqtt-admin".to_owned(), Some(MQTT), "mqtt-admin", None, Purpose::Client);
        }
    }

    fn node(&mut self, node: &Node) {
        let has = |role| node.roles.contains(&role);
        if has(Role::ControlPlane) {
            self.control_plane(node);
        }
        if has(Role::ControlPlane) || has(Role::Worker) {
            self.kubelet(node);
        }
        if has(Role::Etcd) {
            for part in ["etcd/server", "etcd/peer"] {
                let item = self.add(path(node, part), Some(ETCD), &node.name, None, Purpose::Peer);
                item.covers_node(node);
                item.covers_loopback();
            }
            self.add(
                path(node, "etcd/healthcheck-client"),
                Some(ETCD),
                "kube-etcd-healthcheck-client",
                None,
                Purpose::Client,
            );
        }
        if has(Role::Ceph) {
            for part in ["ceph/dashboard", "ceph/rgw"] {
                self.add(path(node, part), Some(CEPH), &node.name, None, Purpose::Server).covers_node(node);
            }
        }
        if has(Role::Mqtt) {
            let item = self.add(path(node, "mqtt/server"), Some(MQTT), &node.name, None, Purpose::Server);
            item.covers_node(node);
            item.covers_loopback();
        }
        if has(Role::Kafka) {
            self.add(path(node, "kafka/broker"), Some(KAFKA), &node.name, None, Purpose::Peer)
                .covers_node(node);
        }
        if has(Role::Agent) {
            self.add(path(node, "agent"), Some(AGENTS), &node.name, None, Purpose::Peer).covers_node(node);
            if self.has(&[Role::Mqtt]) {
                self.add(path(node, "mqtt/client"), Some(MQTT), &node.name, None, Purpose::Client);
            }
        }
    }

    fn control_plane(&mut self, node: &Node) {
        let input = self.input;
        let local =
            format!("https://{}:6443", node.addresses.first().map_or_else(|| node.name.clone(), host));
        let item = self.add(
            path(node, "kubernetes/apiserver"),
            Some(KUBERNETES),
            "kube-apiserver",
            None,
            Purpose::Server,
        );
        item.covers_node(node);
        item.covers_loopback();
        item.names.extend(input.endpoint.names.iter().cloned());
        item.addresses.extend(input.endpoint.addresses.iter().copied().chain(input.service_address));
        item.names.extend(["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned));
        item.names.insert(format!("kubernetes.default.svc.{}", input.cluster_domain));
        for (part, authority, common_name, group, is_local) in [
            (
                "kubernetes/apiserver-kubelet-client",
                KUBERNETES,
                "kube-apiserver-kubelet-client",
                Some("kubeadm:cluster-admins"),
                false,
            ),
            ("kubernetes/apiserver-etcd-client", ETCD, "kube-apiserver-etcd-client", None, false),
            ("kubernetes/front-proxy-client", FRONT_PROXY, "front-proxy-client", None, false),
            ("kubernetes/controller-manager", KUBERNETES, "system:kube-controller-manager", None, true),
            ("kubernetes/scheduler", KUBERNETES, "system:kube-scheduler", None, true),
        ] {
            let item = self.add(path(node, part), Some(authority), common_name, group, Purpose::Client);
            item.kubeconfig = is_local.then(|| local.clone());
        }
    }

    fn kubelet(&mut self, node: &Node) {
        let server = self.endpoint();
        let name = format!("system:node:{}", node.name);
        let group = Some("system:nodes");
        let item =
            self.add(path(node, "kubernetes/kubelet"), Some(KUBERNETES), &name, group, Purpose::Client);
        item.kubeconfig = Some(server.clone());
        self.add(path(node, "kubernetes/kubelet-server"), Some(KUBERNETES), &name, group, Purpose::Server)
            .covers_node(node);
        let proxy = path(node, "kubernetes/kube-proxy");
        self.add(proxy, Some(KUBERNETES), "system:kube-proxy", None, Purpose::Client).kubeconfig =
            Some(server);
    }

    fn web(&mut self, web: &Web) {
        let item = self.add(format!("web/{}", web.name), Some(WEB), &web.name, None, Purpose::Server);
        item.names.insert(web.name.clone());
        item.names.extend(web.names.iter().cloned());
        item.addresses.extend(web.addresses.iter().copied());
    }

    fn endpoint(&self) -> String {
        let endpoint = &self.input.endpoint;
        let name = endpoint.names.first().cloned().or_else(|| endpoint.addresses.first().map(host));
        format!("https://{}:6443", name.unwrap_or_else(|| "localhost".to_owned()))
    }

    fn add(
        &mut self,
        name: String,
        authority: Option<&'static str>,
        common_name: &str,
        organisation: Option<&'static str>,
        purpose: Purpose,
    ) -> &mut Item {
        let days = if purpose == Purpose::Authority { self.input.authority_days } else { self.input.days };
        let item = Item {
            name,
            authority,
            common_name: common_name.to_owned(),
            organisation,
            purpose,
            names: BTreeSet::new(),
            addresses: BTreeSet::new(),
            kubeconfig: None,
            days,
        };
        let at = self.items.len();
        self.items.push(item);
        &mut self.items[at]
    }
}

impl Item {
    fn covers_node(&mut self, node: &Node) {
        self.names.insert(node.name.clone());
        self.names.extend(node.names.iter().cloned());
        self.addresses.extend(node.addresses.iter().copied());
    }

    fn covers_loopback(&mut self) {
        self.names.insert("localhost".to_owned());
        self.addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    }
}

fn path(node: &Node, part: &str) -> String {
    format!("nodes/{}/{part}", node.name)
}

fn host(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The table for `docs/secrets.md`: the inventory of one node that does everything.
pub fn table() -> String {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let node = Node {
        name: "NODE".to_owned(),
        addresses: vec![address],
        names: Vec::new(),
        roles: vec![
            Role::ControlPlane,
            Role::Worker,
            Role::Etcd,
            Role::Ceph,
            Role::Mqtt,
            Role::Kafka,
            Role::Agent,
        ],
    };
    let input = Input {
        cluster_domain: "DOMAIN".to_owned(),
        service_address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3))),
        endpoint: super::Endpoint { names: vec!["ENDPOINT".to_owned()], addresses: Vec::new() },
        nodes: vec![node],
        web: vec![Web { name: "NAME".to_owned(), names: Vec::new(), addresses: Vec::new() }],
        days: 365,
        authority_days: 3_650,
    };
    let mut text =
        "| name | signed by | subject | for | valid for | days |\n|---|---|---|---|---|---|\n".to_owned();
    for item in inventory(&input) {
        let subject = item.organisation.map_or_else(String::new, |group| format!(", O {group}"));
        let purpose = match item.purpose {
            Purpose::Authority => "authority",
            Purpose::Server => "server",
            Purpose::Client if item.kubeconfig.is_some() => "client, kubeconfig",
            Purpose::Client => "client",
            Purpose::Peer => "server and client",
            Purpose::KeyPair => "pair of keys",
        };
        let addresses = item.addresses.iter().map(|address| match address.to_string().as_str() {
            "192.0.2.1" => "its addresses".to_owned(),
            "192.0.2.3" => "the first service address".to_owned(),
            other => other.to_owned(),
        });
        let names: Vec<String> = item.names.iter().cloned().chain(addresses).collect();
        let days = if item.purpose == Purpose::KeyPair { "-".to_owned() } else { item.days.to_string() };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | CN {}{subject} | {purpose} | {} | {days} |",
            item.name,
            item.authority.and_then(|name| name.split('/').next_back()).unwrap_or("itself"),
            item.common_name,
            names.join(", "),
        );
    }
    text
}
