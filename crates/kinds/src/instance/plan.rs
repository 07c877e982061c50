//! How instances are made, changed and removed. Pure.

use freehold_store::{Amounts, Object, Snapshot, Transaction};
use freehold_types::agent::{Firmware, Power, PowerTarget};
use freehold_types::wire::OperatingSystem;
use freehold_types::{ApiError, Id, Secret, Timestamp, size};

use super::election::{self, Wish};
use super::{Instance, slice};
use crate::adapter::Adapter;
use crate::antiaffinity::Group;
use crate::hypervisor::Hypervisor;
use crate::image::Image;
use crate::mail::announce::Parts;
use crate::network::Network;
use crate::pool::Pool;
use crate::project::Project;
use crate::subnet::Subnet;
use crate::volume::{self, Volume};
use crate::zone::Zone;
use crate::{crud, text};

/// Most adapters or volumes of a machine: what fits on the buses of its chipset.
const DEVICE_LIMIT: usize = 24;
/// Least memory of a machine, in bytes.
const MEMORY_LEAST: u64 = 64 * size::MIB;
/// Most virtual CPUs of a machine.
const VCPUS_MOST: u32 = 512;

/// Where a machine may be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Zone(Id),
    Region(Id),
}

impl Place {
    /// The region.
    ///
    /// # Errors
    /// 404 when the zone is gone.
    pub fn region(self, snapshot: &Snapshot) -> Result<Id, ApiError> {
        match self {
            Self::Region(region) => Ok(region),
            Self::Zone(zone) => snapshot
                .get::<Zone>(zone)
                .map(|zone| zone.spec.region)
                .ok_or_else(|| crate::route::not_found::<Zone>(zone)),
        }
    }

    /// Elects a host there.
    ///
    /// # Errors
    /// 422 when none can take the machine.
    pub fn elect<'a>(
        self,
        wish: &Wish<'_>,
        snapshot: &'a Snapshot,
    ) -> Result<&'a Object<Hypervisor>, ApiError> {
        match self {
            Self::Zone(zone) => election::elect(zone, wish, snapshot),
            Self::Region(region) => election::elect_in_region(region, wish, snapshot),
        }
    }
}

/// Refuses a region that the project is not in.
///
/// # Errors
/// 422.
pub fn check_region(project: &Object<Project>, region: Id) -> Result<(), ApiError> {
    if project.spec.regions.contains(&region) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "the project {} is not in this region; add the region to the project first",
        crud::named(project)
    )))
}

/// Checks name and sizes of a machine.
///
/// # Errors
/// 400 or 422.
pub fn check_shape(noun: &str, name: &str, vcpus: u32, memory: u64) -> Result<(), ApiError> {
    text::host_name(noun, name)?;
    if !(1..=VCPUS_MOST).contains(&vcpus) {
        return Err(ApiError::invalid(format!("`vcpus` is {vcpus}, and must be 1 to {VCPUS_MOST}")));
    }
    if memory < MEMORY_LEAST || !memory.is_multiple_of(1_024) {
        return Err(ApiError::invalid(format!(
            "`memory` is {memory} bytes, and must be at least {} and a multiple of 1024",
            size::display(MEMORY_LEAST)
        )));
    }
    Ok(())
}

/// The groups that a new machine joins.
///
/// # Errors
/// 404 for a group that is unknown or of another project.
pub fn groups<'a>(
    ids: &[Id],
    project: Id,
    snapshot: &'a Snapshot,
) -> Result<Vec<&'a Object<Group>>, ApiError> {
    ids.iter()
        .map(|id| {
            snapshot
                .get::<Group>(*id)
                .filter(|group| group.spec.project == project)
                .ok_or_else(|| crate::route::not_found::<Group>(*id))
        })
        .collect()
}

/// Refuses a machine that goes to another host.
///
/// # Errors
/// 409.
pub fn refuse_going(instance: &Object<Instance>) -> Result<(), ApiError> {
    match instance.spec.going_to() {
        None => Ok(()),
        Some(_) => Err(ApiError::conflict(format!(
            "the instance `{}` is on its way to another host; try again when it has arrived",
            instance.spec.name
        ))),
    }
}

