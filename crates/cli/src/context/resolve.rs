//! Which connection a command uses: flags, then the environment, then the context, then what
//! `freehold up` left in the current folder.

use std::path::{Path, PathBuf};

use freehold_types::Secret;
use serde::Deserialize;

use super::{Authority, Connection, Context, Contexts, Credential, Defaults, FileOfContexts};
use crate::error::{Error, Result};

/// Where `freehold up` leaves the way in, below its folder.
const LOCAL: &str = ".freehold/credentials.json";

/// What the process was started with, apart from its arguments.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `FREEHOLD_CONFIG`, or the default place.
    pub config: Option<PathBuf>,
    /// `FREEHOLD_API_KEY`.
    pub api_key: Option<Secret<String>>,
    /// The current folder.
    pub folder: PathBuf,
}

impl Environment {
    /// That of the process.
    pub fn of_process() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = path("FREEHOLD_CONFIG").or_else(|| {
            let folder = path("XDG_CONFIG_HOME").or_else(|| path("HOME").map(|home| home.join(".config")))?;
            Some(folder.join("freehold/config.json"))
        });
        let api_key = std::env::var("FREEHOLD_API_KEY").ok().filter(|key| !key.is_empty()).map(Secret::new);
        Self { config, api_key, folder: PathBuf::from(".") }
    }

    /// The file of contexts.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn file(&self) -> Result<FileOfContexts> {
        self.config.clone().map(FileOfContexts::at).ok_or_else(|| {
            Error::usage("there is no place for the configuration")
                .hint("set FREEHOLD_CONFIG to the path of a file")
        })
    }
}

/// What the flags say; each is stronger than the context.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub context: Option<String>,
    pub url: Option<String>,
    pub api_key: Option<Secret<String>>,
    pub ca_file: Option<PathBuf>,
}

/// Where a connection came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Flags and environment alone.
    Flags,
    /// The context with this name, some of it perhaps overridden.
    Context(String),
    /// What `freehold up` left at this path.
    Local(PathBuf),
}

/// Decides on the connection, its origin, and the defaults.
///
/// # Errors
/// When no controller is named anywhere, or a file cannot be read.
pub fn resolve(overrides: &Overrides, environment: &Environment) -> Result<(Connection, Origin, Defaults)> {
    let contexts = match &environment.config {
        Some(path) => FileOfContexts::at(path.clone()).load()?,
        None => Contexts::default(),
    };
    let local = environment.folder.join(LOCAL);
    let (base, origin) = if let Some(name) = overrides.context.as_ref() {
        (contexts.named(name)?.clone(), Origin::Context(name.clone()))
    } else if overrides.url.is_some() {
        let current = contexts.current.as_ref().and_then(|name| contexts.contexts.get(name));
        (current.cloned().unwrap_or_default(), Origin::Flags)
    } else if let Some(name) = contexts.current.as_ref() {
        (contexts.named(name)?.clone(), Origin::Context(name.clone()))
    } else if local.exists() {
        (read_credentials(&local)?, Origin::Local(local))
    } else {
        return Err(Error::usage("no controller is named")
            .hint("name one with `freehold context add NAME --url URL`, then `freehold login`")
            .hint("or import what `freehold up` made with `freehold context import DIR`"));
    };
    let connection = overlay(&base, overrides, environment)?;
    Ok((connection, origin, base.defaults))
}

/// The context with the overrides laid over it. Another URL is another controller: neither credential
/// nor authority of the context go there.
fn overlay(base: &Context, overrides: &Overrides, environment: &Environment) -> Result<Connection> {
    let same = |url: &str| url.trim_end_matches('/') == base.url.trim_end_matches('/');
    let elsewhere = overrides.url.as_deref().is_some_and(|url| !same(url));
    let url = overrides.url.clone().unwrap_or_else(|| base.url.clone());
    let key = overrides.api_key.clone().or_else(|| environment.api_key.clone());
    let credential = match key {
        Some(key) => Some(Credential::ApiKey(key)),
        None if elsewhere => None,
        None => base.credential.clone(),
    };
    let authority = match &overrides.ca_file {
        Some(path) => Some(Authority::File(path.clone())),
        None if elsewhere => None,
        None => base.authority.clone(),
    };
    crate::client::check_url(&url)?;
    Ok(Connection { url, authority, credential })
}

