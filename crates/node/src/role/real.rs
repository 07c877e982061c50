//! The node on this very host: libvirt, its disks and its network.

use std::sync::Arc;

use super::{Node, NodeError};
use crate::config::NodeConfig;
use crate::host::Host;
use crate::host::machines::{Libvirt, LibvirtConfig};
use crate::host::names::NoNames;
use crate::host::network::{self, Netlink, NetworkConfig};
use crate::host::services::{NetworkServices, ServicesConfig};
use crate::host::storage::{LocalStorage, StorageConfig};

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
    let host = real_host(config).await?;
    let features = features(network::features().await, config.uplink.is_some());
    Node::start_with(config, host, features)
}

/// The subsystems of this host.
///
/// # Errors
/// When the configuration cannot work on this host.
pub async fn real_host(config: &NodeConfig) -> Result<Host, NodeError> {
    let machines = Libvirt::connect(LibvirtConfig {
        uri: config.libvirt.clone(),
        accel: config.accel,
        state_directory: config.machines_directory(),
        display: config.display,
        display_listen: config.display_listen,
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
