//! The metadata of a file: for whom it is, when it was written, its MAC and its rule.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::cipher::{self, DataKey};
use super::selection::DEFAULT_SUFFIX;
use super::{Format, Policy, VERSION, dotenv, write};
use crate::age::{self, Identity, Recipient};
use crate::error::{Error, Result};

/// Field for field what SOPS writes (`stores/stores.go`). What is not known is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Metadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shamir_threshold: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    key_groups: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    kms: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    gcp_kms: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    hckms: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    azure_kv: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    hc_vault: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub(super) age: Vec<AgeKey>,
    #[serde(default)]
    lastmodified: String,
    #[serde(default)]
    mac: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pgp: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unencrypted_suffix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encrypted_suffix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unencrypted_regex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encrypted_regex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unencrypted_comment_regex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encrypted_comment_regex: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) mac_only_encrypted: bool,
    #[serde(default)]
    version: String,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The data key, encrypted for one recipient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AgeKey {
    pub(super) recipient: String,
    enc: String,
}

/// Older files say `null` for an empty list.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Metadata {
    /// Reads the metadata in the form of its file.
    pub(super) fn parse(subject: &str, format: Format, section: &str) -> Result<Self> {
        let fault =
            |why: String| Error::document(subject, format!("its metadata (`sops`) cannot be read: {why}"));
        let value = match format {
            Format::Yaml => {
                #[derive(Deserialize)]
                struct Section {
                    sops: Metadata,
                }
                let section: Section =
                    serde_norway::from_str(section).map_err(|error| fault(error.to_string()))?;
                return section.sops.checked(subject);
            }
            Format::Json => serde_json::from_str(section).map_err(|error| fault(error.to_string()))?,
            Format::Dotenv => {
                dotenv::metadata(section).ok_or_else(|| fault("a name is malformed".to_owned()))?
            }
        };
        let metadata: Self = serde_json::from_value(value).map_err(|error| fault(error.to_string()))?;
        metadata.checked(subject)
    }

    fn checked(self, subject: &str) -> Result<Self> {
        if self.age.len() > age::MOST_RECIPIENTS {
            return Err(Error::document(
                subject,
                format!("it has more than {} recipients", age::MOST_RECIPIENTS),
            ));
        }
        if self.key_groups.len() > 1 {
            return Err(Error::document(
                subject,
                "its data key is split over several key groups, which is not supported; use `sops` itself, or \
                 rotate it to one group with `sops`",
            ));
        }
        if self.mac.is_empty() {
            return Err(Error::Tampered { subject: subject.to_owned(), fault: "it has no MAC".to_owned() });
        }
        Ok(self)
    }

    /// For a new file.
    pub(super) fn new(policy: &Policy, key: &DataKey) -> Result<Self> {
        let mut metadata = Self {
            unencrypted_suffix: policy.unencrypted_suffix.clone(),
            encrypted_suffix: policy.encrypted_suffix.clone(),
            unencrypted_regex: policy.unencrypted_regex.clone(),
            encrypted_regex: policy.encrypted_regex.clone(),
            mac_only_encrypted: policy.mac_only_encrypted,
            version: VERSION.to_owned(),
            ..Self::default()
        };
        if [
            &policy.unencrypted_suffix,
            &policy.encrypted_suffix,
            &policy.unencrypted_regex,
            &policy.encrypted_regex,
        ]
        .iter()
        .all(|rule| rule.is_none())
        {
            metadata.unencrypted_suffix = Some(DEFAULT_SUFFIX.to_owned());
        }
        metadata.encrypt_key(&policy.recipients, key)?;
        Ok(metadata)
    }

    /// Whom the file is for.
    pub(super) fn recipients(&self) -> Vec<String> {
        let mut names: Vec<String> = self.age_keys().iter().map(|key| key.recipient.clone()).collect();
        for (kind, keys, field) in [
            ("AWS KMS", &self.kms, "arn"),
            ("GCP KMS", &self.gcp_kms, "resource_id"),
            ("HuaweiCloud KMS", &self.hckms, "key_id"),
            ("Azure Key Vault", &self.azure_kv, "name"),
            ("Vault transit", &self.hc_vault, "key_name"),
            ("PGP", &self.pgp, "fp"),
        ] {
            names.extend(keys.iter().map(|key| {
                format!("{} ({kind})", key.get(field).and_then(Value::as_str).unwrap_or("unnamed"))
            }));
        }
        names
    }

    /// The keys of age, also those of a single key group.
    fn age_keys(&self) -> Vec<AgeKey> {
        let grouped = self.key_groups.first().and_then(|group| group.get("age"));
        let grouped: Vec<AgeKey> =
            grouped.and_then(|keys| serde_json::from_value(keys.clone()).ok()).unwrap_or_default();
        self.age.iter().cloned().chain(grouped).collect()
    }

    /// The data key, when one of the identities is a recipient.
    pub(super) fn data_key(&self, subject: &str, identities: &[Identity]) -> Result<Option<DataKey>> {
        let mut fault = None;
        for key in self.age_keys() {
            match age::decrypt(identities, key.enc.as_bytes()) {
                Ok(Some(bytes)) => {
                    return DataKey::from_bytes(&bytes).map(Some).ok_or_else(|| {
                        Error::document(
                            subject,
                            "its data key has not 32 bytes; restore it from version control",
                        )
                    });
                }
                Ok(None) => {}
                Err(error) => {
                    fault = Some(Error::document(subject, format!("the key for {}: {error}", key.recipient)));
                }
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// Whether keys of other kinds than age are in it, which cannot be made anew here.
    pub(super) fn has_other_keys(&self) -> bool {
        [&self.kms, &self.gcp_kms, &self.hckms, &self.azure_kv, &self.hc_vault, &self.pgp, &self.key_groups]
            .iter()
            .any(|keys| !keys.is_empty())
    }

    /// Gives a data key to recipients, and to nobody else.
    pub(super) fn encrypt_key(&mut self, recipients: &[Recipient], key: &DataKey) -> Result<()> {
        let seal = |recipient: &Recipient| {
            Ok(AgeKey {
                recipient: recipient.to_string(),
                enc: age::encrypt_armored(std::slice::from_ref(recipient), key.bytes())?,
            })
        };
        self.age = recipients.iter().map(seal).collect::<Result<_>>()?;
        Ok(())
    }

    /// Checks the MAC over the values.
    pub(super) fn check_mac(&self, subject: &str, key: &DataKey, computed: &str) -> Result<()> {
        let tampered = |fault: &str| Error::Tampered { subject: subject.to_owned(), fault: fault.to_owned() };
        let stored = cipher::open(key, &self.lastmodified, &self.mac)
            .map_err(|_| tampered("its MAC or the time of its last change is not what was written"))?;
        if stored.0.plain().as_deref() == Some(computed) {
            return Ok(());
        }
        Err(tampered("its values do not fit its MAC; one was added, removed, moved or replaced"))
    }

    /// Puts the MAC in, with the time.
    pub(super) fn set_mac(&mut self, key: &DataKey, computed: &str, now: &str) -> Result<(), String> {
        now.clone_into(&mut self.lastmodified);
        self.mac = cipher::seal(key, now, "str", computed)?;
        Ok(())
    }

    /// The metadata in the form of its file: for YAML the whole entry, for JSON its value, for dotenv all lines.
    pub(super) fn write(&self, subject: &str, format: Format) -> Result<String> {
        let fault = |_| Error::document(subject, "its metadata cannot be written");
        Ok(match format {
            Format::Yaml => {
                let mut section = serde_json::Map::new();
                section.insert("sops".to_owned(), serde_json::to_value(self).map_err(fault)?);
                let mut text = String::new();
                write::yaml(&Value::Object(section), 0, &mut text);
                text
            }
            Format::Json => {
                let mut bytes = Vec::new();
                let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
                let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
                self.serialize(&mut serializer).map_err(fault)?;
                String::from_utf8(bytes)
                    .map_err(|_| Error::document(subject, "its metadata cannot be written"))?
                    .replace('\n', "\n\t")
            }
            Format::Dotenv => dotenv::write_metadata(&serde_json::to_value(self).map_err(fault)?),
        })
    }
}
