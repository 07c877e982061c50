//! The first account.

use freehold_store::{Snapshot, Transaction};
use freehold_types::wire::Role;
use freehold_types::{ApiError, Id, Timestamp};

use crate::user::{User, check_email};
use crate::{crud, text};

/// Makes a super administrator who can log in at once, for the first run of a controller that cannot mail
/// yet. `password_hash` is as [`crate::password::hash`] makes it.
///
/// # Errors
/// 400 or 422 for a name or mail address that cannot be, 409 when an account has it.
pub fn bootstrap(
    snapshot: &Snapshot,
    name: &str,
    email: &str,
    password_hash: String,
    now: Timestamp,
) -> Result<(Id, Transaction), ApiError> {
    text::name("user", name)?;
    check_email(email)?;
    crud::refuse_taken::<User>(snapshot, &User::name_claim(name), None, name)?;
    crud::refuse_taken::<User>(snapshot, &User::email_claim(email), None, email)?;
    let user = User {
        name: name.to_owned(),
        description: None,
        email: email.to_owned(),
        role: Role::SuperAdmin,
        notifications: false,
        enabled: true,
        password: Some(password_hash),
        confirmation: None,
        renewal: None,
    };
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, user, now);
    Ok((id, transaction))
}
