//! How computes are made and removed, as one transaction each. Pure.

use std::net::Ipv4Addr;

use freehold_store::{Amounts, Object, Snapshot, Transaction};
use freehold_types::wire::VolumeType;
use freehold_types::{ApiError, Id, Timestamp, wire};

use super::Compute;
use crate::adapter::{self, Adapter};
use crate::image::{self, Image};
use crate::instance::election::Wish;
use crate::instance::plan::{self as machine, New, Place};
use crate::instance::{self, Instance};
use crate::kind::Kind;
use crate::mail::announce;
use crate::network::Network;
use crate::pool::{self, Pool};
use crate::project::Project;
use crate::region::Region;
use crate::route::Call;
use crate::subnet::{self, Subnet};
use crate::volume::{self, Volume};
use crate::{crud, domain, text};

/// Makes a compute with all its parts; the id is that of the compute.
///
/// # Errors
/// As the contract orders the checks: 400, 507, 404, 409, 422.
pub(super) fn create(call: &Call<'_>, place: Place) -> Result<(Transaction, Id, Id), ApiError> {
    let (project, region) = (call.object::<Project>(0)?, place.region(call.snapshot)?);
    let body: wire::Compute = call.body()?;
    machine::check_shape(Compute::NOUN, &body.name, body.vcpus, body.memory)?;
    machine::check_region(project, region)?;
    let mut transaction = Transaction::default();
    let amounts = Amounts { instances: 1, vcpus: u64::from(body.vcpus), memory: body.memory, storage: 0 };
    let storage = Amounts { storage: body.disk.saturating_add(body.data_disk), ..Amounts::default() };
    Project::charge(project, amounts.plus(storage), call.snapshot, &mut transaction)?;
    let region_object = call.find::<Region>(region)?;
    let pool =
        pool::default_of(region_object, call.snapshot, call.query_object::<Pool>("poolId")?.map(Object::id))?;
    let explicit = call.query_object::<Image>("templateId")?.map(Object::id);
    let image = image::default_of(pool, call.snapshot, explicit)?;
    refuse_taken(project.id(), &body.name, call.snapshot)?;
    volume::plan::check_size(body.disk, Some(image))?;
    let groups = machine::groups(&body.kwarantines, project.id(), call.snapshot)?;
    let wish = Wish {
        name: &body.name,
        amounts,
        agents: Some(&pool.spec.agents),
        groups: &groups,
        own: None,
        except: None,
        from: None,
        planned: None,
    };
    let host = place.elect(&wish, call.snapshot)?;
    machine::reserve(host, call.snapshot, &mut transaction);
    let agent = host.spec.agent().ok_or_else(|| ApiError::internal("the elected host has no agent"))?;

    let id = Id::generate();
    let parts = Parts { id, name: &body.name, project, region, pool: pool.id(), agent, now: call.now };
    let system_volume = parts.system_volume(body.disk, image, &mut transaction);
    let data_volume = parts.data_volume(body.data_disk, &mut transaction)?;
    let public = call.query.flag("public")?.unwrap_or(false);
    let public_card = public.then(|| parts.public_adapter(call.snapshot, &mut transaction)).transpose()?;
    let (public_adapter, public_address) = public_card.unzip();
    let (private_adapter, private_address) = parts.private_adapter(call.snapshot, &mut transaction)?;
    let password = call.memo.machine_password(project.spec.root_password.as_ref())?;
    let description = text::description(body.description)?;
    let new = New {
        name: body.name.clone(),
        description: description.clone(),
        memory: body.memory,
        vcpus: body.vcpus,
        uefi: body.uefi,
        movable: body.kmotion_enabled,
        os: image.spec.os,
        root_password: password.for_system(image.spec.os),
        compute: Some(id),
    };
    let compute = Compute {
        project: project.id(),
        name: body.name,
        description,
        instance: Id::generate(),
        system_volume,
        data_volume,
        public_adapter,
        private_adapter,
    };
    let devices = (compute.adapters().collect(), compute.volumes().collect());
    let instance_id = compute.instance;
    let instance = new.on(host, region, project.id(), devices);
    let told =
        announce::Parts { image: Some(image.id()), public_address, private_address: Some(private_address) };
    announce::announce_instance(&instance, told, password, call, &mut transaction);
    transaction.create(instance_id, instance, call.now);
    transaction.create(id, compute, call.now);
    for group in groups {
        let mut spec = group.spec.clone();
        spec.computes.push(id);
        transaction.update(group, spec);
    }
    Ok((transaction, id, instance_id))
}

fn refuse_taken(project: Id, name: &str, snapshot: &Snapshot) -> Result<(), ApiError> {
    crud::refuse_taken::<Compute>(snapshot, &Compute::name_claim(project, name), None, name)?;
    crud::refuse_taken::<Instance>(snapshot, &Instance::name_claim(project, name), None, name)?;
    if let Some(project) = snapshot.get::<Project>(project) {
        domain::refuse_recorded(project, name, snapshot)?;
    }
    for part in ["os", "data"] {
        let part = format!("{name}-{part}");
        crud::refuse_taken::<Volume>(snapshot, &Volume::name_claim(project, &part), None, &part)?;
    }
    Ok(())
}

/// A new adapter and its address.
type Card = (Id, Ipv4Addr);

/// What the parts of a compute have in common.
struct Parts<'a> {
    id: Id,
    name: &'a str,
    project: &'a Object<Project>,
    region: Id,
    pool: Id,
    agent: Id,
    now: Timestamp,
}

