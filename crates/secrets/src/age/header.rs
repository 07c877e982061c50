//! The header: the file key, once for each recipient, and a MAC over all of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Identity, MOST_RECIPIENTS, Recipient, damaged};
use crate::error::{Error, Result};

const MAGIC: &str = "age-encryption.org/v1";
const X25519: &str = "X25519";
const WRAP_INFO: &[u8] = b"age-encryption.org/v1/X25519";
const COLUMNS: usize = 64;

struct Stanza<'a> {
    arguments: Vec<&'a str>,
    body: Vec<u8>,
}

pub(super) struct Header<'a> {
    stanzas: Vec<Stanza<'a>>,
    authenticated: &'a str,
    mac: [u8; 32],
}

impl<'a> Header<'a> {
    /// A header that gives the file key to each recipient.
    pub(super) fn seal(recipients: &[Recipient], file_key: &[u8; 16]) -> Result<Vec<u8>> {
        let mut text = format!("{MAGIC}\n");
        for recipient in recipients {
            let ephemeral = Identity::generate();
            let share = &ephemeral.recipient().point;
            let shared = ephemeral.shared(&recipient.point);
            let key = wrap_key(&shared, share, &recipient.point)
                .ok_or_else(|| Error::Key(format!("{recipient} is a weak public key; it cannot be used")))?;
            let body = ChaCha20Poly1305::new(Key::from_slice(&key))
                .encrypt(&Nonce::default(), file_key.as_slice())
                .map_err(|_| Error::Age("a file key cannot be encrypted".to_owned()))?;
            let (share, body) = (STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(body));
            text.extend(["-> ", X25519, " ", &share, "\n", &body, "\n"]);
        }
        text.push_str("---");
        let mac = mac(file_key, &text)?;
        text.extend([" ", &STANDARD_NO_PAD.encode(mac), "\n"]);
        Ok(text.into_bytes())
    }

    /// Splits a file into its header and its payload.
    pub(super) fn parse(file: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let mut lines = Lines { file, at: 0 };
        let first = lines.next()?;
        if first != MAGIC {
            return Err(Error::Age(
                "this is no file of age in version 1; check that it was encrypted with age".to_owned(),
            ));
        }
        let mut stanzas = Vec::new();
        loop {
            let line = lines.next()?;
            if let Some(encoded) = line.strip_prefix("--- ") {
                let end = lines.at - line.len() - 1 + "---".len();
                let authenticated =
                    std::str::from_utf8(&file[..end]).map_err(|_| damaged("its header is not text"))?;
                let mac = STANDARD_NO_PAD.decode(encoded).ok().and_then(|mac| mac.try_into().ok());
                let mac = mac.ok_or_else(|| damaged("its header has no MAC"))?;
                return Ok((Self { stanzas, authenticated, mac }, &file[lines.at..]));
            }
            let Some(arguments) = line.strip_prefix("-> ") else {
                return Err(damaged("a line of its header is neither a recipient nor the end"));
            };
            if stanzas.len() == MOST_RECIPIENTS {
                return Err(Error::Age(format!("a file of age has more than {MOST_RECIPIENTS} recipients")));
            }
            stanzas.push(Stanza { arguments: arguments.split(' ').collect(), body: lines.body()? });
        }
    }

    /// The file key, when one of the identities is meant.
    pub(super) fn open(&self, identities: &[Identity]) -> Result<Option<[u8; 16]>> {
        for stanza in &self.stanzas {
            let ([X25519, share], 32) = (stanza.arguments.as_slice(), stanza.body.len()) else { continue };
            let share: Option<[u8; 32]> =
                STANDARD_NO_PAD.decode(share).ok().and_then(|share| share.try_into().ok());
            let share = share.ok_or_else(|| damaged("the share of a recipient is not 32 bytes"))?;
            for identity in identities {
                let shared = identity.shared(&share);
                let Some(key) = wrap_key(&shared, &share, &identity.recipient().point) else {
                    return Err(damaged("the share of a recipient is weak"));
                };
                let cipher = ChaCha20Poly1305::new(Key::from_slice(&key));
                let Ok(file_key) = cipher.decrypt(&Nonce::default(), stanza.body.as_slice()) else {
                    continue;
                };
                let file_key = file_key.try_into().map_err(|_| damaged("its key is not 16 bytes"))?;
                let expected = mac(&file_key, self.authenticated)?;
                if !bool::from(expected.ct_eq(&self.mac)) {
                    return Err(damaged("the MAC of its header does not fit"));
                }
                return Ok(Some(file_key));
            }
        }
        Ok(None)
    }
}

/// The key that wraps the file key; `None` for points of low order.
fn wrap_key(shared: &[u8; 32], share: &[u8; 32], recipient: &[u8; 32]) -> Option<[u8; 32]> {
    if bool::from(shared.ct_eq(&[0; 32])) {
        return None;
    }
    derive(&[share.as_slice(), recipient].concat(), shared, WRAP_INFO)
}

pub(super) fn derive(salt: &[u8], key: &[u8], info: &[u8]) -> Option<[u8; 32]> {
    let mut derived = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(info, &mut derived).ok()?;
    Some(derived)
}

fn mac(file_key: &[u8; 16], text: &str) -> Result<[u8; 32]> {
    let failed = || Error::Age("a MAC cannot be computed".to_owned());
    let key = derive(&[], file_key, b"header").ok_or_else(failed)?;
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).map_err(|_| failed())?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().into())
}

struct Lines<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str> {
        let rest = self.file.get(self.at..).unwrap_or_default();
        let end =
            rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("its header has no end"))?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| damaged("its header is not text"))
    }

    /// Lines of base64 up to one that is shorter than the others.
    fn body(&mut self) -> Result<Vec<u8>> {
        let mut encoded = String::new();
        loop {
            let line = self.next()?;
            if line.len() > COLUMNS {
                return Err(damaged("a line of its header is too long"));
            }
            encoded.push_str(line);
            if line.len() < COLUMNS {
                return STANDARD_NO_PAD.decode(encoded).map_err(|_| damaged("its header is not base64"));
            }
        }
    }
}
