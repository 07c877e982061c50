//! Encryption with age, as far as files of SOPS need it: X25519 keys, binary and armored files.
//!
//! The format is age's version 1 (<https://age-encryption.org/v1>, C2SP `age.md`), which is frozen. Stanzas of
//! other kinds (passphrases, SSH keys, plugins, hardware) are skipped when a file is opened and never made.
//! Whole files are held in memory, so what is opened is bounded.

mod armor;
mod header;
mod key;
mod payload;

pub use key::{Identity, Recipient};

use crate::error::{Error, Result};
use header::Header;

/// The longest file that is opened.
const LONGEST: usize = 16 << 20;

/// Most recipients of one file.
pub const MOST_RECIPIENTS: usize = 256;

/// Encrypts for recipients; any one of their identities opens it.
pub fn encrypt(recipients: &[Recipient], content: &[u8]) -> Result<Vec<u8>> {
    if recipients.is_empty() || recipients.len() > MOST_RECIPIENTS {
        return Err(Error::Age(format!(
            "a file is encrypted for 1 to {MOST_RECIPIENTS} recipients, not for {}",
            recipients.len()
        )));
    }
    let file_key: [u8; 16] = rand::random();
    let mut file = Header::seal(recipients, &file_key)?;
    payload::seal(&file_key, content, &mut file)?;
    Ok(file)
}

/// Encrypts for recipients, as text.
pub fn encrypt_armored(recipients: &[Recipient], content: &[u8]) -> Result<String> {
    Ok(armor::wrap(&encrypt(recipients, content)?))
}

/// Opens a file, binary or armored; `None` when no identity is one of its recipients.
pub fn decrypt(identities: &[Identity], file: &[u8]) -> Result<Option<Vec<u8>>> {
    if file.len() > LONGEST {
        return Err(Error::Age(format!(
            "a file of age has {} bytes; at most {LONGEST} are read",
            file.len()
        )));
    }
    let binary;
    let file = if armor::is_armored(file) {
        binary = armor::unwrap(file)?;
        &binary
    } else {
        file
    };
    let (header, rest) = Header::parse(file)?;
    let Some(file_key) = header.open(identities)? else { return Ok(None) };
    payload::open(&file_key, rest).map(Some)
}

fn damaged(what: &str) -> Error {
    Error::Age(format!("a file of age is damaged: {what}; restore it from a backup"))
}

#[cfg(test)]
mod tests;