/// Reads the credentials file of `freehold up` as a context of its own.
///
/// # Errors
/// When it or the certificate it names cannot be read.
pub fn read_credentials(path: &Path) -> Result<Context> {
    #[derive(Deserialize)]
    struct Credentials {
        url: String,
        master_key: Secret<String>,
        ca_file: Option<PathBuf>,
    }
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(format!("cannot read {shown}"), e))?;
    let credentials: Credentials = serde_json::from_str(&text).map_err(|error| {
        Error::usage(format!("{shown} is damaged at line {}, column {}", error.line(), error.column()))
            .hint("let `freehold up` write it again")
    })?;
    let authority = match credentials.ca_file {
        None => None,
        Some(file) => {
            let file = path.parent().unwrap_or(Path::new(".")).join(file);
            let pem = std::fs::read_to_string(&file)
                .map_err(|e| Error::io(format!("cannot read {}, named in {shown}", file.display()), e))?;
            Some(Authority::Pem(pem))
        }
    };
    Ok(Context {
        url: credentials.url,
        authority,
        credential: Some(Credential::ApiKey(credentials.master_key)),
        defaults: Defaults::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(folder: &Path) -> Environment {
        let contexts = r#"{
            "current": "home",
            "contexts": {
                "home": {
                    "url": "https://home/", "authority": {"pem": "PEM"}, "credential": {"api_key": "k1"},
                    "defaults": {"project": "shop"}
                },
                "work": { "url": "https://work" }
            }
        }"#;
        std::fs::write(folder.join("config.json"), contexts).unwrap();
        Environment { config: Some(folder.join("config.json")), api_key: None, folder: folder.to_owned() }
    }

    #[test]
    fn the_current_context_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, origin, defaults) =
            resolve(&Overrides::default(), &environment(folder.path())).unwrap();
        assert_eq!(connection.credential, Some(Credential::ApiKey("k1".to_owned().into())));
        assert_eq!((origin, defaults.of("project")), (Origin::Context("home".into()), Some("shop")));
    }

    #[test]
    fn a_credential_does_not_follow_to_another_url() {
        let folder = tempfile::tempdir().unwrap();
        let mut overrides = Overrides { url: Some("https://elsewhere".into()), ..Overrides::default() };
        for context in [None, Some("home".to_owned())] {
            overrides.context = context;
            let (connection, ..) = resolve(&overrides, &environment(folder.path())).unwrap();
            assert_eq!((connection.credential, connection.authority), (None, None));
        }
        overrides.url = Some("https://home".into());
        let (connection, ..) = resolve(&overrides, &environment(folder.path())).unwrap();
        assert!(connection.credential.is_some() && connection.authority.is_some());
    }

    #[test]
    fn flags_win_over_the_environment_and_the_context() {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = environment(folder.path());
        environment.api_key = Some("k2".to_owned().into());
        let key = |overrides: &Overrides| resolve(overrides, &environment).unwrap().0.credential;
        assert_eq!(key(&Overrides::default()), Some(Credential::ApiKey("k2".to_owned().into())));
        let overrides = Overrides { api_key: Some("k3".to_owned().into()), ..Overrides::default() };
        assert_eq!(key(&overrides), Some(Credential::ApiKey("k3".to_owned().into())));
    }

    #[test]
    fn what_up_left_is_found_when_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment { config: None, api_key: None, folder: folder.path().to_owned() };
        assert!(resolve(&Overrides::default(), &environment).is_err());
        std::fs::create_dir(folder.path().join(".freehold")).unwrap();
        std::fs::write(folder.path().join(".freehold/ca.pem"), "PEM").unwrap();
        let credentials = r#"{"url": "https://127.0.0.1:8443", "master_key": "m", "ca_file": "ca.pem"}"#;
        std::fs::write(folder.path().join(LOCAL), credentials).unwrap();
        let (connection, origin, _) = resolve(&Overrides::default(), &environment).unwrap();
        assert_eq!(connection.authority, Some(Authority::Pem("PEM".into())));
        assert_eq!(origin, Origin::Local(folder.path().join(LOCAL)));
    }
}
