//! The payload: chunks of 64 KiB, each with its number and whether it is the last.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};

use super::{damaged, header};
use crate::error::{Error, Result};

const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
const NONCE: usize = 16;

pub(super) fn seal(file_key: &[u8; 16], content: &[u8], into: &mut Vec<u8>) -> Result<()> {
    let failed = || Error::Age("a file cannot be encrypted".to_owned());
    let nonce: [u8; NONCE] = rand::random();
    into.extend_from_slice(&nonce);
    let key = header::derive(&nonce, file_key, b"payload").ok_or_else(failed)?;
    let cipher = ChaCha20Poly1305::new(Key::from_slice(&key));
    let count = content.len().div_ceil(CHUNK).max(1);
    let mut rest = content;
    for index in 0..count {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
        let sealed = cipher.encrypt(&counter(index, index + 1 == count), chunk).map_err(|_| failed())?;
        into.extend_from_slice(&sealed);
        rest = after;
    }
    Ok(())
}

pub(super) fn open(file_key: &[u8; 16], payload: &[u8]) -> Result<Vec<u8>> {
    let (nonce, sealed) =
        payload.split_at_checked(NONCE).ok_or_else(|| damaged("it ends before its content"))?;
    let key =
        header::derive(nonce, file_key, b"payload").ok_or_else(|| damaged("its key cannot be derived"))?;
    let cipher = ChaCha20Poly1305::new(Key::from_slice(&key));
    let count = sealed.len().div_ceil(CHUNK + TAG).max(1);
    let mut content = Vec::with_capacity(sealed.len());
    for (index, chunk) in sealed.chunks(CHUNK + TAG).enumerate() {
        let opened = cipher
            .decrypt(&counter(index, index + 1 == count), chunk)
            .map_err(|_| damaged("its content does not fit its key"))?;
        if opened.is_empty() && index > 0 {
            return Err(damaged("it ends with an empty chunk"));
        }
        content.extend_from_slice(&opened);
    }
    if sealed.is_empty() {
        return Err(damaged("it has no content"));
    }
    Ok(content)
}

fn counter(index: usize, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&(index as u64).to_be_bytes());
    nonce[11] = u8::from(is_last);
    nonce.into()
}
