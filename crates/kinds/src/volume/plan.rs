//! How volumes are made, grown and removed. Pure.

use freehold_store::{Amounts, Object, Snapshot, Transaction};
use freehold_types::wire::VolumeType;
use freehold_types::{ApiError, Id, size};

use super::Volume;
use crate::image::{self, Image};
use crate::instance::Instance;
use crate::pool::Pool;
use crate::project::Project;
use crate::{agent, crud};

/// Smallest and largest volume, in bytes.
const SIZES: std::ops::RangeInclusive<u64> = size::MIB..=(1 << 50);

/// Checks the size of a volume, and that an image fits in it.
///
/// # Errors
/// 422.
pub fn check_size(bytes: u64, image: Option<&Object<Image>>) -> Result<(), ApiError> {
    if !SIZES.contains(&bytes) {
        return Err(ApiError::invalid(format!(
            "the size of a volume is {}, and must be {} to {}",
            size::display(bytes),
            size::display(*SIZES.start()),
            size::display(*SIZES.end()),
        )));
    }
    let Some((image, needed)) = image.and_then(|image| Some((image, image::virtual_size(image)?))) else {
        return Ok(());
    };
    if bytes < needed {
        return Err(ApiError::invalid(format!(
            "a disk of {} is too small for the image `{}`, which needs {}",
            size::display(bytes),
            image.spec.name,
            size::display(needed),
        )));
    }
    Ok(())
}

/// The agent whose node makes a volume of a pool: a connected one, if any.
///
/// # Errors
/// 422 when the pool has no agent.
pub fn maker(pool: &Object<Pool>, snapshot: &Snapshot) -> Result<Id, ApiError> {
    let agents = &pool.spec.agents;
    let connected = agents.iter().find(|agent| agent::is_connected(**agent, snapshot));
    connected.or(agents.first()).copied().ok_or_else(|| {
        ApiError::invalid(format!("the storage pool `{}` has no agent; give it one", pool.spec.name))
    })
}

/// Grows a volume. The new size is checked against the project's quota.
///
/// # Errors
/// 422 for a smaller size, 507 beyond the quota.
pub fn grow(
    volume: &Object<Volume>,
    bytes: u64,
    snapshot: &Snapshot,
    transaction: &mut Transaction,
) -> Result<(), ApiError> {
    let current = volume.spec.size;
    if bytes < current {
        return Err(ApiError::invalid(format!(
            "the volume {} has {} and can only grow",
            crud::named(volume),
            size::display(current),
        )));
    }
    check_size(bytes, None)?;
    if bytes > current {
        refuse_moving(volume)?;
        let project = snapshot
            .get::<Project>(volume.spec.project)
            .ok_or_else(|| crate::route::not_found::<Project>(volume.spec.project))?;
        let delta = Amounts { storage: bytes - current, ..Amounts::default() };
        Project::charge(project, delta, snapshot, transaction)?;
        transaction.update(volume, Volume { size: bytes, ..volume.spec.clone() });
    }
    Ok(())
}

/// Refuses a volume whose machine moves with it.
///
/// # Errors
/// 409.
pub fn refuse_moving(volume: &Object<Volume>) -> Result<(), ApiError> {
    match volume.spec.twin {
        None => Ok(()),
        Some(_) => Err(ApiError::conflict(format!(
            "the volume {} is on its way from one host to another; try again when its machine has arrived",
            crud::named(volume),
        ))),
    }
}

/// Whether a volume holds an operating system.
pub fn is_system(volume: &Object<Volume>) -> bool {
    volume.spec.content == VolumeType::Os
}

/// Refuses to remove a volume that a machine or a compute has.
///
/// # Errors
/// 409.
pub fn refuse_owned(volume: &Object<Volume>, snapshot: &Snapshot) -> Result<(), ApiError> {
    if let Some(compute) = volume.spec.compute.and_then(|id| snapshot.get::<crate::compute::Compute>(id)) {
        return Err(ApiError::conflict(format!(
            "the volume {} belongs to the {}; delete that instead",
            crud::named(volume),
            crud::describe(compute),
        )));
    }
    if let Some(instance) = snapshot.referrers::<Instance>(volume.id()).next() {
        return Err(ApiError::conflict(format!(
            "the volume {} is attached to the {}; detach it first",
            crud::named(volume),
            crud::describe(instance),
        )));
    }
    Ok(())
}