impl Parts<'_> {
    fn volume(
        &self,
        part: &str,
        content: VolumeType,
        size: u64,
        image: Option<Id>,
        transaction: &mut Transaction,
    ) -> Id {
        let id = Id::generate();
        let volume = Volume {
            project: self.project.id(),
            region: self.region,
            pool: self.pool,
            name: format!("{}-{part}", self.name),
            description: None,
            content,
            size,
            image,
            agent: self.agent,
            compute: Some(self.id),
            twin: None,
        };
        transaction.create(id, volume, self.now);
        id
    }

    fn system_volume(&self, size: u64, image: &Object<Image>, transaction: &mut Transaction) -> Id {
        self.volume("os", VolumeType::Os, size, Some(image.id()), transaction)
    }

    fn data_volume(&self, size: u64, transaction: &mut Transaction) -> Result<Option<Id>, ApiError> {
        if size == 0 {
            return Ok(None);
        }
        volume::plan::check_size(size, None)?;
        Ok(Some(self.volume("data", VolumeType::Raw, size, None, transaction)))
    }

    /// On the default subnet of the region's first public network.
    fn public_adapter(&self, snapshot: &Snapshot, transaction: &mut Transaction) -> Result<Card, ApiError> {
        let network =
            snapshot.referrers::<Network>(self.region).find(|network| !network.spec.private).ok_or_else(
                || ApiError::invalid("the region has no public network; make one, or leave `public` out"),
            )?;
        let default = network.spec.default_subnet.and_then(|id| snapshot.get::<Subnet>(id));
        let subnet =
            default.or_else(|| snapshot.referrers::<Subnet>(network.id()).next()).ok_or_else(|| {
                ApiError::invalid(format!(
                    "the public network `{}` has no subnet; make one",
                    network.spec.name
                ))
            })?;
        self.adapter("public-adapter", subnet, snapshot, transaction)
    }

    /// On the project's own subnet in the region.
    fn private_adapter(&self, snapshot: &Snapshot, transaction: &mut Transaction) -> Result<Card, ApiError> {
        let subnet = self.project.spec.subnets.get(&self.region).and_then(|id| snapshot.get::<Subnet>(*id));
        let subnet = subnet.ok_or_else(|| {
            ApiError::invalid(format!(
                "the project `{}` is not in this region; add the region to the project first",
                self.project.spec.name
            ))
        })?;
        self.adapter("private-adapter", subnet, snapshot, transaction)
    }

    fn adapter(
        &self,
        part: &str,
        subnet: &Object<Subnet>,
        snapshot: &Snapshot,
        transaction: &mut Transaction,
    ) -> Result<Card, ApiError> {
        let id = Id::generate();
        // It may have been given to another project, or its ranges changed, since it was chosen.
        transaction.expect(subnet);
        let address = subnet::elect_address(subnet, snapshot, &[])?;
        let adapter = Adapter {
            subnet: subnet.id(),
            name: format!("{}-{}-{part}", self.project.spec.name, self.name),
            description: None,
            mac: adapter::generate_mac(snapshot, &[]),
            addresses: vec![address],
            reserved: false,
            project: Some(self.project.id()),
            compute: Some(self.id),
        };
        transaction.create(id, adapter, self.now);
        Ok((id, address))
    }
}

/// Begins the removal of a compute and of all its parts. They go one after another as nodes report.
pub(super) fn remove(compute: &Object<Compute>, snapshot: &Snapshot, now: Timestamp) -> Transaction {
    let mut transaction = Transaction::default();
    if let Some(instance) = snapshot.get::<Instance>(compute.spec.instance) {
        machine::remove(instance, snapshot, now, &mut transaction);
    }
    for volume in compute.spec.volumes().filter_map(|id| snapshot.get::<Volume>(id)) {
        transaction.mark_deleting(volume, now);
    }
    for adapter in compute.spec.adapters().filter_map(|id| snapshot.get::<Adapter>(id)) {
        transaction.mark_deleting(adapter, now);
    }
    machine::leave_groups(compute.id(), |group| &mut group.computes, snapshot, &mut transaction);
    transaction.mark_deleting(compute, now);
    transaction
}

/// Changes a compute: its instance, and the sizes of its volumes, in one transaction.
pub(super) fn update(
    compute: &Object<Compute>,
    change: wire::ComputeUpdate,
    call: &Call<'_>,
) -> Result<Transaction, ApiError> {
    crud::refuse_deleting(compute)?;
    let current = &compute.spec;
    let name = crud::changed_name::<Compute>(&current.name, change.name)?;
    let claim = Compute::name_claim(current.project, &name);
    crud::refuse_taken::<Compute>(call.snapshot, &claim, Some(compute.id()), &name)?;
    let description = crud::changed_description(current.description.as_deref(), change.description.clone())?;
    let instance = call.find::<Instance>(current.instance)?;
    let machine_change = wire::InstanceUpdate {
        name: Some(name.clone()),
        description: change.description,
        memory: change.memory,
        vcpus: change.vcpus,
        kmotion_enabled: change.kmotion_enabled,
        ..wire::InstanceUpdate::default()
    };
    let mut transaction = instance::updated(instance, machine_change, call)?;
    if let Some(bytes) = change.disk {
        volume::plan::grow(
            call.find::<Volume>(current.system_volume)?,
            bytes,
            call.snapshot,
            &mut transaction,
        )?;
    }
    match (change.data_disk, current.data_volume) {
        (Some(bytes), Some(volume)) => {
            volume::plan::grow(call.find::<Volume>(volume)?, bytes, call.snapshot, &mut transaction)?;
        }
        (None | Some(0), None) | (None, Some(_)) => {}
        (Some(_), None) => {
            return Err(ApiError::invalid(format!(
                "the compute `{}` was made without a data disk; attach a volume to a new instance instead",
                current.name
            )));
        }
    }
    transaction.update(compute, Compute { name, description, ..current.clone() });
    Ok(transaction)
}
