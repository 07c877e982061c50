//! Compute: a machine together with the volumes and adapters that were made for it.

mod plan;
mod routes;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::agent::Firmware;
use freehold_types::{Id, wire};
use serde::{Deserialize, Serialize};

use crate::adapter::Adapter;
use crate::antiaffinity::Group;
use crate::instance::Instance;
use crate::kind::{Kind, Scope};
use crate::project::Project;
use crate::volume::Volume;

pub use routes::ROWS;

/// What a compute is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compute {
    pub project: Id,
    pub name: String,
    pub description: Option<String>,
    pub instance: Id,
    pub system_volume: Id,
    pub data_volume: Option<Id>,
    /// None where the region has no public network.
    pub public_adapter: Option<Id>,
    pub private_adapter: Id,
}

impl Compute {
    /// Keeps names of computes of a project apart.
    pub fn name_claim(project: Id, name: &str) -> String {
        format!("compute/name/{project}/{}", name.to_ascii_lowercase())
    }

    /// Its volumes.
    pub fn volumes(&self) -> impl Iterator<Item = Id> {
        std::iter::once(self.system_volume).chain(self.data_volume)
    }

    /// Its adapters.
    pub fn adapters(&self) -> impl Iterator<Item = Id> {
        self.public_adapter.into_iter().chain(std::iter::once(self.private_adapter))
    }
}

impl Entity for Compute {
    const KIND: &'static str = "compute";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(self.project, &self.name)]
    }

    /// Weak towards its parts: they are removed one after another, and the compute goes last.
    fn references(&self) -> Vec<Reference> {
        let mut links =
            vec![Reference::strong::<Project>(self.project), Reference::weak::<Instance>(self.instance)];
        links.extend(self.volumes().map(Reference::weak::<Volume>));
        links.extend(self.adapters().map(Reference::weak::<Adapter>));
        links
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Compute {
    const NOUN: &'static str = "compute";
    const PARAMETER: &'static str = "komputeId";
    type View = wire::Compute;

    /// While it is being removed its parts go before it. What is told of a part that has gone is the least
    /// that the contract allows, so that strict clients can still read the object and lists with it.
    fn view(object: &Object<Self>, snapshot: &Snapshot) -> wire::Compute {
        let spec = object.spec.clone();
        let instance = snapshot.get::<Instance>(spec.instance);
        let size = |id: Id| snapshot.get::<Volume>(id).map(|volume| volume.spec.size);
        let address = snapshot
            .get::<Adapter>(spec.private_adapter)
            .and_then(|adapter| adapter.spec.addresses.first())
            .map(ToString::to_string);
        let mut groups: Vec<Id> = snapshot.referrers::<Group>(object.id()).map(Object::id).collect();
        groups.extend(snapshot.referrers::<Group>(spec.instance).map(Object::id));
        groups.dedup();
        wire::Compute {
            id: Some(object.id()),
            name: spec.name,
            description: spec.description,
            memory: instance.map_or(1, |instance| instance.spec.memory),
            vcpus: instance.map_or(1, |instance| instance.spec.vcpus),
            disk: size(spec.system_volume).unwrap_or(1),
            data_disk: spec.data_volume.and_then(size).unwrap_or(0),
            ip: address,
            kwarantines: groups,
            uefi: instance.is_none_or(|instance| instance.spec.firmware == Firmware::Uefi),
            kmotion_enabled: instance.is_none_or(|instance| instance.spec.movable),
        }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Projects(vec![object.spec.project])
    }
}
