//! Operations on teams.

use std::collections::BTreeSet;

use freehold_store::{Entity, Key, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::Team;
use crate::route::{
    Call, Link, Outcome,
    Permission::{Account, Operator},
    Row, Success,
};
use crate::user::User;
use crate::{crud, text};

const MODEL: Success = Success::Model(schema_of::<wire::Team>);
const LINKS: &[Link] = &[Link::Body("users", User::KIND)];

pub const ROWS: &[Row] = &[
    Row::new("GET", "/team", "list_teams", Account, Success::Model(schema_of::<Vec<Id>>), crud::list::<Team>)
        .query(crud::LIST),
    Row::new("POST", "/team", "create_team", Operator, Success::Created(schema_of::<wire::Team>), create)
        .body(schema_of::<wire::Team>)
        .links(LINKS),
    Row::new("GET", "/team/{teamId}", "read_team", Account, MODEL, crud::read::<Team>),
    Row::new("PUT", "/team/{teamId}", "update_team", Operator, MODEL, crud::update::<Team>)
        .body(schema_of::<wire::TeamUpdate>)
        .links(LINKS),
    Row::new("DELETE", "/team/{teamId}", "delete_team", Operator, Success::Done, delete),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wire::Team { name, description, users, .. } = call.body()?;
    text::name("team", &name)?;
    crud::refuse_taken::<Team>(call.snapshot, &Team::name_claim(&name), None, &name)?;
    check_users(&users)?;
    let id = Id::generate();
    let description = text::description(description)?;
    let mut transaction = Transaction::default();
    transaction.create(id, Team { name, description, users }, call.now);
    Ok(Outcome::object(transaction, Key::of::<Team>(id)))
}

/// Refuses repeated members. That each one exists is checked with the links of the row.
pub(super) fn check_users(users: &[Id]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    match users.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(ApiError::invalid(format!("the user {id} is listed twice in `users`; name it once"))),
        None => Ok(()),
    }
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let team = call.object::<Team>(0)?;
    if !team.spec.users.is_empty() {
        return Err(ApiError::conflict(format!(
            "the team {} still has members ({}); take them out first",
            crud::named(team),
            team.spec.users.len()
        )));
    }
    crud::delete::<Team>(call)
}
