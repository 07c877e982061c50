//! Makes one secret.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use freehold_types::{Secret, Timestamp};
use hmac::{Hmac, Mac};
use rand::RngCore;
use rand::seq::IndexedRandom;
use sha2::Sha512;

use super::Kind;
use crate::error::{Error, Result};
use crate::hex;

/// Rounds that `mosquitto_passwd` of version 2.0 makes.
const MOSQUITTO_ROUNDS: u32 = 101;

/// A made secret: one text, or a pair.
#[derive(Debug, Clone)]
pub(super) enum Made {
    One(Secret<String>),
    Pair { private: Secret<String>, public: String },
}

/// Makes a secret. `source` is what a hash is of.
pub(super) fn make(name: &str, kind: Kind, source: Option<&Secret<String>>) -> Result<Made> {
    let fault = |why: &str| Error::Catalogue(format!("{name} cannot be made: {why}"));
    let source = || source.ok_or_else(|| fault("what it is a hash of is missing"));
    let text = match kind {
        Kind::Password(length, alphabet) => characters(length, alphabet.characters()),
        Kind::Key(bytes) => STANDARD.encode(random(bytes)),
        Kind::UrlKey(bytes) => URL_SAFE.encode(random(bytes)),
        Kind::Uuid => uuid(),
        Kind::ShortUuid => short_uuid(),
        Kind::BootstrapToken => {
            let alphabet = super::Alphabet::LowerAlphanumeric.characters();
            format!("{}.{}", characters(6, alphabet), characters(16, alphabet))
        }
        Kind::Cephx => cephx(),
        Kind::BcryptSalt => bcrypt_salt(),
        Kind::SshKey => return ssh_key(name),
        Kind::ShadowHash(_) => sha_crypt::sha512_simple(
            source()?.expose(),
            &sha_crypt::Sha512Params::new(sha_crypt::ROUNDS_DEFAULT).map_err(|_| fault("its rounds"))?,
        )
        .map_err(|_| fault("it cannot be hashed"))?,
        Kind::MosquittoHash(_) => mosquitto(source()?.expose().as_bytes(), &random(12))
            .ok_or_else(|| fault("it cannot be hashed"))?,
        Kind::Given => return Err(fault("it comes from outside; put it in with `freehold secrets edit`")),
    };
    Ok(Made::One(Secret::new(text)))
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn characters(length: usize, alphabet: &str) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut rng = rand::rng();
    (0..length).filter_map(|_| alphabet.choose(&mut rng)).collect()
}

fn uuid_bytes() -> [u8; 16] {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn uuid() -> String {
    let hex = hex::encode(&uuid_bytes());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Kafka takes no identifier that starts with a dash, since its tools read that as an option.
fn short_uuid() -> String {
    loop {
        let text = URL_SAFE_NO_PAD.encode(uuid_bytes());
        if !text.starts_with('-') {
            return text;
        }
    }
}

/// The binary form of Ceph's `CryptoKey`: type AES, time of making, length, 16 bytes.
fn cephx() -> String {
    let seconds = u32::try_from(Timestamp::now().as_seconds()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(28);
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&seconds.to_le_bytes());
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    bytes.extend_from_slice(&16_u16.to_le_bytes());
    bytes.extend_from_slice(&random(16));
    STANDARD.encode(bytes)
}

/// 128 bits in bcrypt's base64: the last character carries two bits only.
fn bcrypt_salt() -> String {
    let alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    format!("{}{}", characters(21, alphabet), characters(1, ".Oeu"))
}

fn ssh_key(name: &str) -> Result<Made> {
    use ssh_key::rand_core::OsRng;
    let fault = |error: ssh_key::Error| Error::Catalogue(format!("{name} cannot be made: {error}"));
    let mut key = ssh_key::PrivateKey::random(&mut OsRng, ssh_key::Algorithm::Ed25519).map_err(fault)?;
    key.set_comment(name);
    let private = key.to_openssh(ssh_key::LineEnding::LF).map_err(fault)?;
    Ok(Made::Pair {
        private: Secret::new(private.to_string()),
        public: key.public_key().to_openssh().map_err(fault)?,
    })
}

/// `$7$rounds$salt$hash`, PBKDF2 with HMAC-SHA512; one block of 64 bytes.
fn mosquitto(password: &[u8], salt: &[u8]) -> Option<String> {
    let keyed = <Hmac<Sha512> as Mac>::new_from_slice(password).ok()?;
    let mut round =
        keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()).finalize().into_bytes();
    let mut hash = round;
    for _ in 1..MOSQUITTO_ROUNDS {
        round = keyed.clone().chain_update(round).finalize().into_bytes();
        hash.iter_mut().zip(round).for_each(|(left, right)| *left ^= right);
    }
    Some(format!("$7${MOSQUITTO_ROUNDS}${}${}", STANDARD.encode(salt), STANDARD.encode(hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected hash was made with another implementation (Python's `hashlib.pbkdf2_hmac`).
    #[test]
    fn a_hash_for_mosquitto_is_pbkdf2() {
        let salt: Vec<u8> = (0..12).collect();
        assert_eq!(
            mosquitto(b"hunter2", &salt).unwrap(),
            "$7$101$AAECAwQFBgcICQoL$VWxVANxkFeHCm5uOn8rOPTQDMK9mSE/ohhmzvuRzpMN2gHRxlNxYm7W8MbMYzkkdo0UinpiCpO1MXzUiHFrHig=="
        );
    }
}
