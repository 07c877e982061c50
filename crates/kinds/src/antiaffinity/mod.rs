//! Anti-affinity group: machines of a project that must not share a host, or a zone.

mod routes;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::wire::AntiAffinityPolicy;
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::compute::Compute;
use crate::crud;
use crate::instance::Instance;
use crate::kind::{Kind, Scope, Updatable};
use crate::project::Project;
use crate::route::Call;

pub use routes::ROWS;

/// What a group is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub project: Id,
    pub name: String,
    pub description: Option<String>,
    pub policy: AntiAffinityPolicy,
    pub instances: Vec<Id>,
    pub computes: Vec<Id>,
}

impl Group {
    /// Keeps names of groups of a project apart.
    pub fn name_claim(project: Id, name: &str) -> String {
        format!("antiaffinity/name/{project}/{name}")
    }

    /// The instances of its members; a compute counts through its instance.
    pub fn members<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Object<Instance>> {
        let of_computes =
            self.computes.iter().filter_map(|id| Some(snapshot.get::<Compute>(*id)?.spec.instance));
        self.instances.iter().copied().chain(of_computes).filter_map(|id| snapshot.get::<Instance>(id))
    }
}

impl Entity for Group {
    const KIND: &'static str = "antiaffinity";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(self.project, &self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        // Weak towards members: the removal of a machine takes it out of its groups.
        std::iter::once(Reference::strong::<Project>(self.project))
            .chain(self.instances.iter().copied().map(Reference::weak::<Instance>))
            .chain(self.computes.iter().copied().map(Reference::weak::<Compute>))
            .collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Group {
    const NOUN: &'static str = "anti-affinity group";
    const PARAMETER: &'static str = "kwarantineId";
    type View = wire::AntiAffinityGroup;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::AntiAffinityGroup {
        let Self { name, description, policy, instances, computes, .. } = object.spec.clone();
        wire::AntiAffinityGroup {
            id: Some(object.id()),
            name,
            description,
            policy,
            instances,
            komputes: computes,
        }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Projects(vec![object.spec.project])
    }
}

impl Updatable for Group {
    type Update = wire::AntiAffinityGroupUpdate;
    const READ_ONLY: &'static [&'static str] = &["id", "instances", "komputes"];

    fn updated(
        object: &Object<Self>,
        change: wire::AntiAffinityGroupUpdate,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let current = object.spec.clone();
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        let claim = Self::name_claim(current.project, &name);
        crud::refuse_taken::<Self>(call.snapshot, &claim, Some(object.id()), &name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        Ok(Self { name, description, policy: change.policy.unwrap_or(current.policy), ..current })
    }
}
