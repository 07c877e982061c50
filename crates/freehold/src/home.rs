//! The directory of a `freehold up`: what lies where, its secrets, and which process runs it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs4::fs_std::FileExt;
use serde::{Deserialize, Serialize};

use crate::files;

/// Where nodes keep what machines need, when the home itself lies where QEMU's account cannot go.
const FALLBACK_DATA: &str = "/var/lib/freehold";

/// Everything that lies directly in a home, beside the companions of the store's file.
/// What marks a directory as a home comes last, so that a removal that was cut short can be repeated.
const CONTENT: [&str; 13] = [
    "tls",
    "ssh",
    "data",
    "nodes",
    "credentials.json",
    "admin.json",
    "freehold.log",
    "progress",
    "ready.json",
    "lock",
    "errors",
    "store.sqlite",
    "secrets.json",
];
/// What a home has and another directory has not.
const MARKS: [&str; 2] = ["store.sqlite", "secrets.json"];

/// A home directory.
#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

/// Secrets of the controller, made once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) master_key: String,
    /// Hexadecimal, 32 bytes each.
    pub(crate) session_key: String,
    pub(crate) seal_key: String,
    /// Of the first account.
    pub(crate) admin_password: String,
}

/// What clients need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) url: String,
    pub(crate) master_key: String,
    pub(crate) ca_file: Option<PathBuf>,
}

/// Held by the process that runs a home.
#[derive(Debug)]
pub(crate) struct Running(File);

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident => $path:literal),* $(,)?) => {
        $($(#[$doc])* pub(crate) fn $name(&self) -> PathBuf { self.0.join($path) })*
    };
}

impl Home {
    /// Opens or makes a home.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        files::make_directory(path, 0o711)?;
        Self::existing(path)
    }

    /// A home that must be there.
    pub(crate) fn existing(path: &Path) -> Result<Self> {
        let path = path.canonicalize().with_context(|| {
            format!(
                "there is no home at {}; make one with `freehold up --home {}`",
                path.display(),
                path.display()
            )
        })?;
        Ok(Self(path))
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    places! {
        tls => "tls",
        ca_file => "tls/ca.pem",
        ca_key => "tls/ca.key",
        certificate => "tls/controller.pem",
        certificate_key => "tls/controller.key",
        store => "store.sqlite",
        secrets_file => "secrets.json",
        credentials_file => "credentials.json",
        admin_file => "admin.json",
        ssh_key => "ssh/id_ed25519",
        log => "freehold.log",
        progress => "progress",
        ready => "ready.json",
        lock_file => "lock",
        /// Standard error of a process in the background.
        errors => "errors",
        /// State of simulated nodes.
        nodes => "nodes",
    }

    /// Says whether the directory may be emptied: it is a home, or has nothing in it.
    ///
    /// # Errors
    /// When it holds something and is no home.
    pub(crate) fn ensure_removable(&self) -> Result<()> {
        let failed = || format!("{} cannot be read", self.0.display());
        let is_empty = std::fs::read_dir(&self.0).with_context(failed)?.next().is_none();
        if is_empty || MARKS.iter().any(|mark| self.0.join(mark).is_file()) {
            return Ok(());
        }
        bail!(
            "{} is not empty and not a home of Freehold, so nothing in it is removed; name another directory with `--home`",
            self.0.display()
        )
    }

    /// Removes what a cloud has left in the directory, and nothing else.
    pub(crate) fn clear(&self) -> Result<()> {
        for name in CONTENT {
            for path in [self.0.join(name), self.0.join(name).with_extension("partial")] {
                remove(&path)?;
            }
            for suffix in ["-wal", "-shm", "-journal"].iter().filter(|_| name == "store.sqlite") {
                remove(&self.0.join(format!("{name}{suffix}")))?;
            }
        }
        Ok(())
    }

    /// Where machines' disks and seeds lie: in the home, unless its way there is closed to others.
    pub(crate) fn data(&self) -> PathBuf {
        let open = self.0.ancestors().all(|directory| {
            directory.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
        });
        if open {
            return self.0.join("data");
        }
        let name: String = self
            .0
            .to_string_lossy()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        Path::new(FALLBACK_DATA).join(name.trim_matches('-'))
    }

    /// The secrets; made at the first call.
    pub(crate) fn secrets(&self) -> Result<Secrets> {
        Secrets::ensure(&self.secrets_file())
    }

    /// What clients need, if it was written.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        serde_json::from_str(&std::fs::read_to_string(self.credentials_file()).ok()?).ok()
    }

    /// Takes the home for this process; `None` when another one runs it.
    pub(crate) fn lock(&self) -> Result<Option<Running>> {
        let path = self.lock_file();
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        if !FileExt::try_lock_exclusive(&file)
            .with_context(|| format!("{} cannot be locked", path.display()))?
        {
            return Ok(None);
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        file.sync_all()?;
        Ok(Some(Running(file)))
    }

    /// The process that runs this home, if one does.
    pub(crate) fn process(&self) -> Result<Option<rustix::process::Pid>> {
        let path = self.lock_file();
        let Ok(mut file) = File::open(&path) else { return Ok(None) };
        if FileExt::try_lock_shared(&file).with_context(|| format!("{} cannot be locked", path.display()))? {
            return Ok(None);
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let pid = text.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
        if pid.is_none() {
            bail!("{} does not say which process runs the home; try again in a second", path.display());
        }
        Ok(pid)
    }
}

impl Secrets {
    /// The secrets of a file; made when it is missing.
    pub(crate) fn ensure(path: &Path) -> Result<Self> {
        if path.exists() {
            return serde_json::from_str(&files::read(path)?)
                .with_context(|| format!("{} is damaged; restore it from a backup", path.display()));
        }
        let random = || freehold_kinds::key::hex(&rand::random::<[u8; 32]>());
        let secrets = Self {
            master_key: freehold_kinds::key::generate().into_inner(),
            session_key: random(),
            seal_key: random(),
            admin_password: freehold_kinds::password::generate(20, 5).into_inner(),
        };
        files::write_private(path, &serde_json::to_vec_pretty(&secrets)?)?;
        Ok(secrets)
    }

    /// A key as bytes.
    pub(crate) fn bytes(text: &str) -> Result<[u8; 32]> {
        let bytes: Option<Vec<u8>> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .context("a key in secrets.json is not 32 bytes in hexadecimal; restore the file")
    }
}

impl Running {
    /// Gives the home up.
    pub(crate) fn release(self) {
        drop(self.0);
    }
}

/// Removes a file, link or directory, if it is there.
fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    removed.with_context(|| format!("{} cannot be removed", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
mod tests {
    use super::*;

    #[test]
    fn only_homes_and_empty_directories_may_be_emptied() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        home.ensure_removable().unwrap();
        std::fs::create_dir(home.path().join("data")).unwrap();
        let refused = home.ensure_removable().unwrap_err().to_string();
        assert!(refused.contains("not a home"), "{refused}");
        home.secrets().unwrap();
        home.ensure_removable().unwrap();
    }

    #[test]
    fn what_is_not_of_the_home_stays() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        home.secrets().unwrap();
        for name in CONTENT.into_iter().chain(["store.sqlite-wal", "letters.txt"]) {
            std::fs::write(home.path().join(name), "").unwrap();
        }
        std::fs::remove_file(home.tls()).unwrap();
        std::fs::create_dir(home.tls()).unwrap();
        std::fs::write(home.ca_file(), "").unwrap();
        home.clear().unwrap();
        let left: Vec<_> =
            std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["letters.txt"]);
    }
}
