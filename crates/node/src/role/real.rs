//! The node on this very host: libvirt, its disks and its network; or, of an edge, its names.

use std::sync::Arc;

use freehold_types::wire::AgentType;

use super::{Node, NodeError};
use crate::config::{ConfigError, NodeConfig};
use crate::host::Host;
use crate::host::edge::Edge;
use crate::host::machines::{Libvirt, LibvirtConfig};
use crate::host::names::{NoNames, PowerDns};
use crate::host::network::{self, Netlink, NetworkConfig};
use crate::host::services::{NetworkServices, ServicesConfig};
use crate::host::storage::{LocalStorage, StorageConfig};
use crate::stop::Stop;

/// Runs the node of this host until `shutdown` completes, as [`Node::run`] does.
///
/// # Errors
/// When the configuration cannot work on this host, or as [`Node::run`]. A libvirt that does not answer
/// is no error: the node waits for it.
pub async fn run_real(
    config: &NodeConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), NodeError> {
    start_real(config).await?.until(shutdown).await
}

/// Starts the node of this host.
///
/// # Errors
/// As [`run_real`], before anything was begun.
pub async fn start_real(config: &NodeConfig) -> Result<Node, NodeError> {
    config.validate()?;
    if config.role == AgentType::Edge {
        let names = edge_names(config);
        let mut node = Node::start_with(config, edge_host(names.clone()), Vec::new())?;
        node.spawn("keeper of names", keep(names, Stop::new(node.stop.subscribe())));
        return Ok(node);
    }
    let host = real_host(config).await?;
    let features = features(network::features().await, config.uplink.is_some());
    Node::start_with(config, host, features)
}

/// Keeps both servers running until the node stops; they themselves go on.
async fn keep(names: PowerDns, mut stop: Stop) {
    stop.or(names.keep()).await;
}

fn edge_names(config: &NodeConfig) -> PowerDns {
    PowerDns::new(config.edge.clone().unwrap_or_default(), &config.names_directory())
}

fn edge_host(names: PowerDns) -> Host {
    Host {
        storage: Arc::new(Edge),
        network: Arc::new(Edge),
        machines: Arc::new(Edge),
        services: Arc::new(Edge),
        names: Arc::new(names),
    }
}

/// The subsystems of this host, by what the node is.
///
/// # Errors
/// When the configuration cannot work on this host.
pub async fn real_host(config: &NodeConfig) -> Result<Host, NodeError> {
    match config.role {
        AgentType::Hypervisor => hypervisor(config).await,
        AgentType::Edge => Ok(edge_host(edge_names(config))),
        AgentType::Service => Err(ConfigError::Role.into()),
    }
}

async fn hypervisor(config: &NodeConfig) -> Result<Host, NodeError> {
    let machines = Libvirt::connect(LibvirtConfig {
        uri: config.libvirt.clone(),
        accel: config.accel,
        state_directory: config.machines_directory(),
        display: config.display,
        display_listen: config.display_listen,
        migration_uri: config.migration_uri.clone(),
    })
    .await
    .map_err(NodeError::Host)?;
    let storage = StorageConfig {
        image_directories: config.image_directories.clone(),
        libvirt: Some(config.libvirt.clone()),
    };
    let storage = LocalStorage::with_memory(storage, config.state.join("pools"));
    let network = Netlink::new(NetworkConfig {
        uplink: config.uplink.clone(),
        address: config.address,
        namespace: None,
    });
    let services =
        NetworkServices::new(ServicesConfig { state: config.state.join("services"), namespace: None });
    Ok(Host {
        storage: Arc::new(storage),
        network: Arc::new(network),
        machines: Arc::new(machines),
        services: Arc::new(services),
        names: Arc::new(NoNames),
    })
}

/// What of the kernel's abilities serves here: a VLAN needs an interface that carries it.
fn features(of_kernel: Vec<String>, uplink: bool) -> Vec<String> {
    let usable = of_kernel.into_iter().filter(|feature| uplink || feature != "vlan");
    usable.chain(uplink.then(|| "uplink".to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_uplink_there_are_no_vlans() {
        let kernel = || vec!["vlan".to_owned(), "vxlan".to_owned()];
        assert_eq!(features(kernel(), false), ["vxlan"]);
        assert_eq!(features(kernel(), true), ["vlan", "vxlan", "uplink"]);
    }
}
