//! Why a transaction cannot be applied to a snapshot.

use freehold_types::Id;

use crate::object::Key;

/// A reason against a transaction; nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// It was decided on an object that has changed, appeared or gone since.
    #[error("{0} has changed in the meantime")]
    Stale(Key),
    /// Somebody else holds a key that must be unique.
    #[error("`{claim}` is taken by {owner}")]
    Claimed { claim: String, owner: Key },
    /// It names an object that does not exist.
    #[error("{from} refers to {kind} {id}, which does not exist")]
    Missing { from: Key, kind: &'static str, id: Id },
    /// It newly names an object that is being removed.
    #[error("{from} refers to {to}, which is being removed")]
    Deleting { from: Key, to: Key },
    /// It removes an object that another one names.
    #[error("{0} is in use by {1}")]
    Referenced(Key, Key),
    /// It would use more of something than there is.
    #[error("{target} would be used beyond its limit of {resource}")]
    Exhausted { target: Id, resource: &'static str },
    /// It writes an object of a kind that is not in the registry.
    #[error("{0} is of a kind that this store was not opened with; add the kind to its registry")]
    Unregistered(Key),
}
