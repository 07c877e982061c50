//! Operations on users.

use freehold_store::{Key, Object, Transaction};
use freehold_types::wire::Role;
use freehold_types::{ApiError, Id, Timestamp, wire};
use freehold_web::openapi::schema_of;

use super::{Ticket, User, check_email};
use crate::environment::Environment;
use crate::kind::Kind;
use crate::mail::{self, texts};
use crate::route::{
    Call, Outcome,
    Permission::{Account, Operator},
    Row, Success,
};
use crate::team::Team;
use crate::token::{self, Owner, Token};
use crate::{change, crud, password, session, text};

const MODEL: Success = Success::Model(schema_of::<wire::User>);

pub const ROWS: &[Row] = &[
    Row::new(
        "GET",
        "/user",
        "list_users",
        Operator,
        Success::Model(schema_of::<Vec<Id>>),
        crud::list::<User>,
    )
    .query(crud::LIST),
    Row::new("POST", "/user", "create_user", Operator, Success::Created(schema_of::<wire::User>), create)
        .body(schema_of::<wire::User>),
    Row::new("GET", "/user/{userId}", "read_user", Account, MODEL, crud::read::<User>),
    Row::new("PUT", "/user/{userId}", "update_user", Account, MODEL, update)
        .body(schema_of::<wire::UserUpdate>),
    Row::new("DELETE", "/user/{userId}", "delete_user", Operator, Success::Done, delete),
    Row::new("PUT", "/user/{userId}/password", "set_user_password", Account, Success::Done, set_password)
        .body(schema_of::<wire::Password>)
        .heavy(),
    Row::new(
        "PATCH",
        "/user/{userId}/resetPassword",
        "reset_user_password",
        Account,
        Success::Done,
        reset_password,
    ),
    Row::new(
        "PATCH",
        "/user/{userId}/token",
        "set_user_api_token",
        Account,
        Success::Model(schema_of::<wire::ApiToken>),
        set_token,
    )
    .query(token::EXPIRY),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wire::User { name, description, email, role, notifications, .. } = call.body()?;
    text::name("user", &name)?;
    crud::refuse_taken::<User>(call.snapshot, &User::name_claim(&name), None, &name)?;
    check_new_email(&email, None, call)?;
    let (ticket, token) = Ticket::issue(Ticket::CONFIRMATION, call.now);
    let user = User {
        name,
        description: text::description(description)?,
        email,
        role,
        notifications,
        enabled: false,
        password: None,
        confirmation: Some(ticket),
        renewal: None,
    };
    let id = Id::generate();
    let mut transaction = Transaction::default();
    mail::queue(&mut transaction, texts::welcome(id, &user, &token, call.environment), call.now);
    transaction.create(id, user, call.now);
    Ok(Outcome::object(transaction, Key::of::<User>(id)))
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let user = call.object::<User>(0)?;
    let view = User::view(user, call.snapshot);
    let change: wire::UserUpdate = change::read(call, User::NOUN, &["id"], &view)?;
    let current = &user.spec;
    let name = crud::changed_name::<User>(&current.name, change.name)?;
    crud::refuse_taken::<User>(call.snapshot, &User::name_claim(&name), Some(user.id()), &name)?;
    let description = crud::changed_description(current.description.as_deref(), change.description)?;
    let email = change.email.filter(|email| !email.is_empty()).unwrap_or_else(|| current.email.clone());
    let role = change.role.unwrap_or(current.role);
    refuse_own_elevation(current, role, &email, call)?;
    let notifications = change.notifications.unwrap_or(current.notifications);
    let mut changed = User { name, description, role, notifications, ..current.clone() };
    let mut transaction = Transaction::default();
    if email != current.email {
        check_new_email(&email, Some(user.id()), call)?;
        move_mailbox(user.id(), &mut changed, email, call, &mut transaction);
    }
    transaction.update(user, changed);
    Ok(Outcome::object(transaction, user.key()))
}

