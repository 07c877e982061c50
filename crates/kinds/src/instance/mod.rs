//! Instance: a virtual machine made of existing adapters and volumes, on an elected host.

pub mod actions;
pub mod election;
pub mod metadata;
pub mod plan;
mod routes;
mod seed;
mod slice;
mod state;

use freehold_store::{Amounts, Entity, Object, Reference, Snapshot};
use freehold_types::agent::{Firmware, Power};
use freehold_types::wire::OperatingSystem;
use freehold_types::{Id, Secret, Timestamp, wire};
use serde::{Deserialize, Serialize};

use crate::adapter::Adapter;
use crate::antiaffinity::Group;
use crate::compute::Compute;
use crate::hypervisor::Hypervisor;
use crate::kind::{Kind, Scope};
use crate::placed::PlacedStatus;
use crate::project::Project;
use crate::region::Region;
use crate::volume::Volume;
use crate::zone::Zone;

pub use routes::ROWS;
pub(crate) use routes::{NEW, action, updated};
pub use seed::check as check_seed_templates;
pub(crate) use slice::local_address_of;
pub use state::wire_state;
pub(crate) use state::{is_paused, is_running};

/// What an instance is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    pub project: Id,
    pub region: Id,
    pub zone: Id,
    pub hypervisor: Id,
    pub name: String,
    pub description: Option<String>,
    /// Bytes.
    pub memory: u64,
    pub vcpus: u32,
    /// In the order given.
    pub adapters: Vec<Id>,
    /// In the order given; exactly one has an operating system.
    pub volumes: Vec<Id>,
    pub os: OperatingSystem,
    pub firmware: Firmware,
    pub movable: bool,
    /// Of `root` (or `Admin`), as a crypt(3) hash for Linux; the text itself for Windows.
    pub root_password: Secret<String>,
    pub power: Power,
    pub reboots: u64,
    pub resets: u64,
    /// The compute that made it, and takes it along when it goes.
    pub compute: Option<Id>,
    /// While it goes to another host, and until nothing of it is left on the one that it does not run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Moving>,
    /// How its last move ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
}

/// What another host has to do with a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// Where it goes to while it goes; where leftovers may be after that.
    pub other: Id,
    pub stage: Stage,
}

/// How far a move is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The other host makes ready; then the machine goes.
    Going { id: Id, live: bool, restart: bool, since: Timestamp },
    /// The other host removes what it has of it.
    Cleaning,
}

/// How a move ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub source: Id,
    pub target: Id,
    pub live: bool,
    pub at: Timestamp,
    /// Why it stayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Instance {
    /// Keeps names of instances of a project apart; they are host names in one domain.
    pub fn name_claim(project: Id, name: &str) -> String {
        format!("instance/name/{project}/{}", name.to_ascii_lowercase())
    }

    /// The host that it is going to.
    pub fn going_to(&self) -> Option<Id> {
        let moving = self.moving.as_ref()?;
        matches!(moving.stage, Stage::Going { .. }).then_some(moving.other)
    }

    /// The hosts that must have something of it, or may have: its own first.
    pub fn hosts(&self) -> impl Iterator<Item = Id> {
        std::iter::once(self.hypervisor).chain(self.moving.as_ref().map(|moving| moving.other))
    }

    /// The agent of its own host.
    pub fn agent(&self, snapshot: &Snapshot) -> Option<Id> {
        snapshot.get::<Hypervisor>(self.hypervisor)?.spec.agent()
    }

    /// What it takes of a host and of its project's quotas.
    pub fn amounts(&self) -> Amounts {
        Amounts { instances: 1, vcpus: u64::from(self.vcpus), memory: self.memory, storage: 0 }
    }
}

impl Entity for Instance {
    const KIND: &'static str = "instance";
    const SEALED: bool = true;
    type Status = PlacedStatus;

    /// An adapter or volume is attached to one machine only, which the claims see to.
    fn claims(&self, _: Id) -> Vec<String> {
        let attached = self.adapters.iter().chain(&self.volumes).map(|id| format!("attached/{id}"));
        std::iter::once(Self::name_claim(self.project, &self.name)).chain(attached).collect()
    }

    fn references(&self) -> Vec<Reference> {
        let mut links = vec![
            Reference::strong::<Project>(self.project),
            Reference::strong::<Region>(self.region),
            Reference::strong::<Zone>(self.zone),
        ];
        links.extend(self.hosts().map(Reference::strong::<Hypervisor>));
        links.extend(self.adapters.iter().copied().map(Reference::strong::<Adapter>));
        links.extend(self.volumes.iter().copied().map(Reference::strong::<Volume>));
        // Weak: the compute names its instance strongly, and removes it when it goes.
        links.extend(self.compute.map(Reference::weak::<Compute>));
        links
    }

    fn usage(&self) -> Vec<(Id, Amounts)> {
        // While it goes it takes room on both hosts.
        [self.project, self.hypervisor]
            .into_iter()
            .chain(self.going_to())
            .map(|target| (target, self.amounts()))
            .collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Instance {
    const NOUN: &'static str = "instance";
    const PARAMETER: &'static str = "instanceId";
    type View = wire::Instance;

    fn view(object: &Object<Self>, snapshot: &Snapshot) -> wire::Instance {
        let spec = object.spec.clone();
        wire::Instance {
            id: Some(object.id()),
            name: spec.name,
            description: spec.description,
            memory: spec.memory,
            vcpus: spec.vcpus,
            adapters: spec.adapters,
            volumes: spec.volumes,
            kwarantines: snapshot.referrers::<Group>(object.id()).map(Object::id).collect(),
            uefi: spec.firmware == Firmware::Uefi,
            kmotion_enabled: spec.movable,
        }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Projects(vec![object.spec.project])
    }
}
