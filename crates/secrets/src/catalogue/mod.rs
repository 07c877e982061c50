//! What secrets a platform has: for each its name, kind, who uses it and how it is renewed.
//!
//! The generator, the table in `docs/secrets.md` and look-ups are derived from [`all`], so that they cannot differ.
//! Names are paths in the file of secrets; their first part is the set. Certificates and the keys of authorities are
//! the matter of [`crate::pki`].

mod document;
mod entries;
mod generate;
mod make;

use std::fmt;

pub use document::table;
pub use entries::all;
pub use generate::{Filled, fill};

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, such as `ceph.fsid`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Who reads it.
    pub used_by: &'static str,
    /// How it is renewed.
    pub rotation: Rotation,
}

impl Entry {
    /// The part of the platform that it belongs to: the first part of its name.
    pub fn set(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(set, _)| set)
    }

    /// Its name within its set.
    pub fn key(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(_, key)| key)
    }
}

/// Characters that a password is made of. None needs quoting in YAML, JSON, shells or addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// A-Z, a-z, 0-9.
    Alphanumeric,
    /// a-z, 0-9.
    LowerAlphanumeric,
    /// A-Z, 0-9.
    UpperAlphanumeric,
    /// 0-9, a-f.
    Hexadecimal,
}

impl Alphabet {
    /// Its characters.
    pub const fn characters(self) -> &'static str {
        match self {
            Self::Alphanumeric => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Self::LowerAlphanumeric => "abcdefghijklmnopqrstuvwxyz0123456789",
            Self::UpperAlphanumeric => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            Self::Hexadecimal => "0123456789abcdef",
        }
    }
}

/// What a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// So many characters of an alphabet.
    Password(usize, Alphabet),
    /// So many random bytes, in base64.
    Key(usize),
    /// So many random bytes, in base64 for addresses, with padding: what Fernet takes.
    UrlKey(usize),
    /// A random UUID.
    Uuid,
    /// A random UUID as 22 characters of base64: what Kafka takes.
    ShortUuid,
    /// A token of Kubernetes: six characters, a dot, sixteen characters.
    BootstrapToken,
    /// A key of cephx.
    Cephx,
    /// A pair of SSH keys (Ed25519), as `private_key` and `public_key`.
    SshKey,
    /// A salt of bcrypt.
    BcryptSalt,
    /// SHA-512 crypt of another secret of the set: what `/etc/shadow` takes.
    ShadowHash(&'static str),
    /// PBKDF2 of another secret of the set, as Mosquitto 2.0 reads it.
    MosquittoHash(&'static str),
    /// Comes from somewhere else, and is never made here.
    Given,
}

impl Kind {
    /// The secret that this one is a hash of.
    pub const fn hash_of(&self) -> Option<&'static str> {
        match self {
            Self::ShadowHash(of) | Self::MosquittoHash(of) => Some(of),
            Self::Password(..)
            | Self::Key(_)
            | Self::UrlKey(_)
            | Self::Uuid
            | Self::ShortUuid
            | Self::BootstrapToken
            | Self::Cephx
            | Self::SshKey
            | Self::BcryptSalt
            | Self::Given => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(length, alphabet) => {
                let alphabet = match alphabet {
                    Alphabet::Alphanumeric => "letters and digits",
                    Alphabet::LowerAlphanumeric => "small letters and digits",
                    Alphabet::UpperAlphanumeric => "capital letters and digits",
                    Alphabet::Hexadecimal => "hexadecimal digits",
                };
                write!(f, "password, {length} {alphabet}")
            }
            Self::Key(bytes) => write!(f, "key, {bytes} bytes in base64"),
            Self::UrlKey(bytes) => write!(f, "key, {bytes} bytes in URL-safe base64"),
            Self::Uuid => f.write_str("UUID"),
            Self::ShortUuid => f.write_str("UUID, 22 characters of base64"),
            Self::BootstrapToken => f.write_str("token, 6.16 small letters and digits"),
            Self::Cephx => f.write_str("key of cephx"),
            Self::SshKey => f.write_str("SSH key pair, Ed25519"),
            Self::BcryptSalt => f.write_str("salt of bcrypt, 22 characters"),
            Self::ShadowHash(of) => write!(f, "hash (SHA-512 crypt) of `{of}`"),
            Self::MosquittoHash(of) => write!(f, "hash (PBKDF2-SHA512) of `{of}`"),
            Self::Given => f.write_str("given from outside"),
        }
    }
}

/// How a secret is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Renew it and apply; it is set in the service and its clients in one go.
    Apply,
    /// Renew it, apply, and restart what uses it, one node at a time.
    Restart,
    /// Both the old and the new are valid for a while; follow the steps of the service.
    Stepwise(&'static str),
    /// It names something and is no secret in itself; a new one would be another thing.
    Never,
    /// Where it comes from.
    Outside,
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apply => f.write_str("renew, apply"),
            Self::Restart => f.write_str("renew, apply, restart one by one"),
            Self::Stepwise(steps) => write!(f, "in steps: {steps}"),
            Self::Never => f.write_str("never"),
            Self::Outside => f.write_str("where it comes from"),
        }
    }
}

/// The sets, in order.
pub fn sets() -> Vec<String> {
    let mut sets: Vec<String> = Vec::new();
    for entry in all() {
        if !sets.iter().any(|set| set == entry.set()) {
            sets.push(entry.set().to_owned());
        }
    }
    sets
}

#[cfg(test)]
mod tests;
