//! Volume: a disk of a project.

pub mod plan;
mod routes;

use freehold_store::{Amounts, Entity, Object, Reference, Snapshot};
use freehold_types::agent::{self as node, ObjectKind, Specification, VolumeContent};
use freehold_types::wire::VolumeType;
use freehold_types::{Id, wire};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::compute::Compute;
use crate::environment::Environment;
use crate::image::Image;
use crate::kind::{Kind, Scope};
use crate::placed::{Placed, PlacedStatus};
use crate::pool::Pool;
use crate::project::Project;

pub use routes::ROWS;

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub project: Id,
    pub region: Id,
    pub pool: Id,
    pub name: String,
    pub description: Option<String>,
    pub content: wire::VolumeType,
    /// Bytes.
    pub size: u64,
    /// What it was cloned from.
    pub image: Option<Id>,
    /// The agent on whose node it is made; for local pools also where it lies.
    pub agent: Id,
    /// The compute that made it, and takes it along when it goes.
    pub compute: Option<Id>,
    /// The other half of a volume of a local pool whose machine moves, until it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<Twin>,
}

/// A volume on a second node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twin {
    pub agent: Id,
    /// Whether the machine is coming to it; otherwise it is to be removed.
    pub wanted: bool,
}

impl Volume {
    /// Keeps names of volumes of a project apart.
    pub fn name_claim(project: Id, name: &str) -> String {
        format!("volume/name/{project}/{name}")
    }
}

impl Entity for Volume {
    const KIND: &'static str = "volume";
    type Status = PlacedStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(self.project, &self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        let mut links = vec![
            Reference::strong::<Project>(self.project),
            Reference::strong::<crate::region::Region>(self.region),
            Reference::strong::<Pool>(self.pool),
            Reference::strong::<Agent>(self.agent),
        ];
        links.extend(self.twin.as_ref().map(|twin| Reference::strong::<Agent>(twin.agent)));
        links.extend(self.image.map(Reference::strong::<Image>));
        // Weak: the compute names its volumes strongly, and removes them when it goes.
        links.extend(self.compute.map(Reference::weak::<Compute>));
        links
    }

    fn usage(&self) -> Vec<(Id, Amounts)> {
        let amounts = Amounts { storage: self.size, ..Amounts::default() };
        vec![(self.project, amounts), (self.pool, amounts)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Volume {
    const NOUN: &'static str = "volume";
    const PARAMETER: &'static str = "volumeId";
    type View = wire::Volume;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Volume {
        let Self { name, description, content, size, .. } = object.spec.clone();
        wire::Volume { id: Some(object.id()), name, description, r#type: content, size }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Projects(vec![object.spec.project])
    }
}

impl Placed for Volume {
    const OBJECT: ObjectKind = ObjectKind::Volume;

    fn agents(object: &Object<Self>, _: &Snapshot) -> Vec<Id> {
        std::iter::once(object.spec.agent).chain(object.spec.twin.as_ref().map(|twin| twin.agent)).collect()
    }

    fn is_wanted(object: &Object<Self>, agent: Id, _: &Snapshot) -> bool {
        let twin = object.spec.twin.as_ref().filter(|twin| twin.wanted);
        !object.is_deleting() && (object.spec.agent == agent || twin.is_some_and(|twin| twin.agent == agent))
    }

    /// A second half does not count.
    fn is_settled(object: &Object<Self>, _: &Snapshot) -> bool {
        object.status.is_ready(&[object.spec.agent], object.meta.generation)
    }

    fn specification(object: &Object<Self>, _: Id, _: &Snapshot, _: &Environment) -> Option<Specification> {
        let spec = &object.spec;
        let content = match (spec.content, spec.image) {
            (VolumeType::Os | VolumeType::Template | VolumeType::Iso, Some(image)) => {
                VolumeContent::Clone { image }
            }
            (VolumeType::Os | VolumeType::Template | VolumeType::Iso, None) | (VolumeType::Raw, _) => {
                VolumeContent::Empty
            }
        };
        Some(Specification::Volume(node::Volume {
            pool: spec.pool,
            name: spec.name.clone(),
            content,
            bytes: spec.size,
        }))
    }
}
