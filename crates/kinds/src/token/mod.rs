//! Token: the record of an API key of an account or agent. The key itself is shown once and not kept.

mod issue;
mod routes;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::{ApiError, Id, Timestamp, wire};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::route::Call;
use crate::user::User;

pub use issue::{EXPIRY, Issued, issue, revoke};
pub use routes::ROWS;

/// Whose key it is. There is at most one per owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    User(Id),
    Agent(Id),
}

impl Owner {
    /// Its id, of whichever kind it is.
    pub const fn id(self) -> Id {
        let (Self::User(id) | Self::Agent(id)) = self;
        id
    }
}

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub name: String,
    pub description: Option<String>,
    pub owner: Owner,
    /// SHA-256 of the key, in hexadecimal.
    pub digest: String,
    pub expire: bool,
    /// First day (UTC) on which it no longer works, when `expire` is set.
    pub expiration_date: Option<Date>,
}

impl Token {
    /// Finds a token by the digest of its key.
    pub fn key_claim(digest: &str) -> String {
        format!("token/key/{digest}")
    }

    /// Finds the token of an owner.
    pub fn owner_claim(owner: Id) -> String {
        format!("token/owner/{owner}")
    }

    /// Whether the key no longer works.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expire && self.expiration_date.is_some_and(|date| now.date() >= date)
    }
}

impl Entity for Token {
    const KIND: &'static str = "token";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::key_claim(&self.digest), Self::owner_claim(self.owner.id())]
    }

    fn references(&self) -> Vec<Reference> {
        // Weak: the owner's removal takes its token along in the same transaction.
        vec![match self.owner {
            Owner::User(id) => Reference::weak::<User>(id),
            Owner::Agent(id) => Reference::weak::<Agent>(id),
        }]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Token {
    const NOUN: &'static str = "token";
    const PARAMETER: &'static str = "tokenId";
    type View = wire::ApiToken;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::ApiToken {
        let Self { name, description, expire, expiration_date, .. } = object.spec.clone();
        wire::ApiToken { id: Some(object.id()), name, description, expire, expiration_date }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        match object.spec.owner {
            Owner::User(user) => Scope::Users(vec![user]),
            Owner::Agent(_) => Scope::Operators,
        }
    }
}

impl Updatable for Token {
    type Update = wire::ApiTokenUpdate;

    fn updated(object: &Object<Self>, change: wire::ApiTokenUpdate, _: &Call<'_>) -> Result<Self, ApiError> {
        let current = object.spec.clone();
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        let expire = change.expire.unwrap_or(current.expire);
        let expiration_date = change.expiration_date.or(current.expiration_date);
        check_expiry(expire, expiration_date)?;
        Ok(Self { name, description, expire, expiration_date: expiration_date.filter(|_| expire), ..current })
    }
}

/// Refuses a key that expires without a date.
///
/// # Errors
/// 422.
pub fn check_expiry(expire: bool, date: Option<Date>) -> Result<(), ApiError> {
    if expire && date.is_none() {
        return Err(ApiError::invalid("a key that expires needs an expiration date; give one as YYYY-MM-DD"));
    }
    Ok(())
}