/// Demands that a host stays within its capacity, at the commit.
pub fn reserve(host: &Object<Hypervisor>, snapshot: &Snapshot, transaction: &mut Transaction) {
    if let Some(facts) = host.spec.facts(snapshot) {
        transaction.limit(host.id(), host.spec.capacity(facts));
    }
    // The host may have gone into maintenance since it was elected.
    transaction.expect(host);
}

/// The parts of a new instance that do not follow from its devices.
#[derive(Debug)]
pub struct New {
    pub name: String,
    pub description: Option<String>,
    pub memory: u64,
    pub vcpus: u32,
    pub uefi: bool,
    pub movable: bool,
    pub os: OperatingSystem,
    pub root_password: Secret<String>,
    pub compute: Option<Id>,
}

impl New {
    /// What it takes of host and quotas.
    pub fn amounts(&self) -> Amounts {
        Amounts { instances: 1, vcpus: u64::from(self.vcpus), memory: self.memory, storage: 0 }
    }

    /// The instance on a host, to be started.
    pub fn on(
        self,
        host: &Object<Hypervisor>,
        region: Id,
        project: Id,
        devices: (Vec<Id>, Vec<Id>),
    ) -> Instance {
        Instance {
            project,
            region,
            zone: host.spec.zone,
            hypervisor: host.id(),
            name: self.name,
            description: self.description,
            memory: self.memory,
            vcpus: self.vcpus,
            adapters: devices.0,
            volumes: devices.1,
            os: self.os,
            // The contract has Windows on UEFI always.
            firmware: if self.uefi || self.os == OperatingSystem::Windows {
                Firmware::Uefi
            } else {
                Firmware::Bios
            },
            movable: self.movable,
            root_password: self.root_password,
            power: Power { serial: 1, target: PowerTarget::Running },
            reboots: 0,
            resets: 0,
            compute: self.compute,
            moving: None,
            moved: None,
        }
    }
}

/// Adapters and volumes of an instance, checked, with what follows from them.
#[derive(Debug)]
pub struct Devices {
    pub os: OperatingSystem,
    /// Agents whose hosts reach every volume.
    pub agents: Vec<Id>,
}

/// Checks the devices of an instance: that they exist, are the project's and free, and make a machine.
///
/// # Errors
/// 404 for what is not the project's, 409 for what is attached elsewhere, 422 for a wrong set.
pub fn check_devices(
    adapters: &[Id],
    volumes: &[Id],
    (project, region): (&Object<Project>, Id),
    own: Option<Id>,
    snapshot: &Snapshot,
) -> Result<Devices, ApiError> {
    for (field, list) in [("adapters", adapters), ("volumes", volumes)] {
        if list.len() > DEVICE_LIMIT {
            return Err(ApiError::invalid(format!("a machine has at most {DEVICE_LIMIT} {field}")));
        }
        if let Some(twice) =
            list.iter().enumerate().find(|(at, id)| list.iter().take(*at).any(|other| other == *id))
        {
            return Err(ApiError::invalid(format!("`{field}` lists {} twice", twice.1)));
        }
        for id in list {
            if let Some(owner) =
                snapshot.claim(&format!("attached/{id}")).filter(|owner| Some(owner.id) != own)
            {
                return Err(ApiError::conflict(format!(
                    "`{field}`: {id} is attached to the instance {} already",
                    owner.id
                )));
            }
        }
    }
    check_adapters(adapters, (project, region), snapshot)?;
    check_volumes(volumes, (project, region), snapshot)
}

