//! Where keys come from.

use crate::age::Identity;
use crate::error::Error;

/// Keys that were found, and where was looked.
#[derive(Debug, Default)]
pub struct Keyring {
    identities: Vec<Identity>,
    looked: Vec<String>,
}

impl Keyring {
    /// These keys.
    pub fn of(identities: Vec<Identity>) -> Self {
        Self { identities, looked: vec!["keys given by the program".to_owned()] }
    }

    /// The keys.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// None of the keys opens a file.
    pub(crate) fn none_opens(&self, subject: &str, recipients: &[String]) -> Error {
        let own: Vec<String> = self.identities.iter().map(|key| key.recipient().to_string()).collect();
        let told =
            |list: &[String], none: &str| if list.is_empty() { none.to_owned() } else { list.join(", ") };
        Error::NoKey {
            subject: subject.to_owned(),
            recipients: told(recipients, "nobody"),
            looked: told(&self.looked, "nowhere"),
            own: told(&own, "none yet: `freehold secrets init` makes one"),
        }
    }
}
