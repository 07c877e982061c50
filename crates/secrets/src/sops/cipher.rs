//! One encrypted value: `ENC[AES256_GCM,data:..,iv:..,tag:..,type:..]`, bound to its path.

use std::collections::HashMap;
use std::fmt;

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::{U12, U32};
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::aes::Aes256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::scalar::Scalar;

const PREFIX: &str = "ENC[AES256_GCM,";
const TAG: usize = 16;
const IV: usize = 32;

/// The key that all values of a file are encrypted with.
#[derive(Clone)]
pub(super) struct DataKey([u8; 32]);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[data key]")
    }
}

impl DataKey {
    pub(super) fn generate() -> Self {
        Self(rand::random())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a value is bound to: the keys of its path. Positions in lists are not part of it.
pub(super) fn binding(path: &[String]) -> String {
    format!("{}:", path.join(":"))
}

/// Whether a text has the form of an encrypted value.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.starts_with(PREFIX) && text.ends_with(']')
}

/// Ciphertexts by what they hold, so that what did not change stays the same in the file.
#[derive(Default)]
pub(super) struct Stash(HashMap<(String, &'static str, String), String>);

impl fmt::Debug for Stash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} values]", self.0.len())
    }
}

impl Stash {
    pub(super) fn keep(&mut self, binding: String, kind: &'static str, plain: String, encrypted: String) {
        self.0.insert((binding, kind, plain), encrypted);
    }

    pub(super) fn find(&self, binding: &str, kind: &'static str, plain: &str) -> Option<&String> {
        self.0.get(&(binding.to_owned(), kind, plain.to_owned()))
    }
}

/// Encrypts a value.
pub(super) fn seal(key: &DataKey, binding: &str, kind: &str, plain: &str) -> Result<String, String> {
    let iv: [u8; IV] = rand::random();
    let payload = Payload { msg: plain.as_bytes(), aad: binding.as_bytes() };
    let sealed = AesGcm::<Aes256, U32>::new(GenericArray::from_slice(&key.0))
        .encrypt(GenericArray::from_slice(&iv), payload)
        .map_err(|_| "it cannot be encrypted".to_owned())?;
    let (data, tag) = sealed.split_at(sealed.len() - TAG);
    Ok(format!(
        "{PREFIX}data:{},iv:{},tag:{},type:{kind}]",
        STANDARD.encode(data),
        STANDARD.encode(iv),
        STANDARD.encode(tag)
    ))
}

/// Why a value does not open.
#[derive(Debug)]
pub(super) enum Fault {
    /// It has not the form of an encrypted value.
    Form(&'static str),
    /// It was changed or moved, or is of another key.
    Authenticity,
    /// It opens, but is not what it says.
    Content(String),
}

/// Decrypts a value.
pub(super) fn open(key: &DataKey, binding: &str, encrypted: &str) -> Result<(Scalar, bool), Fault> {
    let (plain, kind) = open_bytes(key, binding, encrypted)?;
    let is_comment = kind == "comment";
    Scalar::from_plain(kind, plain).map(|scalar| (scalar, is_comment)).map_err(Fault::Content)
}

fn open_bytes<'a>(key: &DataKey, binding: &str, encrypted: &'a str) -> Result<(Vec<u8>, &'a str), Fault> {
    let inner = encrypted
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or(Fault::Form("it is not encrypted, though its key says that it should be"))?;
    let mut fields = inner.split(',');
    let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
    let (Some(data), Some(iv), Some(tag), Some(kind)) =
        (field("data:"), field("iv:"), field("tag:"), field("type:"))
    else {
        return Err(Fault::Form("a part of its encrypted form is missing"));
    };
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| Fault::Form("it is not base64"));
    let (mut sealed, iv, tag) = (decode(data)?, decode(iv)?, decode(tag)?);
    if tag.len() != TAG {
        return Err(Fault::Form("its tag has not 16 bytes"));
    }
    sealed.extend_from_slice(&tag);
    let payload = Payload { msg: &sealed, aad: binding.as_bytes() };
    let key = GenericArray::from_slice(&key.0);
    let plain = match iv.len() {
        IV => AesGcm::<Aes256, U32>::new(key).decrypt(GenericArray::from_slice(&iv), payload),
        // Some other writers use the common length.
        12 => AesGcm::<Aes256, U12>::new(key).decrypt(GenericArray::from_slice(&iv), payload),
        _ => return Err(Fault::Form("its initialisation vector has neither 32 nor 12 bytes")),
    };
    plain.map(|plain| (plain, kind)).map_err(|_| Fault::Authenticity)
}
