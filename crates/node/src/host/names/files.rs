//! What the servers need on disk: directories, keys, configurations and the database.
//!
//! All of it is private to the user that the servers run as; keys are made at random and readable by root
//! alone. Nothing here is precious: the database is made anew from the ledger's zones when it is lost
//! or when PowerDNS has come with another schema. Everything blocks.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use freehold_types::Secret;
use nix::unistd::User;
use rand::Rng;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};

use super::config::EdgeConfig;
use super::render;
use crate::host::HostError;

/// Where distributions keep PowerDNS's schema for SQLite.
const SCHEMAS: [&str; 3] = [
    "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
    "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
    "/usr/share/doc/pdns/schema.sqlite3.sql",
];

const KEY_LENGTH: usize = 48;

/// Where both servers have their files.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    state: PathBuf,
    pub(super) authoritative: PathBuf,
    pub(super) resolver: PathBuf,
}

/// The keys of both APIs.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) authoritative: Secret<String>,
    pub(super) resolver: Secret<String>,
}

/// Whom files are given to.
#[derive(Debug, Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

impl Layout {
    pub(super) fn new(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
            authoritative: state.join("authoritative"),
            resolver: state.join("resolver"),
        }
    }

    /// Removes everything; nothing may run.
    pub(super) fn remove(&self) -> Result<(), HostError> {
        match fs::remove_dir_all(&self.state) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&self.state, &error)),
            _ => Ok(()),
        }
    }

    fn database(&self) -> PathBuf {
        self.authoritative.join("zones.sqlite3")
    }

    /// Fingerprint of the schema that the database was made from.
    fn schema(&self) -> PathBuf {
        self.authoritative.join("schema.sha256")
    }

    /// Makes directories and keys, and gives them to the user that the servers run as.
    pub(super) fn prepare(&self, edge: &EdgeConfig) -> Result<Keys, HostError> {
        let owner = owner(&edge.user)?;
        for directory in [&self.authoritative, &self.resolver, &self.resolver.join("zones")] {
            make_directory(directory, owner).map_err(|error| at(directory, &error))?;
        }
        for directory in self.authoritative.ancestors().skip(1) {
            passable(directory, &edge.user)?;
        }
        Ok(Keys { authoritative: key(&self.authoritative)?, resolver: key(&self.resolver)? })
    }

    /// Writes both configurations as they should be, and tells their fingerprints.
    pub(super) fn configure(&self, edge: &EdgeConfig, keys: &Keys) -> Result<[String; 2], HostError> {
        let owner = owner(&edge.user)?;
        let write = |directory: &Path, name: &str, text: &Secret<String>| {
            let path = directory.join(name);
            replace(&path, text.expose().as_bytes(), Some(owner)).map_err(|error| at(&path, &error))?;
            Ok::<_, HostError>(format!("{:x}", Sha256::digest(text.expose().as_bytes())))
        };
        let authoritative = render::authoritative(edge, &self.authoritative, &keys.authoritative);
        let resolver = render::resolver(edge, &self.resolver, &keys.resolver);
        Ok([
            write(&self.authoritative, "pdns.conf", &authoritative)?,
            write(&self.resolver, "recursor.conf", &resolver)?,
        ])
    }

    /// Whether the database is there and of the schema that is installed.
    pub(super) fn has_database(&self) -> Result<bool, HostError> {
        let (_, fingerprint) = installed_schema()?;
        let held = fs::read_to_string(self.schema()).unwrap_or_default();
        Ok(held == fingerprint && self.database().exists())
    }

    /// Makes the database anew; the server must not run. It never stands half made under its name.
    pub(super) fn make_database(&self, edge: &EdgeConfig) -> Result<(), HostError> {
        let owner = owner(&edge.user)?;
        let (schema, fingerprint) = installed_schema()?;
        let database = self.database();
        let temporary = database.with_extension("new");
        for stale in [
            temporary.clone(),
            self.schema(),
            database.with_extension("sqlite3-journal"),
            database.with_extension("sqlite3-wal"),
            database.with_extension("sqlite3-shm"),
        ] {
            remove(&stale).map_err(|error| at(&stale, &error))?;
        }
        let made = Command::new("sqlite3")
            .args(["-batch", "-bail"])
            .arg(&temporary)
            .arg(format!(".read {}", schema.display()))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output();
        let made = made.map_err(|error| {
            HostError::Failed(format!("sqlite3 cannot be run ({error}); install the package sqlite3"))
        })?;
        if !made.status.success() {
            return Err(HostError::Failed(format!(
                "the database of names cannot be made: {}",
                String::from_utf8_lossy(&made.stderr).trim()
            )));
        }
        let finish = || {
            fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
            chown(&temporary, Some(owner.user), Some(owner.group))?;
            fs::rename(&temporary, &database)
        };
        finish().map_err(|error| at(&database, &error))?;
        let mark = self.schema();
        replace(&mark, fingerprint.as_bytes(), None).map_err(|error| at(&mark, &error))
    }
}

/// The schema that the host's PowerDNS comes with, and its fingerprint.
fn installed_schema() -> Result<(PathBuf, String), HostError> {
    for path in SCHEMAS {
        if let Ok(text) = fs::read(path) {
            return Ok((path.into(), format!("{:x}", Sha256::digest(text))));
        }
    }
    Err(HostError::Failed(format!(
        "PowerDNS's schema is not at {}; install the package pdns-backend-sqlite3",
        SCHEMAS[0]
    )))
}

fn owner(name: &str) -> Result<Owner, HostError> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Owner { user: user.uid.as_raw(), group: user.gid.as_raw() }),
        Ok(None) => Err(HostError::Failed(format!(
            "the user {name} does not exist on this host; install the package pdns-server, or set `user` in `edge`"
        ))),
        Err(error) => Err(HostError::Failed(format!("the user {name} cannot be looked up: {error}"))),
    }
}

fn make_directory(path: &Path, owner: Owner) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o711).create(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    chown(path, Some(owner.user), Some(owner.group))
}

/// The servers reach their files by their paths, as another user.
fn passable(directory: &Path, user: &str) -> Result<(), HostError> {
    let mode = fs::metadata(directory).map_err(|error| at(directory, &error))?.permissions().mode();
    if mode & 0o001 == 0 {
        return Err(HostError::Failed(format!(
            "the user {user} cannot pass through {shown}; run: chmod o+x {shown}",
            shown = directory.display()
        )));
    }
    Ok(())
}

/// The key beside the directory, where the server itself cannot change it; made when there is none.
fn key(directory: &Path) -> Result<Secret<String>, HostError> {
    let path = directory.with_extension("key");
    match fs::read_to_string(&path) {
        Ok(key) if key.len() == KEY_LENGTH => return Ok(Secret::new(key)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path, &error)),
        _ => {}
    }
    let key: String = rand::rng().sample_iter(Alphanumeric).take(KEY_LENGTH).map(char::from).collect();
    replace(&path, key.as_bytes(), None).map_err(|error| at(&path, &error))?;
    Ok(Secret::new(key))
}

/// Writes a private file at once and whole; a file that is as it should be is not touched.
fn replace(path: &Path, content: &[u8], owner: Option<Owner>) -> io::Result<()> {
    if fs::read(path).is_ok_and(|held| held == content) {
        return Ok(());
    }
    let temporary = path.with_extension("new");
    remove(&temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    if let Some(owner) = owner {
        chown(&temporary, Some(owner.user), Some(owner.group))?;
    }
    file.sync_all()?;
    fs::rename(&temporary, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn at(path: &Path, error: &io::Error) -> HostError {
    HostError::Failed(format!("{}: {error}", path.display()))
}
