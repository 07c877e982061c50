//! Configuration of the node role.
//!
//! One struct, read from the file that the binary loads. Every field but the identity and the
//! controller has a default that suits a dedicated hypervisor.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use freehold_types::wire::AgentType;
use freehold_types::{Id, Secret};
use serde::{Deserialize, Serialize};

use crate::host::machines::{Accel, Display};
use crate::host::names::EdgeConfig;
use crate::session::Endpoint;

/// How a node is set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Id of the agent, as the controller shows it.
    pub agent: Id,

    /// Token of the agent. Exactly one of `key` and `key_file` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret<String>>,

    /// File that holds the token; white space around it is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,

    /// URL of the controller: `https:` or `wss:`, or `http:` or `ws:` where the path is trusted. A path
    /// in it is kept as a prefix.
    pub controller: String,

    /// PEM file of the authorities that the controller's certificate is checked against. Without it
    /// those of the operating system are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,

    /// What the node is to the controller.
    #[serde(default = "default_role")]
    pub role: AgentType,

    /// Directory of what the node keeps: its ledger (`ledger/`, private), what machines need besides
    /// their disks (`machines/`), what answers for names (`names/`) and what it last wrote about itself (`status.json`). Made when absent.
    #[serde(default = "default_state")]
    pub state: PathBuf,

    /// How machines are run.
    #[serde(default)]
    pub accel: Accel,

    /// Connection URI of libvirt.
    #[serde(default = "default_libvirt")]
    pub libvirt: String,

    /// Interface that carries VLAN and untagged segments. Without it such segments are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<String>,

    /// Address by which other nodes reach this one; ends of VXLAN tunnels. Without it the address is
    /// used that leads to the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,

    /// Directories that `file:` images may come from. Without any, only fetched images are accepted.
    #[serde(default)]
    pub image_directories: Vec<PathBuf>,

    /// How the screens of machines are offered.
    #[serde(default)]
    pub display: Display,

    /// Address on which screens listen. They have no password: anything but loopback is for a network
    /// that only administrators reach.
    #[serde(default = "default_display_listen")]
    pub display_listen: IpAddr,

    /// By which the libvirt of other hosts reaches this one's, so that machines can come from them:
    /// `qemu+tls://HOST/system`, or `qemu+ssh:` or `qemu+tcp:` where the network between hosts is trusted, since
    /// memory and disks of guests pass it in the clear. Without it no machine comes from other hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration_uri: Option<String>,

    /// How many objects are worked on at a time, images apart.
    #[serde(default = "default_parallel")]
    pub parallel: usize,

    /// How many images are fetched at a time.
    #[serde(default = "default_parallel_images")]
    pub parallel_images: usize,

    /// How names are answered for. Of an edge alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<EdgeConfig>,

    /// How often everything is looked at anew though nothing asked for it, in seconds.
    #[serde(default = "default_observe_seconds")]
    pub observe_seconds: u64,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("node: give either `key` or `key_file`, not {0}")]
    Key(&'static str),
    #[error("node: the key file {path} cannot be read; write the agent's token into it")]
    KeyFile { path: PathBuf, source: std::io::Error },
    #[error("node: the key is empty; write the agent's token into `key` or `key_file`")]
    EmptyKey,
    #[error("node: `{field}` must be between {least} and {most}, not {value}")]
    Range { field: &'static str, value: u64, least: u64, most: u64 },
    #[error("node: `controller`: {0}")]
    Controller(String),
    #[error("node: `ca_file`: {0}")]
    Authorities(String),
    #[error("node: `role`: a node is `Kaktus` (hypervisor) or `Kiwi` (edge)")]
    Role,
    #[error("node: `migration_uri` is `{0}`, and must name this host: qemu+tls://HOST/system")]
    MigrationUri(String),
    #[error("node: `edge`: {0}")]
    Edge(String),
}

impl NodeConfig {
    /// A configuration with every default, for tests and for callers that build one.
    pub fn new(agent: Id, key: Secret<String>, controller: impl Into<String>) -> Self {
        Self {
            agent,
            key: Some(key),
            key_file: None,
            controller: controller.into(),
            ca_file: None,
            role: default_role(),
            state: default_state(),
            accel: Accel::default(),
            libvirt: default_libvirt(),
            uplink: None,
            address: None,
            image_directories: Vec::new(),
            display: Display::default(),
            display_listen: default_display_listen(),
            migration_uri: None,
            parallel: default_parallel(),
            parallel_images: default_parallel_images(),
            edge: None,
            observe_seconds: default_observe_seconds(),
        }
    }

    /// Checks the values that need no look at the host.
    ///
    /// # Errors
    /// The first field that cannot be used, with what to write instead.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match (&self.key, &self.key_file) {
            (Some(_), Some(_)) => return Err(ConfigError::Key("both")),
            (None, None) => return Err(ConfigError::Key("neither")),
            (Some(_), None) | (None, Some(_)) => {}
        }
        range("parallel", self.parallel as u64, 1, 256)?;
        range("parallel_images", self.parallel_images as u64, 1, 64)?;
        range("observe_seconds", self.observe_seconds, 10, 86_400)?;
        if let Some(edge) = &self.edge {
            if self.role != AgentType::Edge {
                return Err(ConfigError::Edge("only a node with `role: Kiwi` has this section".to_owned()));
            }
            edge.validate().map_err(ConfigError::Edge)?;
        }
        if let Some(uri) = &self.migration_uri
            && !is_migration_uri(uri)
        {
            return Err(ConfigError::MigrationUri(uri.clone()));
        }
        self.endpoint().map(|_| ())
    }

    /// The key, from the configuration or its file.
    ///
    /// # Errors
    /// When the file cannot be read or the key is empty.
    pub fn load_key(&self) -> Result<Secret<String>, ConfigError> {
        let key = match (&self.key, &self.key_file) {
            (Some(key), _) => key.clone(),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(|text| Secret::new(text.trim().to_owned()))
                .map_err(|source| ConfigError::KeyFile { path: path.clone(), source })?,
            (None, None) => return Err(ConfigError::Key("neither")),
        };
        if key.expose().is_empty() { Err(ConfigError::EmptyKey) } else { Ok(key) }
    }

    pub(crate) fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        Endpoint::parse(&self.controller).map_err(ConfigError::Controller)
    }

    /// How often everything is looked at anew.
    pub const fn observe_every(&self) -> Duration {
        Duration::from_secs(self.observe_seconds)
    }

    /// Where the node writes what it knows of itself, for people and tools on the host; a
    /// [`crate::Status`] as JSON.
    pub fn status_file(&self) -> PathBuf {
        self.state.join("status.json")
    }

    pub(crate) fn ledger_directory(&self) -> PathBuf {
        self.state.join("ledger")
    }

    pub(crate) fn names_directory(&self) -> PathBuf {
        self.state.join("names")
    }

    pub(crate) fn machines_directory(&self) -> PathBuf {
        self.state.join("machines")
    }
}

