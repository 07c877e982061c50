//! Removing everything that a node made, as its ledger tells, for a host that starts anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_types::Id;
use freehold_types::agent::{Desired, ObjectKey, Pool, Specification};

use crate::config::NodeConfig;
use crate::host::{Host, HostError};
use crate::ledger::{Ledger, LedgerError};

/// Why not everything was removed.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("{key} cannot be removed from this host")]
    Host { key: ObjectKey, source: HostError },
    #[error("what answers for names cannot be ended")]
    Names(#[source] HostError),
}

/// Removes machines, segments, volumes, images and pools of a node's ledger from `host`, data included.
///
/// The node must not run.
///
/// # Errors
/// At the first object that cannot be removed; what was removed stays so, and a further call goes on.
pub async fn purge(config: &NodeConfig, host: &Host) -> Result<(), PurgeError> {
    let ledger = Ledger::open(&config.ledger_directory())?;
    let held = ledger.state();
    let mut objects: Vec<Arc<Desired>> =
        held.keys().filter_map(|key| Some(Arc::clone(&held.get(key)?.desired))).collect();
    // Machines first, pools last: the reverse of the order in which they are made.
    objects.sort_by_key(|desired| std::cmp::Reverse(desired.key));
    let pools: BTreeMap<Id, Pool> = objects
        .iter()
        .filter_map(|desired| match desired.state.specification() {
            Specification::Pool(pool) => Some((desired.key.id, pool.clone())),
            Specification::Image(_)
            | Specification::Volume(_)
            | Specification::Segment(_)
            | Specification::Machine(_)
            | Specification::Gateway(_)
            | Specification::Balancer(_)
            | Specification::Share(_)
            | Specification::DnsZone(_) => None,
        })
        .collect();
    for desired in &objects {
        remove(desired, &pools, host)
            .await
            .map_err(|source| PurgeError::Host { key: desired.key, source })?;
    }
    host.names.retire().await.map_err(PurgeError::Names)
}

async fn remove(desired: &Desired, pools: &BTreeMap<Id, Pool>, host: &Host) -> Result<(), HostError> {
    let id = desired.key.id;
    match desired.state.specification() {
        Specification::Machine(machine) => host.machines.remove_machine(id, machine).await,
        Specification::Gateway(_) => host.services.remove_gateway(id).await,
        Specification::Balancer(_) => host.services.remove_balancer(id).await,
        Specification::Share(share) => host.services.remove_share(id, share).await,
        Specification::DnsZone(zone) => host.names.remove_zone(id, zone).await,
        Specification::Segment(segment) => host.network.remove_segment(id, segment).await,
        // Without its pool, nothing is known of where it was.
        Specification::Volume(volume) => match pools.get(&volume.pool) {
            Some(pool) => host.storage.remove_volume(id, volume, pool).await,
            None => Ok(()),
        },
        Specification::Image(image) => match pools.get(&image.pool) {
            Some(pool) => host.storage.remove_image(id, image, pool).await,
            None => Ok(()),
        },
        Specification::Pool(pool) => host.storage.remove_pool(id, pool).await,
    }
}
