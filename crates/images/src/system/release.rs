//! Which system this is, as `/etc/os-release` tells.

use std::fmt;
use std::path::Path;

use crate::{ImageError, files};

/// A release whose packages are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supported {
    Debian12,
    Debian13,
    Ubuntu2404,
}

/// The parts of `/etc/os-release` that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// Lower-case word such as `debian`.
    pub id: String,
    /// Such as `12`; empty on rolling releases.
    pub version: String,
    /// What people call it.
    pub name: String,
}

impl OsRelease {
    /// Reads the file's content; unknown lines are left out.
    pub fn parse(text: &str) -> Self {
        let value = |wanted: &str| {
            let found = text.lines().find_map(|line| line.trim().strip_prefix(wanted)?.strip_prefix('='));
            found.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
        };
        Self { id: value("ID"), version: value("VERSION_ID"), name: value("PRETTY_NAME") }
    }

    /// That of this host.
    ///
    /// # Errors
    ///
    /// When there is no such file, as outside Linux.
    pub fn of_host() -> Result<Self, ImageError> {
        let path = Path::new("/etc/os-release");
        if !path.exists() {
            return Err(ImageError::Unsupported(format!(
                "this host ({}) is not Linux, and machines run on Linux only: use Debian 12, Debian 13 or Ubuntu 24.04",
                std::env::consts::OS
            )));
        }
        Ok(Self::parse(&String::from_utf8_lossy(&files::read(path)?)))
    }

    /// The release, if its packages are known.
    pub fn supported(&self) -> Option<Supported> {
        match (self.id.as_str(), self.version.as_str()) {
            ("debian", "12") => Some(Supported::Debian12),
            ("debian", "13") => Some(Supported::Debian13),
            ("ubuntu", "24.04") => Some(Supported::Ubuntu2404),
            _ => None,
        }
    }
}

impl fmt::Display for OsRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() { f.write_str("an unknown Linux") } else { f.write_str(&self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_apart() {
        let debian = OsRelease::parse(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n",
        );
        assert_eq!(debian.supported(), Some(Supported::Debian12));
        assert_eq!(debian.to_string(), "Debian GNU/Linux 12 (bookworm)");
        let fedora = OsRelease::parse("ID=fedora\nVERSION_ID=42\n");
        assert_eq!(fedora.supported(), None);
        assert_eq!(fedora.to_string(), "an unknown Linux");
    }
}
