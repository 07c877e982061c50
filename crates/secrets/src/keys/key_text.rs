//! Keys in the forms in which they are kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use freehold_types::Secret;
use serde::Deserialize;

use crate::age::Identity;
use crate::error::{Error, Result};

/// The master key of Kobra: base64 of JSON, with `public_key` and `created_at` beside.
#[derive(Debug, Deserialize)]
struct MasterKey {
    secret_key: Secret<String>,
}

/// Reads a key file of age, or a master key of Kobra.
pub(super) fn parse(text: &str) -> Result<Vec<Identity>> {
    let trimmed = text.trim();
    if trimmed.starts_with("age-encryption.org/") || trimmed.starts_with("-----BEGIN AGE") {
        return Err(Error::Key(
            "the key file is itself encrypted with a passphrase; decrypt it with `age -d` first".to_owned(),
        ));
    }
    let wrapped: Option<MasterKey> =
        STANDARD.decode(trimmed).ok().and_then(|json| serde_json::from_slice(&json).ok());
    match wrapped {
        Some(master) => Ok(vec![master.secret_key.expose().parse()?]),
        None => Identity::parse_file(text),
    }
}
