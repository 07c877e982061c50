//! References to secrets that are kept elsewhere.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use freehold_types::Secret;

use super::{Environment, aws, vault};
use crate::error::{Error, Result};

/// The longest secret that is read from a file.
const LONGEST: u64 = 1 << 20;

/// Where a secret is. Its text form is what people write; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `env://NAME`: a variable of the process.
    Variable(String),
    /// `file://PATH`: the content of a file, without line breaks at its end.
    File(PathBuf),
    /// `prompt://WHAT`: a person is asked for WHAT.
    Prompt(String),
    /// `vault://MOUNT/PATH#FIELD`: a field in the KV engine, version 2, of `HashiCorp` Vault or `OpenBao`.
    Vault {
        /// Where the engine is mounted.
        mount: String,
        /// The secret.
        path: String,
        /// Its field.
        field: String,
    },
    /// `aws://NAME` or `aws://NAME#FIELD`: a secret in AWS Secrets Manager, or a field of it when it is JSON.
    Aws {
        /// Name or ARN.
        name: String,
        /// A field of the JSON in it.
        field: Option<String>,
    },
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // A secret that was put where a reference belongs is not shown.
        let fault = |fault: &str| Error::Provider {
            subject: text.split_once("://").map_or("a reference", |_| text).to_owned(),
            fault: fault.to_owned(),
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(fault(
                "it has no scheme; write env://NAME, file://PATH, prompt://WHAT, vault://MOUNT/PATH#FIELD or aws://NAME",
            ));
        };
        if rest.is_empty() || rest.chars().any(char::is_control) {
            return Err(fault("nothing that can be looked up follows `://`"));
        }
        match scheme {
            "env" => Ok(Self::Variable(rest.to_owned())),
            "file" => Ok(Self::File(PathBuf::from(rest))),
            "prompt" => Ok(Self::Prompt(rest.to_owned())),
            "vault" => {
                let (place, field) = rest
                    .split_once('#')
                    .filter(|(_, field)| !field.is_empty())
                    .ok_or_else(|| fault("the field is missing; write vault://MOUNT/PATH#FIELD"))?;
                let (mount, path) = place
                    .split_once('/')
                    .filter(|(mount, path)| !mount.is_empty() && !path.is_empty())
                    .ok_or_else(|| fault("mount or path is missing; write vault://MOUNT/PATH#FIELD"))?;
                if place.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
                    return Err(fault("a part of the path is empty, `.` or `..`"));
                }
                Ok(Self::Vault { mount: mount.to_owned(), path: path.to_owned(), field: field.to_owned() })
            }
            "aws" => {
                let (name, field) =
                    rest.split_once('#').map_or((rest, None), |(name, field)| (name, Some(field)));
                Ok(Self::Aws { name: name.to_owned(), field: field.map(str::to_owned) })
            }
            "keyring" => Err(fault(
                "keyrings of desktops are not supported; keep the key in a file (mode 0600) or in Vault",
            )),
            _ => Err(fault("the scheme is none of env, file, prompt, vault and aws")),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env://{name}"),
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Prompt(what) => write!(f, "prompt://{what}"),
            Self::Vault { mount, path, field } => write!(f, "vault://{mount}/{path}#{field}"),
            Self::Aws { name, field: None } => write!(f, "aws://{name}"),
            Self::Aws { name, field: Some(field) } => write!(f, "aws://{name}#{field}"),
        }
    }
}

impl Reference {
    /// Fetches the secret.
    pub fn resolve(&self, environment: &Environment) -> Result<Secret<String>> {
        let fault = |fault: String| Error::Provider { subject: self.to_string(), fault };
        match self {
            Self::Variable(name) => environment
                .variable(name)
                .map(|value| Secret::new(value.to_owned()))
                .ok_or_else(|| fault("the variable is not set, or empty".to_owned())),
            Self::File(path) => {
                let failed = |source| Error::Io { path: path.clone(), action: "read", source };
                if std::fs::metadata(path).map_err(failed)?.len() > LONGEST {
                    return Err(fault(format!("the file has more than {LONGEST} bytes")));
                }
                let text = std::fs::read_to_string(path).map_err(failed)?;
                Ok(Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()))
            }
            Self::Prompt(what) => {
                let prompt = environment.prompt.ok_or_else(|| {
                    fault("nobody can be asked, since this is no terminal; use env:// or file://".to_owned())
                })?;
                prompt(what)
                    .map(Secret::new)
                    .map_err(|error| fault(format!("the answer cannot be read: {error}")))
            }
            Self::Vault { mount, path, field } => {
                vault::read(&self.to_string(), mount, path, field, environment)
            }
            Self::Aws { name, field } => aws::read(&self.to_string(), name, field.as_deref(), environment),
        }
    }
}
