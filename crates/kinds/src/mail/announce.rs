//! Who is told of what happens in a project, and the telling.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use freehold_store::{Snapshot, Transaction};
use freehold_types::Id;

use super::texts::{self, Machine};
use crate::cost;
use crate::image::Image;
use crate::instance::Instance;
use crate::project::Project;
use crate::region::Region;
use crate::route::{Call, MachinePassword};
use crate::team::Team;
use crate::user::User;

/// What an instance does not tell of its parts, which may be of the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// What its system disk was cloned from.
    pub image: Option<Id>,
    pub public_address: Option<Ipv4Addr>,
    pub private_address: Option<Ipv4Addr>,
}

/// The mail addresses of the members who want to be told, each once however many teams they are in.
/// Accounts that nobody confirmed get nothing, since their address may be somebody else's.
pub fn recipients(project: &Project, snapshot: &Snapshot) -> Vec<String> {
    let teams = project.teams.iter().filter_map(|team| snapshot.get::<Team>(*team));
    let members: BTreeSet<Id> = teams.flat_map(|team| team.spec.users.iter().copied()).collect();
    members
        .into_iter()
        .filter_map(|member| snapshot.get::<User>(member))
        .filter(|member| member.spec.notifications && member.spec.enabled)
        .map(|member| member.spec.email.clone())
        .collect()
}

/// Tells the members of a new project. Its private subnets must be in the snapshot.
pub fn announce_project(id: Id, project: &Project, call: &Call<'_>, transaction: &mut Transaction) {
    for to in recipients(project, call.snapshot) {
        let letter = texts::project_created(to, (id, project), call.snapshot, call.environment);
        super::queue(transaction, letter, call.now);
    }
}

/// Tells the members of its project of a new instance.
pub fn announce_instance(
    instance: &Instance,
    parts: Parts,
    password: &MachinePassword,
    call: &Call<'_>,
    transaction: &mut Transaction,
) {
    let snapshot = call.snapshot;
    let Some(project) = snapshot.get::<Project>(instance.project) else { return };
    let region = snapshot.get::<Region>(instance.region);
    let image = parts.image.and_then(|id| snapshot.get::<Image>(id));
    let price = cost::of_instance(instance, snapshot);
    let machine = Machine {
        name: &instance.name,
        domain: project.spec.domain.as_deref().or(region.map(|region| region.spec.domain.as_str())),
        image: image.map(|image| image.spec.name.as_str()),
        os: instance.os,
        vcpus: instance.vcpus,
        memory: instance.memory,
        adapters: instance.adapters.len(),
        volumes: instance.volumes.len(),
        account: &project.spec.bootstrap_user,
        root_password: &password.text,
        price: (price.amount > 0.0).then_some(&price),
        public_address: parts.public_address,
        private_address: parts.private_address,
    };
    for to in recipients(&project.spec, snapshot) {
        super::queue(transaction, texts::instance_created(to, &machine, call.environment), call.now);
    }
}
