//! An object with its metadata, typed and untyped.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::entity::{Amounts, Entity, Reference};

/// Names one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub kind: &'static str,
    pub id: Id,
}

impl Key {
    /// The key of an object of kind `E`.
    pub const fn of<E: Entity>(id: Id) -> Self {
        Self { kind: E::KIND, id }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// What the store knows of every object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    #[serde(skip, default = "no_id")]
    pub id: Id,
    /// Revision of the store at the last write of this object; zero until it is stored.
    #[serde(skip)]
    pub revision: u64,
    /// Grows with each change of the specification and of the deletion mark.
    pub generation: u64,
    pub created_at: Timestamp,
    /// When the generation last grew. Does not go back when the clock does.
    pub updated_at: Timestamp,
    /// Since when it is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleting: Option<Timestamp>,
}

const fn no_id() -> Id {
    Id::from_u64(0)
}

/// An object of kind `E`: what is wanted and what was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Object<E: Entity> {
    pub meta: Meta,
    pub spec: E,
    #[serde(default)]
    pub status: E::Status,
}

impl<E: Entity> Object<E> {
    /// A new object.
    pub fn new(id: Id, spec: E, now: Timestamp) -> Self {
        let meta = Meta { id, revision: 0, generation: 1, created_at: now, updated_at: now, deleting: None };
        Self { meta, spec, status: E::Status::default() }
    }

    /// Its id.
    pub const fn id(&self) -> Id {
        self.meta.id
    }

    /// Its key.
    pub const fn key(&self) -> Key {
        Key::of::<E>(self.meta.id)
    }

    /// Whether it is on its way out.
    pub const fn is_deleting(&self) -> bool {
        self.meta.deleting.is_some()
    }
}

/// An object of any kind, for indexes, backends and watchers.
pub trait AnyObject: Any + Debug + Send + Sync {
    fn key(&self) -> Key;
    fn meta(&self) -> &Meta;
    fn schema(&self) -> u32;
    fn sealed(&self) -> bool;
    fn label(&self) -> Option<&str>;
    fn claims(&self) -> Vec<String>;
    fn references(&self) -> Vec<Reference>;
    fn usage(&self) -> Vec<(Id, Amounts)>;
    fn rank(&self, usage: &Amounts) -> Option<(Id, u64)>;
    /// The document as JSON text.
    ///
    /// # Errors
    /// When a value has no JSON form (a map with keys that are no text, say).
    fn document(&self) -> Result<String, serde_json::Error>;
    /// The same object with the metadata that the store assigns.
    fn with_meta(&self, meta: Meta) -> Arc<dyn AnyObject>;
    /// Changes the metadata in place.
    fn set_meta(&mut self, meta: Meta);
    fn as_any(&self) -> &dyn Any;
    /// Whether specification and deletion mark are those of the other.
    fn same_spec(&self, other: &dyn AnyObject) -> bool;
    /// Whether nothing but store-assigned metadata differs.
    fn same(&self, other: &dyn AnyObject) -> bool;
}

impl dyn AnyObject {
    /// The typed object, when it is of kind `E`.
    pub fn downcast<E: Entity>(&self) -> Option<&Object<E>> {
        self.as_any().downcast_ref()
    }
}

impl<E: Entity> AnyObject for Object<E> {
    fn key(&self) -> Key {
        Self::key(self)
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn schema(&self) -> u32 {
        E::SCHEMA
    }

    fn sealed(&self) -> bool {
        E::SEALED
    }

    fn label(&self) -> Option<&str> {
        self.spec.label()
    }

    fn claims(&self) -> Vec<String> {
        self.spec.claims(self.meta.id)
    }

    fn references(&self) -> Vec<Reference> {
        self.spec.references()
    }

    fn usage(&self) -> Vec<(Id, Amounts)> {
        self.spec.usage()
    }

    fn rank(&self, usage: &Amounts) -> Option<(Id, u64)> {
        if E::RANKED { self.spec.rank(usage) } else { None }
    }

    fn document(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    fn with_meta(&self, meta: Meta) -> Arc<dyn AnyObject> {
        Arc::new(Self { meta, spec: self.spec.clone(), status: self.status.clone() })
    }

    fn set_meta(&mut self, meta: Meta) {
        self.meta = meta;
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn same_spec(&self, other: &dyn AnyObject) -> bool {
        other
            .downcast::<E>()
            .is_some_and(|other| self.spec == other.spec && self.meta.deleting == other.meta.deleting)
    }

    fn same(&self, other: &dyn AnyObject) -> bool {
        other.downcast::<E>().is_some_and(|typed| self.status == typed.status && self.same_spec(other))
    }
}
