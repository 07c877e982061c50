//! Storage pool: where images and volumes of a region live.

mod driver;
mod routes;
mod status;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::agent::{self as node, Detail, ObjectKind, Specification};
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::cost::Price;
use crate::crud;
use crate::environment::Environment;
use crate::image::Image;
use crate::kind::{Kind, Scope, Updatable};
use crate::placed::{Placed, PlacedStatus};
use crate::region::Region;
use crate::route::Call;

pub(crate) use driver::directory;
pub use routes::{ROWS, default_of};

/// What a pool is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    pub region: Id,
    pub name: String,
    pub description: Option<String>,
    /// `dir:PATH`, `logical:VG`, or the name of a Ceph pool.
    pub pool: String,
    pub ceph_address: String,
    pub ceph_port: u16,
    pub ceph_secret_uuid: Option<String>,
    /// Monthly price of the whole pool.
    pub cost: Price,
    /// Agents whose hosts reach it.
    pub agents: Vec<Id>,
    /// The image of machines whose request names none; the first one unless changed.
    pub default_image: Option<Id>,
}

impl Pool {
    /// Keeps names of pools of a region apart.
    pub fn name_claim(region: Id, name: &str) -> String {
        format!("pool/name/{region}/{name}")
    }

    /// Whether each host has a part of it that the others do not see.
    pub fn is_local(&self) -> bool {
        driver::is_local(&self.pool)
    }
}

/// Bytes of a pool, over all its nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    pub capacity: u64,
    pub allocated: u64,
    pub available: u64,
}

/// What the nodes told of a pool's space: the sum of its parts, or of a shared pool
/// what one of them told, since all see the same.
pub fn space(pool: &Object<Pool>) -> Space {
    let mut parts = pool.status.nodes.values().filter_map(|state| match state.detail {
        Some(Detail::Pool { capacity, allocated, available }) => {
            Some(Space { capacity, allocated, available })
        }
        _ => None,
    });
    if pool.spec.is_local() {
        parts.fold(Space::default(), |sum, part| Space {
            capacity: sum.capacity.saturating_add(part.capacity),
            allocated: sum.allocated.saturating_add(part.allocated),
            available: sum.available.saturating_add(part.available),
        })
    } else {
        parts.next_back().unwrap_or_default()
    }
}

impl Entity for Pool {
    const KIND: &'static str = "pool";
    type Status = PlacedStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(self.region, &self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        let agents = self.agents.iter().copied().map(Reference::strong::<Agent>);
        let default = self.default_image.map(Reference::weak::<Image>);
        std::iter::once(Reference::strong::<Region>(self.region)).chain(agents).chain(default).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Pool {
    const NOUN: &'static str = "storage pool";
    const PARAMETER: &'static str = "poolId";
    type View = wire::StoragePool;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::StoragePool {
        let spec = object.spec.clone();
        wire::StoragePool {
            id: Some(object.id()),
            name: spec.name,
            description: spec.description,
            pool: spec.pool,
            ceph_address: spec.ceph_address,
            ceph_port: spec.ceph_port,
            ceph_secret_uuid: spec.ceph_secret_uuid,
            cost: Some(spec.cost.into()),
            agents: spec.agents,
        }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Everyone
    }
}

impl Updatable for Pool {
    type Update = wire::StoragePoolUpdate;

    fn updated(
        object: &Object<Self>,
        change: wire::StoragePoolUpdate,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name.clone())?;
        let claim = Self::name_claim(current.region, &name);
        crud::refuse_taken::<Self>(call.snapshot, &claim, Some(object.id()), &name)?;
        let description =
            crud::changed_description(current.description.as_deref(), change.description.clone())?;
        routes::changed(object, Self { name, description, ..current.clone() }, change, call)
    }
}

impl Placed for Pool {
    const OBJECT: ObjectKind = ObjectKind::Pool;

    fn agents(object: &Object<Self>, _: &Snapshot) -> Vec<Id> {
        object.spec.agents.clone()
    }

    fn specification(object: &Object<Self>, _: Id, _: &Snapshot, _: &Environment) -> Option<Specification> {
        let driver = driver::parse(&object.spec).ok()?;
        Some(Specification::Pool(node::Pool { name: object.spec.name.clone(), driver }))
    }
}
