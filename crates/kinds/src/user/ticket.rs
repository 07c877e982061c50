//! One-time tokens that are mailed as part of a link, and prove that a mailbox is read by its owner.
//!
//! Only a digest is kept, so that the state gives no token away. A ticket counts until it expires or is
//! taken off its account, which whoever uses it does in the same transaction.

use std::time::Duration;

use freehold_types::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::key;

/// Characters of a token: letters and digits, which a link carries as they are.
const LENGTH: usize = 32;

/// A one-time token that was mailed: its digest, and until when it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub digest: String,
    pub expires_at: Timestamp,
}

impl Ticket {
    /// How long a mail address may be confirmed: over a weekend and a short leave.
    pub const CONFIRMATION: Duration = Duration::from_hours(7 * 24);
    /// How long a password may be renewed.
    pub const RENEWAL: Duration = Duration::from_hours(1);

    /// A new ticket, and the token that opens it.
    pub fn issue(lifetime: Duration, now: Timestamp) -> (Self, Secret<String>) {
        let token = key::random_text(LENGTH);
        (Self { digest: key::digest_text(token.expose()), expires_at: now + lifetime }, token)
    }

    /// Whether it still counts.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Whether this token is the mailed one, and still counts. Compares in constant time.
    pub fn admits(&self, token: &str, now: Timestamp) -> bool {
        let same = key::digest_text(token).as_bytes().ct_eq(self.digest.as_bytes());
        bool::from(same) && self.is_open(now)
    }
}
