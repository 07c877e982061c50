//! Mail: a message that waits to be sent. It is written in the transaction of what it tells of, so that
//! neither happens without the other, and a dead mail server loses nothing and blocks nobody.

pub mod announce;
mod routes;
#[cfg(test)]
mod tests;
pub mod texts;

use freehold_store::{Entity, Object, Snapshot, Transaction};
use freehold_types::{Id, Secret, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Kind, Scope};

pub use announce::{announce_instance, announce_project, recipients};
pub use routes::ROWS;

/// A message in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// None: there is nobody to send it to, and it stays for the operator to read.
    pub to: Option<String>,
    pub subject: String,
    /// May hold keys and links that open doors.
    pub text: Secret<String>,
}

/// How far it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailStatus {
    pub state: MailState,
    pub attempts: u32,
    pub next_attempt: Option<Timestamp>,
    pub error: Option<String>,
}

/// Whether it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    #[default]
    Queued,
    Sent,
    /// Given up; the operator can still read it.
    Failed,
}

impl Entity for Mail {
    const KIND: &'static str = "mail";
    const SEALED: bool = true;
    type Status = MailStatus;

    fn label(&self) -> Option<&str> {
        Some(&self.subject)
    }
}

/// A message as the operator reads it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Mail")]
pub struct MailView {
    pub id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub subject: String,
    pub text: Secret<String>,
    /// RFC 3339.
    pub created_at: String,
    pub state: MailState,
    pub attempts: u32,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Kind for Mail {
    const NOUN: &'static str = "mail";
    const PARAMETER: &'static str = "mailId";
    type View = MailView;

    fn view(object: &Object<Self>, _: &Snapshot) -> MailView {
        let (Self { to, subject, text }, status) = (object.spec.clone(), object.status.clone());
        MailView {
            id: object.id(),
            to,
            subject,
            text,
            created_at: object.meta.created_at.to_string(),
            state: status.state,
            attempts: status.attempts,
            error: status.error,
        }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        // Every text may open a door, those to super administrators all doors.
        Scope::Operators
    }
}

/// Puts a message into the outbox.
pub fn queue(transaction: &mut Transaction, mail: Mail, now: Timestamp) {
    transaction.create(Id::generate(), mail, now);
}