fn check_adapters(
    adapters: &[Id],
    (project, region): (&Object<Project>, Id),
    snapshot: &Snapshot,
) -> Result<(), ApiError> {
    let mut public = 0;
    for id in adapters {
        let unknown = || crate::route::not_found::<Adapter>(*id);
        let adapter = snapshot.get::<Adapter>(*id).ok_or_else(unknown)?;
        let subnet = snapshot.get::<Subnet>(adapter.spec.subnet).ok_or_else(unknown)?;
        let network = snapshot.get::<Network>(subnet.spec.network).ok_or_else(unknown)?;
        let owners = adapter.spec.project.into_iter().chain(subnet.spec.project);
        if owners.clone().count() > 0 && !owners.clone().any(|owner| owner == project.id()) {
            return Err(unknown());
        }
        if network.spec.region != region {
            return Err(elsewhere("adapter", &crud::named(adapter)));
        }
        public += usize::from(!network.spec.private);
    }
    if public > 1 {
        return Err(ApiError::invalid(format!(
            "a machine has at most one public adapter, and this one {public}"
        )));
    }
    Ok(())
}

fn check_volumes(
    volumes: &[Id],
    (project, region): (&Object<Project>, Id),
    snapshot: &Snapshot,
) -> Result<Devices, ApiError> {
    let mut system = Vec::new();
    let mut agents: Option<Vec<Id>> = None;
    for id in volumes {
        let volume = snapshot
            .get::<Volume>(*id)
            .filter(|volume| volume.spec.project == project.id())
            .ok_or_else(|| crate::route::not_found::<Volume>(*id))?;
        crud::refuse_deleting(volume)?;
        if volume.spec.region != region {
            return Err(elsewhere("volume", &crud::named(volume)));
        }
        if volume::plan::is_system(volume) {
            system.push(volume);
        }
        let reach = reach(volume, snapshot);
        agents = Some(match agents {
            None => reach,
            Some(known) => known.into_iter().filter(|agent| reach.contains(agent)).collect(),
        });
    }
    let [system] = system.as_slice() else {
        return Err(ApiError::invalid(format!(
            "a machine has exactly one volume of type os, and this one has {}",
            system.len()
        )));
    };
    let agents = agents.unwrap_or_default();
    if agents.is_empty() {
        return Err(ApiError::invalid(
            "the volumes lie on different hosts; make them on one, or in a shared pool",
        ));
    }
    let os = system
        .spec
        .image
        .and_then(|image| snapshot.get::<Image>(image))
        .map_or(OperatingSystem::Linux, |image| image.spec.os);
    Ok(Devices { os, agents })
}

fn elsewhere(noun: &str, name: &str) -> ApiError {
    ApiError::invalid(format!(
        "the {noun} {name} lies in another region than the machine; use one of its own region"
    ))
}

/// The agents whose hosts reach a volume.
fn reach(volume: &Object<Volume>, snapshot: &Snapshot) -> Vec<Id> {
    match snapshot.get::<Pool>(volume.spec.pool) {
        Some(pool) if !pool.spec.is_local() => pool.spec.agents.clone(),
        _ => vec![volume.spec.agent],
    }
}

/// What the mail about a new instance of existing devices tells.
pub fn announced(instance: &Instance, snapshot: &Snapshot) -> Parts {
    let cards = slice::cards(instance, snapshot);
    let address = |private: bool| {
        let card = cards.iter().find(|card| card.network.spec.private == private)?;
        card.adapter.spec.addresses.first().copied()
    };
    let image = instance.volumes.iter().find_map(|id| snapshot.get::<Volume>(*id)?.spec.image);
    Parts { image, public_address: address(false), private_address: address(true) }
}

/// Begins the removal of an instance, and takes it out of its groups. Its adapters and volumes stay.
pub fn remove(
    instance: &Object<Instance>,
    snapshot: &Snapshot,
    now: Timestamp,
    transaction: &mut Transaction,
) {
    leave_groups(instance.id(), |group| &mut group.instances, snapshot, transaction);
    transaction.mark_deleting(instance, now);
}

/// Takes a machine out of the groups that list it.
pub fn leave_groups(
    member: Id,
    list: fn(&mut Group) -> &mut Vec<Id>,
    snapshot: &Snapshot,
    transaction: &mut Transaction,
) {
    for group in snapshot.referrers::<Group>(member) {
        let mut spec = group.spec.clone();
        list(&mut spec).retain(|id| *id != member);
        transaction.update(group, spec);
    }
}
