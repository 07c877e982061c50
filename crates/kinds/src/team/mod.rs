//! Team: a named set of users. A project is opened to teams.

mod routes;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::route::Call;
use crate::user::User;

pub use routes::ROWS;

/// What a team is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    pub name: String,
    pub description: Option<String>,
    pub users: Vec<Id>,
}

impl Team {
    /// Keeps names of teams apart.
    pub fn name_claim(name: &str) -> String {
        format!("team/name/{name}")
    }
}

impl Entity for Team {
    const KIND: &'static str = "team";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(&self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        // Strong: the removal of a user takes it out of its teams in the same transaction.
        self.users.iter().copied().map(Reference::strong::<User>).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Team {
    const NOUN: &'static str = "team";
    const PARAMETER: &'static str = "teamId";
    type View = wire::Team;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Team {
        let Self { name, description, users } = object.spec.clone();
        wire::Team { id: Some(object.id()), name, description, users }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Users(object.spec.users.clone())
    }
}

impl Updatable for Team {
    type Update = wire::TeamUpdate;

    fn updated(object: &Object<Self>, change: wire::TeamUpdate, call: &Call<'_>) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        crud::refuse_taken::<Self>(call.snapshot, &Self::name_claim(&name), Some(object.id()), &name)?;
        let description = crud::changed_description(current.description.as_deref(), change.description)?;
        let users = change.users.unwrap_or_else(|| current.users.clone());
        routes::check_users(&users)?;
        Ok(Self { name, description, users })
    }
}
