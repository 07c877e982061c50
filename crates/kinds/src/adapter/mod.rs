//! Adapter: a network card: a hardware address, and its addresses in a subnet.

mod mac;
mod routes;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::net::Mac;
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::compute::Compute;
use crate::crud;
use crate::instance::Instance;
use crate::kind::{Kind, Scope, Updatable};
use crate::project::Project;
use crate::route::Call;
use crate::subnet::{self, Subnet};

pub use mac::generate_mac;
pub use routes::ROWS;

/// What an adapter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    pub subnet: Id,
    pub name: String,
    pub description: Option<String>,
    pub mac: Mac,
    pub addresses: Vec<Ipv4Addr>,
    /// Marks a router-like device, whose hardware address may appear on several subnets.
    pub reserved: bool,
    /// The project whose it is; none for operators' adapters.
    pub project: Option<Id>,
    /// The compute that made it, and takes it along when it goes.
    pub compute: Option<Id>,
}

impl Adapter {
    /// Keeps names of adapters of a subnet apart.
    pub fn name_claim(subnet: Id, name: &str) -> String {
        format!("adapter/name/{subnet}/{name}")
    }

    /// Keeps hardware addresses apart: everywhere, or on one subnet.
    pub fn mac_claim(mac: Mac, subnet: Option<Id>) -> String {
        match subnet {
            None => format!("mac/{mac}"),
            Some(subnet) => format!("mac/{mac}/{subnet}"),
        }
    }

    /// What keeps its hardware address apart: on its subnet always, elsewhere unless it is reserved.
    fn mac_claims(&self) -> impl Iterator<Item = String> {
        let everywhere = (!self.reserved).then(|| Self::mac_claim(self.mac, None));
        std::iter::once(Self::mac_claim(self.mac, Some(self.subnet))).chain(everywhere)
    }
}

impl Entity for Adapter {
    const KIND: &'static str = "adapter";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        let addresses = self.addresses.iter().map(|address| subnet::ip_claim(self.subnet, *address));
        std::iter::once(Self::name_claim(self.subnet, &self.name))
            .chain(self.mac_claims())
            .chain(addresses)
            .collect()
    }

    fn references(&self) -> Vec<Reference> {
        let project = self.project.map(Reference::strong::<Project>);
        // Weak: the compute names its adapters strongly, and removes them when it goes.
        let compute = self.compute.map(Reference::weak::<Compute>);
        std::iter::once(Reference::strong::<Subnet>(self.subnet)).chain(project).chain(compute).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Adapter {
    const NOUN: &'static str = "adapter";
    const PARAMETER: &'static str = "adapterId";
    type View = wire::Adapter;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Adapter {
        let Self { name, description, mac, addresses, reserved, .. } = object.spec.clone();
        wire::Adapter {
            id: Some(object.id()),
            name,
            description,
            mac: Some(mac.to_string()),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            reserved,
        }
    }

    /// Whoever has the adapter, the subnet, or the machine it is attached to.
    fn scope(object: &Object<Self>, snapshot: &Snapshot) -> Scope {
        let of_subnet = snapshot.get::<Subnet>(object.spec.subnet).and_then(|subnet| subnet.spec.project);
        let of_machine = snapshot.referrers::<Instance>(object.id()).map(|instance| instance.spec.project);
        let projects: Vec<Id> = object.spec.project.into_iter().chain(of_subnet).chain(of_machine).collect();
        if projects.is_empty() { Scope::Operators } else { Scope::Projects(projects) }
    }
}

impl Updatable for Adapter {
    type Update = wire::AdapterUpdate;

    fn updated(
        object: &Object<Self>,
        change: wire::AdapterUpdate,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name.clone())?;
        let claim = Self::name_claim(current.subnet, &name);
        crud::refuse_taken::<Self>(call.snapshot, &claim, Some(object.id()), &name)?;
        let description =
            crud::changed_description(current.description.as_deref(), change.description.clone())?;
        routes::changed(object, Self { name, description, ..current.clone() }, change, call)
    }
}
