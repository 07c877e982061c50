//! etcd, the container runtime and Kubernetes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{Address, Cidr, Duration, NetworkName, Port, Size, Table, Target};

/// The etcd cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Etcd {
    /// The network on which members and clients talk; that of the default route without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Where it keeps its data.
    #[schemars(extend("format" = "path"))]
    pub data_dir: String,
    /// Port for clients.
    pub client_port: Port,
    /// Port for other members.
    pub peer_port: Port,
    /// Port for metrics, on the loopback only.
    pub metrics_port: Port,
    /// Size at which it stops to accept writes.
    pub quota: Size,
    /// How much history it keeps.
    pub compaction_retention: Duration,
    /// Word that keeps clusters apart while they form.
    #[schemars(length(min = 1))]
    pub token: String,
}

impl Default for Etcd {
    fn default() -> Self {
        Self {
            network: None,
            data_dir: "/var/lib/etcd".to_owned(),
            client_port: Port(2379),
            peer_port: Port(2380),
            metrics_port: Port(2381),
            quota: Size::from_bytes(8 << 30),
            compaction_retention: Duration::from_seconds(3600),
            token: "freehold".to_owned(),
        }
    }
}

/// The container runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Containerd {
    /// Image of the container that holds a pod's namespaces.
    #[schemars(length(min = 1))]
    pub sandbox_image: String,
    /// Mirrors of registries: for each host, URLs that are asked first.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub mirrors: Table<String, Vec<String>>,
}

impl Default for Containerd {
    fn default() -> Self {
        Self { sandbox_image: "registry.k8s.io/pause:3.10".to_owned(), mirrors: Table::default() }
    }
}

/// Kubernetes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// Its version.
    #[schemars(extend("format" = "version"))]
    pub version: String,
    /// Where its API is reached by everybody: a virtual address, or a machine while there is one control plane.
    pub endpoint: Target,
    /// Port of the API.
    #[serde(default = "api_port")]
    pub port: Port,
    /// Further names and addresses in the certificate of the API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub names: Vec<String>,
    /// The network on which its machines talk; that of the default route without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Domain of services.
    #[serde(default = "cluster_domain")]
    #[schemars(extend("format" = "domain"))]
    pub domain: String,
    /// Addresses of pods.
    #[serde(default = "pod_cidr")]
    pub pod_cidr: Cidr,
    /// Addresses of services.
    #[serde(default = "service_cidr")]
    pub service_cidr: Cidr,
    /// Length of the prefix of the pods of one node.
    #[serde(default = "node_mask")]
    #[schemars(range(min = 8, max = 120))]
    pub node_mask: u8,
    /// How pods reach each other.
    #[serde(default)]
    pub cni: Cni,
    /// How services reach pods.
    #[serde(default)]
    pub proxy: ProxyMode,
    /// Name servers that the cluster's DNS asks; those of the node without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_upstreams: Vec<Address>,
    /// Whether Secrets are encrypted in etcd.
    #[serde(default = "yes")]
    pub encrypt_secrets: bool,
    /// Whether requests to the API are logged.
    #[serde(default = "yes")]
    pub audit: bool,
    /// Whether machines of the control plane also run workloads.
    #[serde(default)]
    pub workloads_on_control_plane: bool,
    /// Where the programs come from: a directory on each machine, or the URL of a mirror.
    #[serde(default = "binaries")]
    #[schemars(length(min = 1))]
    pub binaries: String,
    /// Settings of the kubelets.
    #[serde(default)]
    pub kubelet: Kubelet,
}

const fn yes() -> bool {
    true
}
const fn api_port() -> Port {
    Port(6443)
}
fn cluster_domain() -> String {
    "cluster.local".to_owned()
}
const fn node_mask() -> u8 {
    24
}
fn binaries() -> String {
    "https://dl.k8s.io".to_owned()
}
const fn network(a: u8, b: u8, length: u8) -> Cidr {
    let address = std::net::Ipv4Addr::new(a, b, 0, 0);
    Cidr(ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert(address, length)))
}
const fn pod_cidr() -> Cidr {
    network(10, 244, 16)
}
const fn service_cidr() -> Cidr {
    network(10, 96, 12)
}

/// How pods reach each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cni {
    /// The plugin.
    #[serde(rename = "type")]
    pub kind: CniKind,
    /// Largest packet, in bytes; by the network without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 576, max = 9216))]
    pub mtu: Option<u16>,
}

/// A network plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum CniKind {
    /// A bridge on each node and routes between nodes; all nodes on one network.
    #[default]
    Bridge,
    /// Flannel, with VXLAN.
    Flannel,
    /// Calico.
    Calico,
    /// Cilium.
    Cilium,
    /// Installed by somebody else.
    None,
}

/// How services reach pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ProxyMode {
    /// kube-proxy with nftables.
    #[default]
    Nftables,
    /// kube-proxy with iptables.
    Iptables,
    /// No kube-proxy: the network plugin does it.
    None,
}

/// Settings of the kubelets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kubelet {
    /// Most pods on a node.
    #[schemars(range(min = 1, max = 1000))]
    pub max_pods: u16,
    /// What is kept free for the system, by resource.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub system_reserved: Table<String, String>,
    /// At how little of a resource pods are evicted.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub eviction_hard: Table<String, String>,
    /// How long pods have to end when the machine is shut down.
    pub shutdown_grace: Duration,
}

impl Default for Kubelet {
    fn default() -> Self {
        Self {
            max_pods: 110,
            system_reserved: Table::default(),
            eviction_hard: Table::default(),
            shutdown_grace: Duration::from_seconds(60),
        }
    }
}
