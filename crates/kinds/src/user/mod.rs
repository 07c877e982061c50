//! User: an account, its role, and how it proves who it is.

mod email;
mod routes;
#[cfg(test)]
mod tests;
mod ticket;

use freehold_store::{Entity, Object, Snapshot};
use freehold_types::wire::Role;
use freehold_types::{Id, wire};
use serde::{Deserialize, Serialize};

use crate::kind::{Kind, Scope};

pub use email::check as check_email;
pub use routes::{ROWS, ask_renewal};
pub use ticket::Ticket;

/// What an account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub description: Option<String>,
    pub email: String,
    pub role: Role,
    pub notifications: bool,
    /// Whether its mail address was confirmed. Until then nothing opens for it.
    pub enabled: bool,
    /// Argon2id, in PHC text; none until a password is set.
    pub password: Option<String>,
    pub confirmation: Option<Ticket>,
    pub renewal: Option<Ticket>,
}

impl User {
    /// Keeps names of accounts apart.
    pub fn name_claim(name: &str) -> String {
        format!("user/name/{name}")
    }

    /// Finds an account by its mail address, whatever the case.
    pub fn email_claim(email: &str) -> String {
        format!("user/email/{}", email.to_lowercase())
    }
}

impl Entity for User {
    const KIND: &'static str = "user";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(&self.name), Self::email_claim(&self.email)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for User {
    const NOUN: &'static str = "user";
    const PARAMETER: &'static str = "userId";
    type View = wire::User;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::User {
        let Self { name, description, email, role, notifications, .. } = object.spec.clone();
        wire::User { id: Some(object.id()), name, description, email, role, notifications }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Users(vec![object.id()])
    }
}
