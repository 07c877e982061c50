//! Zone: hypervisors of a region that fail together.

mod routes;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::region::Region;
use crate::route::Call;

pub use routes::ROWS;

/// What a zone is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    pub region: Id,
    pub name: String,
    pub description: Option<String>,
}

impl Zone {
    /// Keeps names of zones apart, over all regions as the contract has it.
    pub fn name_claim(name: &str) -> String {
        format!("zone/name/{name}")
    }
}

impl Entity for Zone {
    const KIND: &'static str = "zone";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(&self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::strong::<Region>(self.region)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Zone {
    const NOUN: &'static str = "zone";
    const PARAMETER: &'static str = "zoneId";
    type View = wire::Zone;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Zone {
        let Self { name, description, .. } = object.spec.clone();
        wire::Zone { id: Some(object.id()), name, description }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Everyone
    }
}

impl Updatable for Zone {
    type Update = wire::ZoneUpdate;

    fn updated(object: &Object<Self>, change: wire::ZoneUpdate, call: &Call<'_>) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        crud::refuse_taken::<Self>(call.snapshot, &Self::name_claim(&name), Some(object.id()), &name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        Ok(Self { region: current.region, name, description })
    }
}
