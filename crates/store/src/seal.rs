//! Sealing of documents that hold secrets: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under a key that
//! is not in the store, with the object's key as associated data, so that documents cannot be swapped.

use std::fmt;

use chacha20poly1305::aead::rand_core::RngCore;
use chacha20poly1305::aead::{Aead, KeyInit, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

const NONCE: usize = 24;

/// Seals and opens documents.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// The document was sealed with another key, or changed since.
#[derive(Debug, thiserror::Error)]
#[error("cannot be opened with this seal key; use the key file that belongs to this store")]
pub struct SealError;

impl Sealer {
    /// From a key of 32 random bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    pub(crate) fn seal(&self, document: &str, context: &str) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        OsRng.fill_bytes(&mut nonce);
        let payload = Payload { msg: document.as_bytes(), aad: context.as_bytes() };
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SealError)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(crate) fn open(&self, sealed: &[u8], context: &str) -> Result<String, SealError> {
        let (nonce, body) = sealed.split_at_checked(NONCE).ok_or(SealError)?;
        let payload = Payload { msg: body, aad: context.as_bytes() };
        let document = self.0.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SealError)?;
        String::from_utf8(document).map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_and_context() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("hunter2", "project 1").unwrap();
        assert_eq!(sealer.open(&sealed, "project 1").unwrap(), "hunter2");
        assert!(sealer.open(&sealed, "project 2").is_err());
        assert!(Sealer::new(&[8; 32]).open(&sealed, "project 1").is_err());
        assert!(sealer.open(&sealed[..10], "project 1").is_err());
    }
}
