//! Region: zones that share storage and networks.

mod routes;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::file_backend::FileBackend;
use crate::kind::{Kind, Scope, Updatable};
use crate::pool::Pool;
use crate::route::Call;
use crate::{crud, text};

pub use routes::ROWS;

/// What a region is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    pub name: String,
    pub description: Option<String>,
    /// DNS domain of its machines.
    pub domain: String,
    /// Where disks go when a request names no pool; the first pool unless changed.
    pub default_pool: Option<Id>,
    /// Where file shares go when a request names no file backend; the first one unless changed.
    #[serde(default)]
    pub default_file_backend: Option<Id>,
}

impl Region {
    /// Keeps names of regions apart.
    pub fn name_claim(name: &str) -> String {
        format!("region/name/{name}")
    }
}

impl Entity for Region {
    const KIND: &'static str = "region";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(&self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        let backend = self.default_file_backend.map(Reference::weak::<FileBackend>);
        self.default_pool.map(Reference::weak::<Pool>).into_iter().chain(backend).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Region {
    const NOUN: &'static str = "region";
    const PARAMETER: &'static str = "regionId";
    type View = wire::Region;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Region {
        let Self { name, description, domain, .. } = object.spec.clone();
        wire::Region { id: Some(object.id()), name, description, domain }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Everyone
    }
}

impl Updatable for Region {
    type Update = wire::RegionUpdate;

    fn updated(object: &Object<Self>, change: wire::RegionUpdate, call: &Call<'_>) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        crud::refuse_taken::<Self>(call.snapshot, &Self::name_claim(&name), Some(object.id()), &name)?;
        let domain =
            change.domain.filter(|domain| !domain.is_empty()).unwrap_or_else(|| current.domain.clone());
        text::domain("domain", &domain)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        Ok(Self { name, description, domain, ..current.clone() })
    }
}
