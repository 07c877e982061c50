//! Keys: an identity opens files, its recipient is the public half.

use std::fmt;
use std::str::FromStr;

use bech32::{Bech32, Hrp};
use freehold_types::Secret;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::error::{Error, Result};

const PUBLIC: &str = "age";
const PRIVATE: &str = "AGE-SECRET-KEY-";

/// Whom a file is encrypted for: `age1...`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient {
    pub(super) point: [u8; 32],
}

impl FromStr for Recipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with(PRIVATE) {
            return Err(Error::Key(
                "this is a secret key of age, where its public key is asked for; it starts with `age1`, and \
                 `age-keygen -y FILE` or the comment in the key file tells it"
                    .to_owned(),
            ));
        }
        let fault = |why: &str| {
            // What is shown is public, but may be anything that was pasted: a few characters will do.
            let start: String = text.chars().take(12).collect();
            Error::Key(format!("`{start}...` is no public key of age (age1 and 58 characters): {why}"))
        };
        if text.starts_with("ssh-") {
            return Err(fault("SSH keys are not supported; make a key with `freehold secrets init`"));
        }
        if text.len() != 62 {
            return Err(fault("it has another length; plugin and post-quantum keys are not supported"));
        }
        Ok(Self { point: decode(text, PUBLIC).ok_or_else(|| fault("check what was copied"))? })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(PUBLIC, &self.point).map_err(|()| fmt::Error)?)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What opens files: `AGE-SECRET-KEY-1...`. `Debug` shows the public half.
#[derive(Clone)]
pub struct Identity {
    secret: StaticSecret,
    recipient: Recipient,
}

impl Identity {
    /// A new key.
    pub fn generate() -> Self {
        Self::from_bytes(rand::random())
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        let secret = StaticSecret::from(bytes);
        let recipient = Recipient { point: PublicKey::from(&secret).to_bytes() };
        Self { secret, recipient }
    }

    /// The public half.
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The key as it stands in a key file.
    pub fn to_secret_text(&self) -> Result<Secret<String>> {
        encode(PRIVATE, &self.secret.to_bytes())
            .map(|text| Secret::new(text.to_uppercase()))
            .map_err(|()| Error::Key("a key cannot be written as text".to_owned()))
    }

    /// The content of a key file, as `age-keygen` writes it.
    pub fn to_key_file(&self, created: &str) -> Result<Secret<String>> {
        let key = self.to_secret_text()?;
        Ok(Secret::new(format!("# created: {created}\n# public key: {}\n{}\n", self.recipient, key.expose())))
    }

    /// The keys of a key file: one a line, with comments and empty lines between.
    ///
    /// # Errors
    /// Names the line, never its content.
    pub fn parse_file(text: &str) -> Result<Vec<Self>> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key =
                line.parse().map_err(|fault: Error| Error::Key(format!("line {}: {fault}", index + 1)))?;
            keys.push(key);
        }
        Ok(keys)
    }

    pub(super) fn shared(&self, share: &[u8; 32]) -> [u8; 32] {
        self.secret.diffie_hellman(&PublicKey::from(*share)).to_bytes()
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with("AGE-PLUGIN-") {
            return Err(Error::Key(
                "this is a key of an age plugin, which is not supported; use a key that starts with \
                 AGE-SECRET-KEY-1"
                    .to_owned(),
            ));
        }
        decode(text, PRIVATE).map(Self::from_bytes).ok_or_else(|| {
            Error::Key(
                "this is no secret key of age: it starts with AGE-SECRET-KEY-1 and has 74 characters; check \
                 what was copied"
                    .to_owned(),
            )
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity of {}", self.recipient)
    }
}

fn encode(prefix: &str, bytes: &[u8; 32]) -> Result<String, ()> {
    let prefix = Hrp::parse(prefix).map_err(|_| ())?;
    bech32::encode::<Bech32>(prefix, bytes).map_err(|_| ())
}

fn decode(text: &str, prefix: &str) -> Option<[u8; 32]> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text).ok()?;
    if !checked.hrp().as_str().eq_ignore_ascii_case(prefix) {
        return None;
    }
    checked.byte_iter().collect::<Vec<u8>>().try_into().ok()
}
