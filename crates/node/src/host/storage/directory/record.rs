//! What is kept of an image beside it, and the digests by which images are known.

use freehold_types::agent::{Detail, Image};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::host::HostError;

/// What is kept of an image beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Where it came from, for people: without what may be secret.
    pub(super) source: String,
    /// SHA-256 of the source as it was written.
    pub(super) source_digest: String,
    /// SHA-256 of the bytes served.
    pub(super) sha256: String,
    /// Bytes served.
    pub(super) fetched: u64,
    /// Bytes.
    pub(super) virtual_size: u64,
}

impl Record {
    pub(super) fn detail(&self) -> Detail {
        Detail::Image { virtual_size: self.virtual_size, fetched: self.fetched, total: Some(self.fetched) }
    }

    /// Whether an image with this record is the one asked for. The digest of the content decides where
    /// one is given; a source may then move.
    pub(super) fn serves(&self, image: &Image) -> bool {
        match &image.sha256 {
            Some(wanted) => self.sha256.eq_ignore_ascii_case(wanted.trim()),
            None => self.source_digest == digest_of(&image.source),
        }
    }
}

/// Refuses a digest that nothing can have, before anything is fetched for it.
pub(super) fn check_digest(digest: Option<&str>) -> Result<(), HostError> {
    match digest.map(str::trim) {
        Some(text) if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Err(
            HostError::Refused(format!("its checksum `{text}` is no SHA-256: give 64 hexadecimal digits")),
        ),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn digest_of(source: &str) -> String {
    format!("{:x}", Sha256::digest(source.as_bytes()))
}
