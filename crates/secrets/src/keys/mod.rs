//! Where keys come from, and where other secrets are fetched from.
//!
//! [`Keyring::find`] looks where SOPS looks, and in addition where `FREEHOLD_SECRETS_KEY` refers to. It notes each
//! place, so that a file that no key opens can say where to put one. The keyrings of desktops are not among them:
//! on Linux they are behind D-Bus, whose client would outweigh the rest of this crate.

mod aws;
mod key_text;
mod reference;
mod signature;
mod vault;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use freehold_types::Secret;

pub use reference::Reference;

use crate::age::Identity;
use crate::error::{Error, Result};

/// Names a reference to the key, such as `vault://secret/freehold#age`.
pub const KEY_REFERENCE: &str = "FREEHOLD_SECRETS_KEY";

/// Asks a person for a secret.
pub type Prompt = fn(&str) -> std::io::Result<String>;

/// The variables of the process, its home and a way to ask, as one value: functions here read nothing else.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    prompt: Option<Prompt>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} variables]", self.variables.len())
    }
}

impl Environment {
    /// That of this process. `prompt` is given when a person can be asked.
    pub fn of_process(prompt: Option<Prompt>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: std::env::vars_os().filter_map(text).collect(), prompt }
    }

    /// These variables.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { variables: variables.iter().map(owned).collect(), prompt: None }
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn home(&self) -> Option<&Path> {
        self.variable("HOME").map(Path::new)
    }

    /// The key file that is looked at without being told, as SOPS has it.
    pub fn default_key_file(&self) -> Option<PathBuf> {
        let file = "sops/age/keys.txt";
        if let Some(base) = self.variable("XDG_CONFIG_HOME") {
            return Some(Path::new(base).join(file));
        }
        let base = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
        Some(self.home()?.join(base).join(file))
    }
}

/// Keys that were found, and where was looked.
#[derive(Debug, Default)]
pub struct Keyring {
    identities: Vec<Identity>,
    looked: Vec<String>,
    warnings: Vec<String>,
}

impl Keyring {
    /// These keys.
    pub fn of(identities: Vec<Identity>) -> Self {
        Self { identities, looked: vec!["keys given by the program".to_owned()], warnings: Vec::new() }
    }

    /// All keys from all places; a place with nothing in it is no error, one that cannot be read is.
    pub fn find(environment: &Environment) -> Result<Self> {
        let mut ring = Self::default();
        match environment.variable("SOPS_AGE_KEY") {
            Some(text) => ring.add("SOPS_AGE_KEY", text)?,
            None => ring.looked.push("SOPS_AGE_KEY (not set)".to_owned()),
        }
        match environment.variable("SOPS_AGE_KEY_FILE") {
            Some(file) => ring.add_file("SOPS_AGE_KEY_FILE", Path::new(file), true)?,
            None => ring.looked.push("SOPS_AGE_KEY_FILE (not set)".to_owned()),
        }
        match environment.variable(KEY_REFERENCE) {
            Some(reference) => ring.add_reference(reference, environment)?,
            None => ring.looked.push(format!("{KEY_REFERENCE} (not set)")),
        }
        match environment.default_key_file() {
            Some(file) => ring.add_file("the default file", &file, false)?,
            None => ring.looked.push("the default file (HOME is not set)".to_owned()),
        }
        Ok(ring)
    }

    /// The keys that one reference names, and no others.
    pub fn find_at(reference: &str, environment: &Environment) -> Result<Self> {
        let mut ring = Self::default();
        ring.add_reference(reference, environment)?;
        Ok(ring)
    }

    fn add_reference(&mut self, reference: &str, environment: &Environment) -> Result<()> {
        let text = reference.parse::<Reference>()?.resolve(environment)?;
        self.add(reference, text.expose())
    }

    fn add_file(&mut self, name: &str, path: &Path, must_exist: bool) -> Result<()> {
        let shown = format!("{name} {}", path.display());
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.warnings.extend(exposure(path));
                self.add(&shown, &text)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {
                self.looked.push(format!("{shown} (does not exist)"));
                Ok(())
            }
            Err(source) => Err(Error::Io { path: path.to_path_buf(), action: "read", source }),
        }
    }

    fn add(&mut self, place: &str, text: &str) -> Result<()> {
        let keys = key_text::parse(text).map_err(|fault| Error::Key(format!("{place}: {fault}")))?;
        self.looked.push(format!("{place} ({} keys)", keys.len()));
        self.identities.extend(keys);
        Ok(())
    }

    /// The keys.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// What whoever runs the program should know, such as a key file that others can read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// None of the keys opens a file.
    pub(crate) fn none_opens(&self, subject: &str, recipients: &[String]) -> Error {
        let own: Vec<String> = self.identities.iter().map(|key| key.recipient().to_string()).collect();
        let told =
            |list: &[String], none: &str| if list.is_empty() { none.to_owned() } else { list.join(", ") };
        Error::NoKey {
            subject: subject.to_owned(),
            recipients: told(recipients, "nobody"),
            looked: told(&self.looked, "nowhere"),
            own: told(&own, "none yet: `freehold secrets init` makes one"),
        }
    }
}

#[cfg(unix)]
fn exposure(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0)
        .then(|| format!("others can read the key file {0}; run `chmod 600 {0}`", path.display()))
}

#[cfg(not(unix))]
fn exposure(_: &Path) -> Option<String> {
    None
}

/// An agent for requests to services that keep secrets: bounded in time, and errors by status are ours to tell.
fn agent(ca_file: Option<&Path>) -> Result<ureq::Agent> {
    use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
    let mut tls = TlsConfig::builder();
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|source| Error::Io {
            path: path.to_path_buf(),
            action: "read",
            source,
        })?;
        let roots: Vec<Certificate<'static>> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&roots));
    }
    Ok(ureq::Agent::config_builder()
        .timeout_global(Some(std::time::Duration::from_secs(15)))
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(tls.build())
        .build()
        .into())
}

/// Reads an answer of JSON, whose size is bounded.
fn answer(
    subject: &str,
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<(u16, serde_json::Value)> {
    let fault = |fault: String| Error::Provider { subject: subject.to_owned(), fault };
    let mut response = response.map_err(|error| fault(format!("there is no answer: {error}")))?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(1 << 20).read_to_string();
    let text = Secret::new(text.map_err(|error| fault(format!("the answer cannot be read: {error}")))?);
    // What is no JSON may be a proxy's page; the status tells enough.
    Ok((status, serde_json::from_str(text.expose()).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
