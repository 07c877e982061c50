//! DNS record: a name in the domain of a project or a region.

mod routes;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::project::Project;
use crate::region::Region;
use crate::route::Call;

pub use routes::ROWS;

/// What a record is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub parent: Parent,
    /// Relative to the domain.
    pub name: String,
    pub description: Option<String>,
    pub addresses: Vec<IpAddr>,
}

/// Whose domain a record is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parent {
    Project(Id),
    Region(Id),
}

impl Parent {
    /// The project or region.
    pub const fn id(self) -> Id {
        match self {
            Self::Project(id) | Self::Region(id) => id,
        }
    }

    /// Its domain, if it has one.
    fn domain(self, snapshot: &Snapshot) -> Option<String> {
        match self {
            Self::Project(id) => snapshot.get::<Project>(id)?.spec.domain.clone(),
            Self::Region(id) => Some(snapshot.get::<Region>(id)?.spec.domain.clone()),
        }
    }
}

impl Record {
    /// Keeps names of records of a project or region apart.
    pub fn name_claim(parent: Parent, name: &str) -> String {
        format!("record/name/{}/{}", parent.id(), name.to_ascii_lowercase())
    }
}

impl Entity for Record {
    const KIND: &'static str = "record";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(self.parent, &self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        vec![match self.parent {
            Parent::Project(id) => Reference::strong::<Project>(id),
            Parent::Region(id) => Reference::strong::<Region>(id),
        }]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Record {
    const NOUN: &'static str = "DNS record";
    const PARAMETER: &'static str = "recordId";
    type View = wire::DnsRecord;

    fn view(object: &Object<Self>, snapshot: &Snapshot) -> wire::DnsRecord {
        let Self { parent, name, description, addresses } = object.spec.clone();
        wire::DnsRecord {
            id: Some(object.id()),
            name,
            description,
            domain: parent.domain(snapshot),
            addresses: addresses.iter().map(ToString::to_string).collect(),
        }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        match object.spec.parent {
            Parent::Project(id) => Scope::Projects(vec![id]),
            Parent::Region(_) => Scope::Operators,
        }
    }
}

impl Updatable for Record {
    type Update = wire::DnsRecordUpdate;
    const READ_ONLY: &'static [&'static str] = &["id", "domain"];

    fn updated(
        object: &Object<Self>,
        change: wire::DnsRecordUpdate,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        let addresses = change
            .addresses
            .map_or_else(|| Ok(current.addresses.clone()), |addresses| routes::read_addresses(&addresses))?;
        let spec = Self { parent: current.parent, name, description, addresses };
        routes::check(&spec, Some(object.id()), call)?;
        Ok(spec)
    }
}
