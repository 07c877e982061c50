//! Image: what system disks are cloned from.

mod routes;
mod spec;
mod status;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::agent::{self as node, Detail, ObjectKind, Specification};
use freehold_types::wire::OperatingSystem;
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::crud;
use crate::environment::Environment;
use crate::kind::{Kind, Scope, Updatable};
use crate::placed::{Placed, PlacedStatus};
use crate::pool::Pool;
use crate::route::Call;

pub use routes::{ROWS, default_of};

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub pool: Id,
    pub name: String,
    pub description: Option<String>,
    pub os: OperatingSystem,
    /// As given, with its `#sha256=` fragment if any.
    pub source: String,
    /// Largest virtual size accepted, in bytes.
    pub limit: u64,
}

impl Image {
    /// Keeps names of images of a pool apart.
    pub fn name_claim(pool: Id, name: &str) -> String {
        format!("image/name/{pool}/{name}")
    }

    /// The URL to fetch, and the checksum that its fragment demands.
    pub fn location(&self) -> (&str, Option<&str>) {
        match self.source.split_once('#') {
            Some((url, fragment)) => (url, fragment.strip_prefix("sha256=")),
            None => (&self.source, None),
        }
    }
}

/// The virtual size of an image in bytes, once a node has fetched it.
pub fn virtual_size(image: &Object<Image>) -> Option<u64> {
    image.status.nodes.values().find_map(|state| match state.detail {
        Some(Detail::Image { virtual_size, .. }) if virtual_size > 0 => Some(virtual_size),
        _ => None,
    })
}

impl Entity for Image {
    const KIND: &'static str = "image";
    type Status = PlacedStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(self.pool, &self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::strong::<Pool>(self.pool)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Image {
    const NOUN: &'static str = "image";
    const PARAMETER: &'static str = "templateId";
    type View = wire::Image;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Image {
        let Self { name, description, os, source, .. } = object.spec.clone();
        wire::Image { id: Some(object.id()), name, description, os, source }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Everyone
    }
}

impl Updatable for Image {
    type Update = wire::ImageUpdate;

    fn updated(object: &Object<Self>, change: wire::ImageUpdate, call: &Call<'_>) -> Result<Self, ApiError> {
        let current = object.spec.clone();
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        let claim = Self::name_claim(current.pool, &name);
        crud::refuse_taken::<Self>(call.snapshot, &claim, Some(object.id()), &name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        Ok(Self { name, description, ..current })
    }
}

impl Placed for Image {
    const OBJECT: ObjectKind = ObjectKind::Image;

    /// Every host that reaches the pool, since each needs it to clone from; one for a shared pool.
    fn agents(object: &Object<Self>, snapshot: &Snapshot) -> Vec<Id> {
        let Some(pool) = snapshot.get::<Pool>(object.spec.pool) else { return Vec::new() };
        let count = if pool.spec.is_local() { usize::MAX } else { 1 };
        pool.spec.agents.iter().copied().take(count).collect()
    }

    fn specification(object: &Object<Self>, _: Id, _: &Snapshot, _: &Environment) -> Option<Specification> {
        let (source, sha256) = object.spec.location();
        Some(Specification::Image(node::Image {
            pool: object.spec.pool,
            name: object.spec.name.clone(),
            source: source.to_owned(),
            sha256: sha256.map(str::to_ascii_lowercase),
            limit: object.spec.limit,
        }))
    }
}
