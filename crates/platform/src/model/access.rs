//! Accounts on machines, and where secrets are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{AgeKey, Duration, Members, Name, SecretText, SshKey, SystemName, Table};

/// An account on machines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// Machines or groups that have it; all machines without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Members>,
    /// Number of the account, the same everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1000, max = 59_999))]
    pub uid: Option<u32>,
    /// Full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// Further groups of the system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<SystemName>,
    /// Login shell; /bin/bash without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "path"))]
    pub shell: Option<String>,
    /// Whether it may do everything through sudo, without a password.
    pub sudo: bool,
    /// Public SSH keys that may log in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<SshKey>,
    /// Hash of the password, in the form of crypt(3); without one it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<SecretText>,
    /// Whether the account is locked: it stays, with its files, and nobody can log in.
    pub locked: bool,
}

/// Where secrets are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Where the key that opens the secrets files comes from.
    pub provider: Provider,
    /// What the provider is asked for: the variable, the file, the entry of the keyring, or the path of the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub source: Option<String>,
    /// Public age keys of those who may open the secrets files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<AgeKey>,
    /// Secrets that are generated and kept under a name, beside those that services have anyway.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub named: Table<Name, NamedSecret>,
}

/// Where the key that opens the secrets files comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline, extend("x-instead" = { "hcp": "vault", "input": "prompt" }))]
pub enum Provider {
    /// A variable of the environment.
    #[default]
    Env,
    /// A file that only its owner can read.
    File,
    /// The keyring of the operator's desktop.
    Keyring,
    /// The operator is asked.
    Prompt,
    /// HashiCorp Vault or OpenBao.
    Vault,
    /// AWS Secrets Manager.
    Aws,
}

/// A secret that is generated and kept under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedSecret {
    /// What is generated.
    #[serde(default)]
    pub kind: SecretKind,
    /// Characters of a password, or bytes of a key.
    #[serde(default = "default_length")]
    #[schemars(range(min = 8, max = 1024))]
    pub length: u16,
    /// After this time it is reported as due for a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_after: Option<Duration>,
}

const fn default_length() -> u16 {
    32
}

/// What is generated for a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SecretKind {
    /// Letters and digits.
    #[default]
    Password,
    /// Random bytes in base64.
    Key,
    /// A UUID.
    Uuid,
    /// An Ed25519 key pair of SSH.
    SshKey,
}
