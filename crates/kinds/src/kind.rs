//! What a resource kind is, beyond what the store needs to know.

use freehold_store::{Entity, Object, Snapshot};
use freehold_types::{ApiError, Id};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::route::Call;

/// Who may know of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every account.
    Everyone,
    /// Super administrators only.
    Operators,
    /// Members of one of these projects.
    Projects(Vec<Id>),
    /// These accounts.
    Users(Vec<Id>),
}

/// A kind with a public face.
pub trait Kind: Entity {
    /// The noun that people read, such as `storage pool`.
    const NOUN: &'static str;
    /// The name of its id in paths of the contract, such as `poolId`.
    const PARAMETER: &'static str;

    /// Its public model.
    type View: Serialize + JsonSchema;

    /// The public form of an object.
    fn view(object: &Object<Self>, snapshot: &Snapshot) -> Self::View;

    /// Who may know of it.
    fn scope(object: &Object<Self>, snapshot: &Snapshot) -> Scope;
}

/// A kind that can be changed through the generic update.
pub trait Updatable: Kind {
    /// The public model of a change.
    type Update: DeserializeOwned + JsonSchema;
    /// Fields of the public model that clients send back and that are passed over.
    const READ_ONLY: &'static [&'static str] = &["id"];

    /// The specification after a change.
    ///
    /// # Errors
    /// Why the change cannot be.
    fn updated(object: &Object<Self>, change: Self::Update, call: &Call<'_>) -> Result<Self, ApiError>;
}
