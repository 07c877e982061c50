//! Finds out which kinds of segments this kernel can carry.
//!
//! By trial: in a network namespace that nobody else sees, and that is gone with its only socket. That
//! is the one test that is right for modules, for kernels with everything built in, and for containers.

use nix::sched::{CloneFlags, unshare};
use rtnetlink::{LinkBridge, LinkVlan, LinkVxlan};
use tokio::task::JoinSet;

use super::wire::isolated;

/// What the kernel can carry: `vlan`, `vxlan`. Empty when even that cannot be tried.
pub async fn features() -> Vec<String> {
    match probe().await {
        Ok(features) => features,
        Err(reason) => {
            tracing::warn!(reason, "cannot try which networks the kernel supports; run the node as root");
            Vec::new()
        }
    }
}

async fn probe() -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Handle::current();
    let opened = isolated(move || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no network namespace: {error}"))?;
        let _guard = runtime.enter();
        rtnetlink::new_connection().map_err(|error| format!("no netlink connection: {error}"))
    })
    .await
    .map_err(|error| error.to_string())?;
    let (connection, handle, _) = opened?;
    let mut pump = JoinSet::new();
    pump.spawn(connection);

    let mut features = Vec::new();
    let links = || handle.link();
    // Each kind of segment stands on a bridge, and it serves as the interface that carries the VLAN.
    links()
        .add(LinkBridge::new("carrier").index(CARRIER).build())
        .execute()
        .await
        .map_err(|error| error.to_string())?;
    if links().add(LinkVlan::new("vlan", CARRIER, 1).build()).execute().await.is_ok() {
        features.push("vlan".to_owned());
    }
    if links().add(LinkVxlan::new("vxlan", 1).port(super::world::VXLAN_PORT).build()).execute().await.is_ok()
    {
        features.push("vxlan".to_owned());
    }
    Ok(features)
}

/// Index of the bridge, chosen so that it need not be asked for.
const CARRIER: u32 = 100;
