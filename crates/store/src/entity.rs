//! What a kind tells the store about its objects.

use std::fmt::Debug;

use freehold_types::Id;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A kind of object: its specification is the type itself, its observed half is `Status`.
pub trait Entity: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static {
    /// Name of the kind at rest; never changed once released.
    const KIND: &'static str;
    /// Version of the document's shape.
    const SCHEMA: u32 = 1;
    /// Whether documents hold secrets, and are sealed at rest.
    const SEALED: bool = false;

    /// Whether objects are ranked within groups; see [`Entity::rank`].
    const RANKED: bool = false;

    type Status: Serialize + DeserializeOwned + Clone + Debug + Default + PartialEq + Send + Sync + 'static;

    /// Brings a document `{spec, status}` of shape `from` to shape `from + 1`.
    ///
    /// # Errors
    /// Why it cannot be done; the store then does not open.
    fn upgrade(from: u32, document: Value) -> Result<Value, String> {
        let _ = document;
        Err(format!("no step leads from schema {from}"))
    }

    /// Unique keys that the object holds while it exists, such as `ip/<subnet>/10.0.0.7`.
    fn claims(&self, id: Id) -> Vec<String> {
        let _ = id;
        Vec::new()
    }

    /// Other objects that it names.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// What it uses of whom; summed up per target by the snapshot. A sum that cannot be counted is refused.
    fn usage(&self) -> Vec<(Id, Amounts)> {
        Vec::new()
    }

    /// Its group and place among the group's members, lowest first, given what is used of it. Asked only
    /// where [`Entity::RANKED`] says so; ids must then be unique among all ranked kinds.
    fn rank(&self, usage: &Amounts) -> Option<(Id, u64)> {
        let _ = usage;
        None
    }

    /// What people call it; for messages and the change log.
    fn label(&self) -> Option<&str> {
        None
    }
}

/// A named link to another object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    pub kind: &'static str,
    pub id: Id,
    pub on_delete: OnDelete,
}

impl Reference {
    /// A link that must lead somewhere, and keeps its target from being removed.
    pub const fn strong<E: Entity>(id: Id) -> Self {
        Self { kind: E::KIND, id, on_delete: OnDelete::Block }
    }

    /// A link that may dangle.
    pub const fn weak<E: Entity>(id: Id) -> Self {
        Self { kind: E::KIND, id, on_delete: OnDelete::Ignore }
    }
}

/// What a link means for the removal of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    Block,
    Ignore,
}

/// Amounts of what machines use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    pub instances: u64,
    pub vcpus: u64,
    /// Bytes.
    pub memory: u64,
    /// Bytes.
    pub storage: u64,
}

impl Amounts {
    /// More than anything can use.
    pub const UNLIMITED: Self =
        Self { instances: u64::MAX, vcpus: u64::MAX, memory: u64::MAX, storage: u64::MAX };

    /// Sum; stays at the top instead of wrapping.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            instances: self.instances.saturating_add(other.instances),
            vcpus: self.vcpus.saturating_add(other.vcpus),
            memory: self.memory.saturating_add(other.memory),
            storage: self.storage.saturating_add(other.storage),
        }
    }

    /// Sum, or the name of the amount that is too large to be counted.
    pub(crate) fn checked_plus(self, other: Self) -> Result<Self, &'static str> {
        Ok(Self {
            instances: self.instances.checked_add(other.instances).ok_or("instances")?,
            vcpus: self.vcpus.checked_add(other.vcpus).ok_or("vcpus")?,
            memory: self.memory.checked_add(other.memory).ok_or("memory")?,
            storage: self.storage.checked_add(other.storage).ok_or("storage")?,
        })
    }

    /// Difference; stays at zero instead of wrapping.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            instances: self.instances.saturating_sub(other.instances),
            vcpus: self.vcpus.saturating_sub(other.vcpus),
            memory: self.memory.saturating_sub(other.memory),
            storage: self.storage.saturating_sub(other.storage),
        }
    }

    /// The first amount that is above the limit, by name.
    pub const fn exceeds(&self, limit: &Self) -> Option<&'static str> {
        if self.instances > limit.instances {
            Some("instances")
        } else if self.vcpus > limit.vcpus {
            Some("vcpus")
        } else if self.memory > limit.memory {
            Some("memory")
        } else if self.storage > limit.storage {
            Some("storage")
        } else {
            None
        }
    }
}
