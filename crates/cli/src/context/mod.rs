//! Contexts: which controller is asked, as whom, and with which defaults.
//!
//! Promises: the file of contexts is replaced in one step and readable by its owner only; credentials
//! never appear on a command line or in a message, and go only to the controller they belong to: a URL
//! given for one command leaves the credential of the context at home.

mod file;
mod resolve;

use std::path::PathBuf;

use freehold_types::Secret;
use serde::{Deserialize, Serialize};

pub use file::{Contexts, FileOfContexts};
pub use resolve::{Environment, Origin, Overrides, read_credentials, resolve};

/// A controller, who one is there, and what is meant when nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Base URL of the controller, without `/api/v1`.
    pub url: String,
    /// The only authority that is trusted; the public ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
    /// Who one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// What is meant when a command needs one and none is named.
    #[serde(default, skip_serializing_if = "Defaults::is_empty")]
    pub defaults: Defaults,
}

/// Names or ids that commands fall back to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Defaults {
    /// Whether nothing is set.
    pub const fn is_empty(&self) -> bool {
        self.project.is_none() && self.region.is_none() && self.zone.is_none()
    }

    /// The default for a kind of parent.
    pub fn of(&self, kind: &str) -> Option<&str> {
        match kind {
            "project" => self.project.as_deref(),
            "region" => self.region.as_deref(),
            "zone" => self.zone.as_deref(),
            _ => None,
        }
    }
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Certificates in a file, read at each use.
    File(PathBuf),
    /// Certificates themselves.
    Pem(String),
}

/// How one proves who one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A key of a user, or the master key.
    ApiKey(Secret<String>),
    /// A session, from `freehold login`.
    Session { email: String, token: Secret<String> },
}

impl Credential {
    /// What it is, without the secret.
    pub fn describe(&self) -> String {
        match self {
            Self::ApiKey(_) => "API key".to_owned(),
            Self::Session { email, .. } => format!("session of {email}"),
        }
    }
}

/// Where and as whom requests are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub url: String,
    pub authority: Option<Authority>,
    pub credential: Option<Credential>,
}
