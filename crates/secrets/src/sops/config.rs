//! `.sops.yaml`: for whom new files are encrypted, and what of them.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde::Deserialize;

use crate::age::Recipient;
use crate::error::{Error, Result};

/// The name of the file.
pub const CONFIG_FILE: &str = ".sops.yaml";

/// For whom a new file is, and what of it is encrypted.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Who may open it.
    pub recipients: Vec<Recipient>,
    /// Keys with this ending stay readable.
    pub unencrypted_suffix: Option<String>,
    /// Only keys with this ending are encrypted.
    pub encrypted_suffix: Option<String>,
    /// Keys that match stay readable.
    pub unencrypted_regex: Option<String>,
    /// Only keys that match are encrypted.
    pub encrypted_regex: Option<String>,
    /// Leaves what is readable out of the MAC.
    pub mac_only_encrypted: bool,
}

/// Rules for new files. Keys that are not known are ignored, as SOPS does: they are for other stores.
#[derive(Debug, Deserialize)]
pub struct Config {
    #[serde(default)]
    creation_rules: Vec<Rule>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Rule {
    path_regex: Option<String>,
    age: Option<Names>,
    #[serde(default)]
    key_groups: Vec<Group>,
    unencrypted_suffix: Option<String>,
    encrypted_suffix: Option<String>,
    unencrypted_regex: Option<String>,
    encrypted_regex: Option<String>,
    #[serde(default)]
    mac_only_encrypted: bool,
    pgp: Option<serde_norway::Value>,
    kms: Option<serde_norway::Value>,
    gcp_kms: Option<serde_norway::Value>,
    hc_vault_transit_uri: Option<serde_norway::Value>,
    azure_keyvault: Option<serde_norway::Value>,
    unencrypted_comment_regex: Option<String>,
    encrypted_comment_regex: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Group {
    age: Option<Names>,
}

/// Keys as a list, or in one text with commas.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    fn recipients(&self) -> Result<Vec<Recipient>> {
        let names: Vec<&str> = match self {
            Self::One(text) => text.split(',').collect(),
            Self::Many(names) => names.iter().map(String::as_str).collect(),
        };
        names.into_iter().map(str::trim).filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

impl Config {
    /// The configuration for a file: that in its directory or the nearest above.
    pub fn find(file: &Path) -> Result<Option<Self>> {
        let absolute = std::path::absolute(file).map_err(|source| Error::Io {
            path: file.to_path_buf(),
            action: "located",
            source,
        })?;
        for directory in absolute.ancestors().skip(1) {
            let path = directory.join(CONFIG_FILE);
            match fs::read_to_string(&path) {
                Ok(text) => return Self::parse(&path, &text).map(Some),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Io { path, action: "read", source }),
            }
        }
        Ok(None)
    }

    /// Reads a configuration.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let mut config: Self = serde_norway::from_str(text).map_err(|fault| {
            Error::document(path.display().to_string(), format!("it cannot be read: {fault}"))
        })?;
        path.clone_into(&mut config.path);
        Ok(config)
    }

    /// The policy of the first rule that fits a file.
    pub fn policy(&self, file: &Path) -> Result<Policy> {
        let subject = self.path.display().to_string();
        let fault = |text: String| Error::document(subject.as_str(), text);
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
        let relative =
            self.path.parent().and_then(|base| absolute.strip_prefix(base).ok()).unwrap_or(&absolute);
        for (index, rule) in self.creation_rules.iter().enumerate() {
            if let Some(pattern) = &rule.path_regex {
                let regex = Regex::new(pattern).map_err(|_| {
                    fault(format!("path_regex of rule {} is no regular expression", index + 1))
                })?;
                if !regex.is_match(&relative.to_string_lossy()) {
                    continue;
                }
            }
            return rule.policy().map_err(|why| fault(format!("rule {}: {why}", index + 1)));
        }
        Err(fault(format!(
            "none of its creation_rules fits {}; add a rule, or one without path_regex at the end",
            relative.display()
        )))
    }
}

impl Rule {
    fn policy(&self) -> Result<Policy, String> {
        for (name, value) in [
            ("pgp", &self.pgp),
            ("kms", &self.kms),
            ("gcp_kms", &self.gcp_kms),
            ("hc_vault_transit_uri", &self.hc_vault_transit_uri),
            ("azure_keyvault", &self.azure_keyvault),
        ] {
            if value.is_some() {
                return Err(format!(
                    "keys of kind `{name}` cannot be used here, only `age`; encrypt with `sops`"
                ));
            }
        }
        if self.unencrypted_comment_regex.is_some() || self.encrypted_comment_regex.is_some() {
            return Err("selection by comments is not supported; use encrypted_regex or a suffix".to_owned());
        }
        if self.key_groups.len() > 1 {
            return Err("several key_groups (Shamir) are not supported; encrypt with `sops`".to_owned());
        }
        let mut recipients = Vec::new();
        for names in self.age.iter().chain(self.key_groups.iter().filter_map(|group| group.age.as_ref())) {
            recipients.extend(names.recipients().map_err(|fault| fault.to_string())?);
        }
        if recipients.is_empty() {
            return Err("it names no recipient; add `age: age1...`".to_owned());
        }
        Ok(Policy {
            recipients,
            unencrypted_suffix: self.unencrypted_suffix.clone(),
            encrypted_suffix: self.encrypted_suffix.clone(),
            unencrypted_regex: self.unencrypted_regex.clone(),
            encrypted_regex: self.encrypted_regex.clone(),
            mac_only_encrypted: self.mac_only_encrypted,
        })
    }
}
