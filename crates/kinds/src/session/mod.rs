//! Session: a log-in that can be ended. Its token is a JWT (RFC 7519, HS256) that names the session, so
//! that a session that is removed ends at once.

mod bootstrap;
pub mod pages;
mod routes;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Reference, Snapshot, Transaction};
use freehold_types::wire::Role;
use freehold_types::{ApiError, Id, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::user::User;

pub use bootstrap::bootstrap;
pub use routes::ROWS;

/// The issuer that clients of the contract expect.
const ISSUER: &str = "Kowabunga";

/// What a session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub user: Id,
    pub expires_at: Timestamp,
}

impl Entity for Session {
    const KIND: &'static str = "session";
    type Status = ();

    fn references(&self) -> Vec<Reference> {
        // Weak: the removal of a user takes its sessions along in the same transaction.
        vec![Reference::weak::<User>(self.user)]
    }
}

/// What a session token says. Consoles read `role`, `uid` and `email`; only `jti` counts here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub uid: Id,
    pub email: String,
    pub role: Role,
    /// Seconds since 1970.
    pub exp: u64,
    /// The session.
    pub jti: Id,
}

/// Makes the token of a session.
///
/// # Errors
/// 500 when the signing key does not suit the library.
pub fn sign(
    session: Id,
    user: (Id, &User),
    until: Timestamp,
    environment: &Environment,
) -> Result<String, ApiError> {
    let (uid, user) = user;
    let claims = Claims {
        iss: ISSUER.to_owned(),
        uid,
        email: user.email.clone(),
        role: user.role,
        exp: until.as_seconds(),
        jti: session,
    };
    let key = EncodingKey::from_secret(environment.session_key.expose());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
        .map_err(|error| ApiError::internal(format!("the session token cannot be signed: {error}")))
}

/// What a token says, when it is ours and has not expired. Whether its session still exists is another question.
pub fn verify(token: &str, environment: &Environment, now: Timestamp) -> Option<Claims> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    // The time is an argument here, so it is compared here.
    validation.validate_exp = false;
    let key = DecodingKey::from_secret(environment.session_key.expose());
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?.claims;
    (claims.exp > now.as_seconds()).then_some(claims)
}

/// Ends all sessions of an account, but one.
pub fn end_all(user: Id, except: Option<Id>, snapshot: &Snapshot, transaction: &mut Transaction) {
    for session in snapshot.referrers::<Session>(user).filter(|session| Some(session.id()) != except) {
        transaction.delete(session);
    }
}