/// Refuses accounts that give themselves another role or mail address.
fn refuse_own_elevation(current: &User, role: Role, email: &str, call: &Call<'_>) -> Result<(), ApiError> {
    if call.caller.is_operator() {
        return Ok(());
    }
    let field = if role != current.role {
        "role"
    } else if email != current.email {
        "email"
    } else {
        return Ok(());
    };
    Err(ApiError::forbidden(format!("only a super administrator changes the `{field}` of a user; ask one")))
}

/// Gives an account another mail address. Links that went to the old one no longer count, and an address
/// that nobody has confirmed yet is confirmed anew.
fn move_mailbox(id: Id, user: &mut User, email: String, call: &Call<'_>, transaction: &mut Transaction) {
    user.email = email;
    user.renewal = None;
    if !user.enabled {
        invite(id, user, call.environment, call.now, transaction);
    }
}

/// Mails a link that confirms the address of an account.
fn invite(id: Id, user: &mut User, environment: &Environment, now: Timestamp, transaction: &mut Transaction) {
    let (ticket, token) = Ticket::issue(Ticket::CONFIRMATION, now);
    user.confirmation = Some(ticket);
    mail::queue(transaction, texts::welcome(id, user, &token, environment), now);
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let user = call.object::<User>(0)?;
    let id = user.id();
    let mut transaction = Transaction::default();
    for team in call.snapshot.referrers::<Team>(id) {
        let users = team.spec.users.iter().copied().filter(|member| *member != id).collect();
        transaction.update(team, Team { users, ..team.spec.clone() });
    }
    token::revoke(id, call.snapshot, &mut transaction);
    session::end_all(id, None, call.snapshot, &mut transaction);
    transaction.delete(user);
    Ok(Outcome::done(transaction))
}

fn set_password(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let user = call.object::<User>(0)?;
    let wire::Password { value } = call.body()?;
    password::check_strength(value.expose(), &[&user.spec.name, &user.spec.email])?;
    let password = Some(password::hash(value.expose())?);
    let mut transaction = Transaction::default();
    transaction.update(user, User { password, renewal: None, ..user.spec.clone() });
    session::end_all(user.id(), call.caller.session, call.snapshot, &mut transaction);
    Ok(Outcome::done(transaction))
}

fn reset_password(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut transaction = Transaction::default();
    ask_renewal(call.object::<User>(0)?, call.environment, call.now, &mut transaction);
    Ok(Outcome::done(transaction))
}

/// Mails a link that gives an account a new password. An account whose invitation has run out unanswered
/// gets another, since without it the password would open nothing.
pub fn ask_renewal(
    user: &Object<User>,
    environment: &Environment,
    now: Timestamp,
    transaction: &mut Transaction,
) {
    let (ticket, token) = Ticket::issue(Ticket::RENEWAL, now);
    let mut changed = User { renewal: Some(ticket), ..user.spec.clone() };
    if !changed.enabled && !changed.confirmation.as_ref().is_some_and(|ticket| ticket.is_open(now)) {
        invite(user.id(), &mut changed, environment, now, transaction);
    }
    mail::queue(transaction, texts::reset_link(user.id(), &changed, &token, environment), now);
    transaction.update(user, changed);
}

fn set_token(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let user = call.object::<User>(0)?;
    let mut transaction = Transaction::default();
    let issued = token::issue(Owner::User(user.id()), &user.spec.name, call, &mut transaction)?;
    mail::queue(&mut transaction, texts::user_key(&user.spec, &issued, call.environment), call.now);
    Ok(Outcome::object(transaction, Key::of::<Token>(issued.id)))
}

fn check_new_email(email: &str, own: Option<Id>, call: &Call<'_>) -> Result<(), ApiError> {
    check_email(email)?;
    match call.snapshot.claim(&User::email_claim(email)) {
        Some(owner) if Some(owner.id) != own => Err(ApiError::conflict(format!(
            "a user with the mail address `{email}` exists already ({})",
            owner.id
        ))),
        _ => Ok(()),
    }
}
