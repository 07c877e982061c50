//! Mail: a message that waits to be sent. It is written in the transaction of what it tells of, so that
//! neither happens without the other, and a dead mail server loses nothing and blocks nobody.

mod routes;
pub mod texts;

use freehold_store::{Entity, Transaction};
use freehold_types::{Id, Secret, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// Puts a message into the outbox.
pub fn queue(transaction: &mut Transaction, mail: Mail, now: Timestamp) {
    transaction.create(Id::generate(), mail, now);
}
