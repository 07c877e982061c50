//! Keys and one-time tokens: how they are made, and the digest under which they are kept.
//!
//! Keys have 64 random characters, so a plain SHA-256 keeps them safe, and lets a key be found at once.

use rand::Rng;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};

use freehold_types::Secret;

/// Characters of an API key.
const KEY_LENGTH: usize = 64;

/// A new key: 64 letters and digits, from the operating system's generator.
pub fn generate() -> Secret<String> {
    random_text(KEY_LENGTH)
}

/// Random letters and digits.
pub fn random_text(length: usize) -> Secret<String> {
    Secret::new(rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect())
}

/// SHA-256 of a key.
pub fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// SHA-256 of a key, in hexadecimal.
pub fn digest_text(key: &str) -> String {
    hex(&digest(key))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
