//! Project: a tenant: its quotas, its private subnet in each region, and the teams that may enter.

mod network;
mod routes;
mod usage;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use freehold_store::{Amounts, Entity, Object, Reference, Snapshot};
use freehold_types::{ApiError, Id, Secret, wire};
use serde::{Deserialize, Serialize};

use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::region::Region;
use crate::route::Call;
use crate::service;
use crate::subnet::Subnet;
use crate::team::Team;

pub(crate) use network::way_out;
pub use network::zone_gateways;
pub use routes::ROWS;

/// What a project is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    pub name: String,
    pub description: Option<String>,
    /// DNS domain of its machines; fixed at creation.
    pub domain: Option<String>,
    pub root_password: Option<Secret<String>>,
    pub bootstrap_user: String,
    pub bootstrap_pubkey: String,
    pub tags: Vec<String>,
    pub metadata: Vec<wire::Metadata>,
    /// Zero is unlimited.
    pub quotas: wire::ProjectResources,
    pub teams: Vec<Id>,
    pub regions: Vec<Id>,
    /// Prefix length wanted for its private subnets.
    pub subnet_size: u8,
    /// Its private subnet per region.
    pub subnets: BTreeMap<Id, Id>,
    /// The gateway of each zone in its private subnet. An address once given to a zone stays.
    pub zone_gateways: BTreeMap<Id, Ipv4Addr>,
}

impl Project {
    /// Keeps names of projects apart.
    pub fn name_claim(name: &str) -> String {
        format!("project/name/{name}")
    }

    /// Gives a subnet to one project only.
    pub fn subnet_claim(subnet: Id) -> String {
        format!("project/subnet/{subnet}")
    }

    /// The quotas as amounts; unlimited where zero.
    pub fn limits(&self) -> Amounts {
        let limit = |quota: u64| if quota == 0 { u64::MAX } else { quota };
        Amounts {
            instances: limit(u64::from(self.quotas.instances)),
            vcpus: limit(u64::from(self.quotas.vcpus)),
            memory: limit(self.quotas.memory),
            storage: limit(self.quotas.storage),
        }
    }
}

impl Entity for Project {
    const KIND: &'static str = "project";
    const SEALED: bool = true;
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        let subnets = self.subnets.values().map(|subnet| Self::subnet_claim(*subnet));
        std::iter::once(Self::name_claim(&self.name)).chain(subnets).collect()
    }

    fn references(&self) -> Vec<Reference> {
        let teams = self.teams.iter().copied().map(Reference::strong::<Team>);
        let regions = self.regions.iter().copied().map(Reference::strong::<Region>);
        let subnets = self.subnets.values().copied().map(Reference::strong::<Subnet>);
        teams.chain(regions).chain(subnets).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Project {
    const NOUN: &'static str = "project";
    const PARAMETER: &'static str = "projectId";
    type View = wire::Project;

    fn view(object: &Object<Self>, snapshot: &Snapshot) -> wire::Project {
        let spec = object.spec.clone();
        let region_name = |id: &Id| snapshot.get::<Region>(*id).map(|region| region.spec.name.clone());
        wire::Project {
            id: Some(object.id()),
            name: spec.name,
            description: spec.description,
            domain: spec.domain,
            root_password: spec.root_password,
            bootstrap_user: Some(spec.bootstrap_user),
            bootstrap_pubkey: Some(spec.bootstrap_pubkey),
            tags: spec.tags,
            metadatas: spec.metadata,
            quotas: spec.quotas,
            private_subnets: spec
                .subnets
                .iter()
                .filter_map(|(region, subnet)| {
                    Some(wire::RegionSubnet {
                        key: Some(region_name(region)?),
                        value: Some(subnet.to_string()),
                    })
                })
                .collect(),
            reserved_vrrp_ids: service::vrids(object.id(), snapshot),
            teams: spec.teams,
            regions: spec.regions,
        }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Projects(vec![object.id()])
    }
}

impl Updatable for Project {
    type Update = wire::ProjectUpdate;
    const READ_ONLY: &'static [&'static str] = &["id", "private_subnets", "reserved_vrrp_ids"];

    fn updated(
        object: &Object<Self>,
        change: wire::ProjectUpdate,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name.clone())?;
        crud::refuse_taken::<Self>(call.snapshot, &Self::name_claim(&name), Some(object.id()), &name)?;
        let description =
            crud::changed_description(current.description.as_deref(), change.description.clone())?;
        routes::changed(object, Self { name, description, ..current.clone() }, change, call)
    }
}
