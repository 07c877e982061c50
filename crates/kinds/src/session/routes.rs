//! Logging in and out, and asking for a new password.
//!
//! None of it tells who has an account: an unknown mail address gets the same answer after the same work.

use freehold_store::{Object, Transaction};
use freehold_types::{ApiError, Id, Secret, wire};
use freehold_web::openapi::schema_of;

use super::{Session, sign};
use crate::password;
use crate::route::{
    Call, Outcome,
    Permission::{Account, Public},
    Row, Success,
};
use crate::user::{self, User};

pub const ROWS: &[Row] = &[
    Row::new("POST", "/login", "login", Public, Success::Model(schema_of::<wire::UserCredentials>), login)
        .body(schema_of::<wire::UserCredentials>)
        .heavy(),
    Row::new("POST", "/logout", "logout", Account, Success::NoContent, |call| {
        Ok(Outcome::done(logout(call)))
    }),
    Row::new("POST", "/resetPassword", "reset_password", Public, Success::Done, reset_password)
        .body(schema_of::<wire::UserEmail>)
        .heavy(),
    // The verb of clients from before contract 0.58.
    Row::new("PUT", "/resetPassword", "put_reset_password", Public, Success::Done, reset_password)
        .body(schema_of::<wire::UserEmail>)
        .heavy()
        .extension(),
];

/// The record that a request for an unknown mail address writes.
const DECOY: Id = Id::from_u64(0);

fn login(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wire::UserCredentials { email, password, .. } = call.body()?;
    if email.is_empty() || password.expose().is_empty() {
        return Err(ApiError::malformed("a log-in needs `email` and `password`"));
    }
    let user = find(&email, call);
    let hash = user.and_then(|user| user.spec.password.as_deref());
    // Verified first and for every address, so that neither answer nor time tells what was wrong.
    let matches = password::verify(password.expose(), hash);
    let user = user.filter(|_| matches).ok_or_else(|| {
        ApiError::unauthenticated(
            "the mail address or the password is wrong; a forgotten password can be reset",
        )
    })?;
    if !user.spec.enabled {
        return Err(ApiError::unauthenticated(format!(
            "the account is not confirmed yet; open the link that was mailed to {}",
            user.spec.email
        )));
    }
    begin(user, call)
}

fn begin(user: &Object<User>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let id = Id::generate();
    let expires_at = call.now + call.environment.session_lifetime;
    let jwt = sign(id, (user.id(), &user.spec), expires_at, call.environment)?;
    let email = user.spec.email.clone();
    let answer = wire::UserCredentials { email, password: Secret::default(), jwt: Some(jwt) };
    let mut transaction = Transaction::default();
    transaction.create(id, Session { user: user.id(), expires_at }, call.now);
    // A log-in that races with a reset must not outlive it.
    transaction.expect(user);
    for expired in call.snapshot.referrers::<Session>(user.id()).filter(|old| old.spec.expires_at <= call.now)
    {
        transaction.delete(expired);
    }
    Ok(Outcome { transaction, ..Outcome::json(&answer)? })
}

/// Ends the session that the request came with; a key has none.
fn logout(call: &Call<'_>) -> Transaction {
    let mut transaction = Transaction::default();
    if let Some(session) = call.caller.session.and_then(|id| call.snapshot.get::<Session>(id)) {
        transaction.delete(session);
    }
    transaction
}

fn reset_password(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wire::UserEmail { email } = call.body()?;
    if email.is_empty() {
        return Err(ApiError::malformed("a reset needs the `email` of the account"));
    }
    let mut transaction = Transaction::default();
    match find(&email, call) {
        Some(user) => user::ask_renewal(user, call.environment, call.now, &mut transaction),
        None => pretend(call, &mut transaction),
    }
    Ok(Outcome::done(transaction))
}

/// Makes a request for an unknown address as durable as one for a known address, since the time that a
/// write takes would tell them apart. It also puts the attempt into the change log.
fn pretend(call: &Call<'_>, transaction: &mut Transaction) {
    let nobody = Session { user: DECOY, expires_at: call.now };
    match call.snapshot.get::<Session>(DECOY) {
        Some(decoy) => transaction.update(decoy, nobody),
        None => transaction.create(DECOY, nobody, call.now),
    }
}

fn find<'a>(email: &str, call: &Call<'a>) -> Option<&'a Object<User>> {
    call.snapshot.claimed::<User>(&User::email_claim(email))
}
