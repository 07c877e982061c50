//! What a project uses and costs, derived from its objects.

use freehold_store::{Amounts, Object, Snapshot, Transaction};
use freehold_types::size;
use freehold_types::{ApiError, wire};

use super::Project;
use crate::cost::{self, Price};
use crate::instance::Instance;
use crate::volume::Volume;

/// What a project uses, as the contract shows it.
pub(super) fn usage(project: &Object<Project>, snapshot: &Snapshot) -> wire::ProjectResources {
    let Amounts { instances, vcpus, memory, storage } = snapshot.usage(project.id());
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    wire::ProjectResources { vcpus: narrow(vcpus), memory, storage, instances: narrow(instances) }
}

/// What a project costs a month: its instances and its volumes.
pub(super) fn cost(project: &Object<Project>, snapshot: &Snapshot) -> Price {
    let instances = snapshot
        .referrers::<Instance>(project.id())
        .map(|instance| cost::of_instance(&instance.spec, snapshot));
    let volumes =
        snapshot.referrers::<Volume>(project.id()).map(|volume| cost::of_volume(&volume.spec, snapshot));
    cost::sum(instances.chain(volumes))
}

impl Project {
    /// Demands that the project stays within its quotas with this much more, now and at the commit.
    ///
    /// # Errors
    /// 507, with what is used, asked and allowed.
    pub fn charge(
        object: &Object<Self>,
        delta: Amounts,
        snapshot: &Snapshot,
        transaction: &mut Transaction,
    ) -> Result<(), ApiError> {
        let (used, limits) = (snapshot.usage(object.id()), object.spec.limits());
        if let Some(resource) = used.plus(delta).exceeds(&limits) {
            return Err(over_quota(object, resource, used, delta, limits));
        }
        transaction.limit(object.id(), limits);
        Ok(())
    }
}

fn over_quota(
    project: &Object<Project>,
    resource: &str,
    used: Amounts,
    delta: Amounts,
    limits: Amounts,
) -> ApiError {
    let pick = |amounts: Amounts| match resource {
        "instances" => amounts.instances.to_string(),
        "vcpus" => amounts.vcpus.to_string(),
        "memory" => size::display(amounts.memory),
        _ => size::display(amounts.storage),
    };
    ApiError::no_room(format!(
        "the project `{}` would go beyond its quota of {resource}: {} in use, {} more asked, {} allowed; \
         free some or raise the quota",
        project.spec.name,
        pick(used),
        pick(delta),
        pick(limits),
    ))
}
