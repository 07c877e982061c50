//! Operations on the outbox, beyond the public contract.

use freehold_store::Transaction;
use freehold_types::ApiError;
use freehold_web::openapi::schema_of;

use super::{Mail, MailState, MailStatus, MailView};
use crate::crud;
use crate::kind::Kind;
use crate::route::{Call, Outcome, Permission::Operator, Row, Success};

pub const ROWS: &[Row] = &[
    Row::new("GET", "/outbox", "list_mails", Operator, Success::Model(schema_of::<Vec<MailView>>), list)
        .query(crud::PAGE)
        .extension(),
    Row::new(
        "GET",
        "/outbox/{mailId}",
        "read_mail",
        Operator,
        Success::Model(schema_of::<MailView>),
        crud::read::<Mail>,
    )
    .extension(),
    Row::new("DELETE", "/outbox/{mailId}", "delete_mail", Operator, Success::Done, crud::delete::<Mail>)
        .extension(),
    Row::new("PATCH", "/outbox/{mailId}/retry", "retry_mail", Operator, Success::Done, retry).extension(),
];

fn list(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let page = crud::page(call, call.snapshot.all::<Mail>())?;
    let views: Vec<MailView> = page.map(|mail| Mail::view(mail, call.snapshot)).collect();
    Outcome::json(&views)
}

/// Sends a message again that was given up, or sooner than it would be.
fn retry(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mail = call.object::<Mail>(0)?;
    if mail.spec.to.is_none() {
        return Err(ApiError::invalid(
            "this mail has no address to go to; read it here, and set `admin_email`",
        ));
    }
    if mail.status.state == MailState::Sent {
        return Err(ApiError::conflict("this mail was sent already; read it here if it was lost on its way"));
    }
    let mut transaction = Transaction::default();
    transaction.observe(mail, MailStatus::default());
    Ok(Outcome::done(transaction))
}
