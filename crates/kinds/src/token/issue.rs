//! How an owner gets a key, and loses it.

use freehold_store::{Snapshot, Transaction};
use freehold_types::{ApiError, Id, Secret};
use freehold_web::openapi::Parameter;
use jiff::civil::Date;

use super::{Owner, Token, check_expiry};
use crate::key;
use crate::route::Call;

/// Query parameters of every operation that issues a key.
pub const EXPIRY: &[Parameter] = &[
    Parameter {
        name: "expire",
        kind: "boolean",
        description: "Whether the key stops working; unless given, it does when there is a date.",
    },
    Parameter {
        name: "expirationDate",
        kind: "date",
        description: "First day (UTC) on which the key no longer works.",
    },
];

/// A key as it was made, to be handed to its owner once.
#[derive(Debug)]
pub struct Issued {
    pub id: Id,
    pub key: Secret<String>,
    pub expiration_date: Option<Date>,
}

/// Makes the key of an owner, with the expiry that the query asks for. A key that it had stops working;
/// the record keeps its id, name and description.
///
/// # Errors
/// 400 for parameters that cannot be read, 422 for an expiry without a date or in the past.
pub fn issue(
    owner: Owner,
    owner_name: &str,
    call: &Call<'_>,
    transaction: &mut Transaction,
) -> Result<Issued, ApiError> {
    let (expire, expiration_date) = expiry(call)?;
    let key = key::generate();
    let digest = key::digest_text(key.expose());
    let id = if let Some(token) = of(owner.id(), call.snapshot) {
        transaction.update(token, Token { digest, expire, expiration_date, ..token.spec.clone() });
        token.id()
    } else {
        let id = Id::generate();
        let name = format!("{owner_name}-api-key");
        let token = Token { name, description: None, owner, digest, expire, expiration_date };
        transaction.create(id, token, call.now);
        id
    };
    Ok(Issued { id, key, expiration_date })
}

/// Takes the key of an owner away.
pub fn revoke(owner: Id, snapshot: &Snapshot, transaction: &mut Transaction) {
    if let Some(token) = of(owner, snapshot) {
        transaction.delete(token);
    }
}

fn of(owner: Id, snapshot: &Snapshot) -> Option<&freehold_store::Object<Token>> {
    snapshot.claimed::<Token>(&Token::owner_claim(owner))
}

fn expiry(call: &Call<'_>) -> Result<(bool, Option<Date>), ApiError> {
    let date = call.query.parse::<Date>("expirationDate", "a date such as 2030-12-31")?;
    let expire = call.query.flag("expire")?.unwrap_or(date.is_some());
    check_expiry(expire, date)?;
    let date = date.filter(|_| expire);
    match date {
        Some(date) if date <= call.now.date() => Err(ApiError::invalid(format!(
            "`expirationDate` is {date}, and a key works until the day before: give a day after today (UTC)"
        ))),
        _ => Ok((expire, date)),
    }
}
