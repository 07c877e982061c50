//! One call of the host for one object.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use freehold_types::Id;
use freehold_types::agent::{Desired, Detail, ObjectKey, Segment, State as Wanted};
use tokio::sync::{mpsc, watch};

use super::plan::{
    Disk, Job, On, balancer_of, gateway_of, image_of, machine_of, pool_specification, segment_of, share_of,
    volume_of, zone_of,
};
use crate::host::{Host, HostError, MachineMemory, MachinePlan, ServicePlan};

/// How often the progress of a fetch is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How a call ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) job: Job,
    pub(super) result: Result<Option<Detail>, HostError>,
    /// Of machines: what was done, also when the call failed after it.
    pub(super) memory: Option<MachineMemory>,
}

/// A step on the way of a long call.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) key: ObjectKey,
    pub(super) generation: u64,
    pub(super) detail: Detail,
}

/// Calls the host. It may be dropped at any await.
pub(super) async fn run(
    host: Host,
    job: Job,
    mut memory: MachineMemory,
    progress: mpsc::UnboundedSender<Progress>,
) -> Finished {
    let result = call(&host, &job, &mut memory, &progress).await;
    let memory = matches!(job.on, On::Machine { .. }).then_some(memory);
    Finished { job, result, memory }
}

async fn call(
    host: &Host,
    job: &Job,
    memory: &mut MachineMemory,
    progress: &mpsc::UnboundedSender<Progress>,
) -> Result<Option<Detail>, HostError> {
    let desired = &*job.desired;
    let id = desired.key.id;
    let present = matches!(desired.state, Wanted::Present(_));
    let (storage, network, machines) = (&host.storage, &host.network, &host.machines);
    match &job.on {
        On::Pool => {
            let pool = pool_specification(desired).map_err(HostError::Refused)?;
            if present {
                return storage.ensure_pool(id, pool).await.map(Some);
            }
            storage.remove_pool(id, pool).await?;
        }
        On::Image { pool } => {
            let pool = pool_specification(pool).map_err(HostError::Refused)?;
            let image = image_of(desired).map_err(HostError::Refused)?;
            if present {
                let (sender, receiver) = watch::channel(None);
                let fetch = storage.ensure_image(id, image, pool, sender);
                let told = tell(receiver, desired.key, desired.generation, progress);
                return tokio::select! {
                    result = fetch => result.map(Some),
                    never = told => match never {},
                };
            }
            storage.remove_image(id, image, pool).await?;
        }
        On::Volume { pool } => {
            let pool = pool_specification(pool).map_err(HostError::Refused)?;
            let volume = volume_of(desired).map_err(HostError::Refused)?;
            if present {
                return storage.ensure_volume(id, volume, pool).await.map(Some);
            }
            storage.remove_volume(id, volume, pool).await?;
        }
        On::Segment => {
            let segment = segment_of(desired).map_err(HostError::Refused)?;
            if present {
                network.ensure_segment(id, segment).await?;
            } else {
                network.remove_segment(id, segment).await?;
            }
        }
        On::Machine { disks, bridges } => {
            let machine = machine_of(desired).map_err(HostError::Refused)?;
            if present {
                let disks = disks.iter().map(disk).collect::<Result<_, _>>().map_err(HostError::Refused)?;
                let bridges = bridges.iter().map(String::as_str).collect();
                let plan = MachinePlan { id, machine, disks, bridges };
                return machines
                    .ensure_machine(&plan, memory)
                    .await
                    .map(|detail| Some(Detail::Machine(detail)));
            }
            machines.remove_machine(id, machine).await?;
        }
        On::Gateway { segments } => {
            let service = gateway_of(desired).map_err(HostError::Refused)?;
            if present {
                let plan = ServicePlan { id, service, segments: by_id(segments)? };
                return host.services.ensure_gateway(&plan).await.map(|detail| Some(Detail::Gateway(detail)));
            }
            host.services.remove_gateway(id).await?;
        }
        On::Balancer { segments } => {
            let service = balancer_of(desired).map_err(HostError::Refused)?;
            if present {
                let plan = ServicePlan { id, service, segments: by_id(segments)? };
                let detail = host.services.ensure_balancer(&plan).await?;
                return Ok(Some(Detail::Balancer(detail)));
            }
            host.services.remove_balancer(id).await?;
        }
        On::Share { segments } => {
            let service = share_of(desired).map_err(HostError::Refused)?;
            if present {
                let plan = ServicePlan { id, service, segments: by_id(segments)? };
                let bytes = host.services.ensure_share(&plan).await?;
                return Ok(Some(Detail::Share { bytes }));
            }
            host.services.remove_share(id, service).await?;
        }
        On::DnsZone => {
            let zone = zone_of(desired).map_err(HostError::Refused)?;
            if present {
                host.names.ensure_zone(id, zone).await?;
            } else {
                host.names.remove_zone(id, zone).await?;
            }
        }
        On::Look => return Ok(machines.observe_machine(id).await?.map(Detail::Machine)),
    }
    Ok(None)
}

fn by_id(segments: &[Arc<Desired>]) -> Result<BTreeMap<Id, &Segment>, HostError> {
    segments
        .iter()
        .map(|desired| Ok((desired.key.id, segment_of(desired).map_err(HostError::Refused)?)))
        .collect()
}

type PlannedDisk<'a> = (
    freehold_types::Id,
    &'a freehold_types::agent::Volume,
    freehold_types::Id,
    &'a freehold_types::agent::Pool,
);

fn disk(disk: &Disk) -> Result<PlannedDisk<'_>, String> {
    Ok((disk.volume.key.id, volume_of(&disk.volume)?, disk.pool.key.id, pool_specification(&disk.pool)?))
}

async fn tell(
    mut receiver: watch::Receiver<Option<Detail>>,
    key: ObjectKey,
    generation: u64,
    progress: &mpsc::UnboundedSender<Progress>,
) -> std::convert::Infallible {
    while receiver.changed().await.is_ok() {
        let detail = receiver.borrow_and_update().clone();
        if let Some(detail) = detail {
            // The loop that listens is gone only when the node stops.
            let _ = progress.send(Progress { key, generation, detail });
        }
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
    std::future::pending().await
}