/// Whether a libvirt on another host can open it.
fn is_migration_uri(uri: &str) -> bool {
    let schemes = ["qemu+tls", "qemu+ssh", "qemu+tcp"];
    uri.parse::<http::Uri>().is_ok_and(|uri| {
        let scheme = uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme));
        scheme && uri.host().is_some_and(|host| !host.is_empty()) && uri.path() == "/system"
    })
}

fn range(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::Range { field, value, least, most })
    }
}

const fn default_role() -> AgentType {
    AgentType::Hypervisor
}

fn default_state() -> PathBuf {
    PathBuf::from("/var/lib/freehold/node")
}

fn default_libvirt() -> String {
    "qemu:///system".to_owned()
}

const fn default_display_listen() -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
}

const fn default_parallel() -> usize {
    8
}

const fn default_parallel_images() -> usize {
    2
}

const fn default_observe_seconds() -> u64 {
    300
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<NodeConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    const LEAST: &str =
        r#"{"agent":"000000000000000000000001","key":"k","controller":"https://cloud.example"}"#;

    #[test]
    fn the_least_configuration_equals_the_defaults() {
        let config = parse(LEAST).unwrap();
        assert_eq!(
            config,
            NodeConfig::new(Id::from_u64(1), Secret::new("k".to_owned()), "https://cloud.example")
        );
        config.validate().unwrap();
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = parse(&LEAST.replace("\"key\"", "\"kee\"")).unwrap_err();
        assert!(error.contains("`kee`"), "{error}");
    }

    #[test]
    fn a_key_file_is_read_and_trimmed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut config = parse(LEAST).unwrap();
        config.key = None;
        config.key_file = Some(file.path().to_owned());
        assert!(matches!(config.load_key(), Err(ConfigError::EmptyKey)));
        std::io::Write::write_all(&mut file.as_file(), b"  secret \n").unwrap();
        assert_eq!(config.load_key().unwrap().expose(), "secret");
        assert!(!format!("{config:?}").contains("secret "));
        config.key_file = Some("/does/not/exist".into());
        assert!(config.load_key().unwrap_err().to_string().contains("/does/not/exist"));
    }

    #[test]
    fn faults_name_the_field() {
        let good = parse(LEAST).unwrap();
        for (change, word) in [
            (NodeConfig { key: None, ..good.clone() }, "key_file"),
            (NodeConfig { key_file: Some("x".into()), ..good.clone() }, "both"),
            (NodeConfig { parallel: 0, ..good.clone() }, "parallel"),
            (NodeConfig { observe_seconds: 1, ..good.clone() }, "observe_seconds"),
            (NodeConfig { controller: "ftp://x".into(), ..good.clone() }, "controller"),
            (NodeConfig { edge: Some(EdgeConfig::default()), ..good.clone() }, "role: Kiwi"),
        ] {
            assert!(change.validate().unwrap_err().to_string().contains(word), "{word}");
        }
    }
}
