//! Guest images made on the spot, and what a host needs to run them.
//!
//! [`tiny`] makes a small bootable disk in seconds, [`debian`] a full Debian; both are qcow2 files that
//! boot by themselves under UEFI and legacy BIOS and honour a NoCloud seed. [`system`] installs what a
//! hypervisor needs and starts libvirt; [`doctor`] tells what is missing and what to do about it.
//!
//! Promises: a file under its final name is whole; nothing is installed on the host to make an image, and
//! neither loop devices nor a vfat driver are needed. All calls block: run them on a thread of their own.
//! Must not: print, read configuration, or know of clouds and tenants.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

mod apt;
mod command;
mod disk;
mod elf;
mod files;
mod grub;
mod result;

pub mod debian;
pub mod doctor;
pub mod system;
pub mod tiny;

pub use system::release::{OsRelease, Supported};

/// A finished image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// The qcow2 file.
    pub path: PathBuf,
    /// Hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// Size of the disk that a guest sees, in bytes.
    pub virtual_size: u64,
}

/// Told of each step as it starts, in a few words for people.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// Why an image could not be made or the host not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file could not be read or written.
    #[error("{action} {path}", path = path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A program that is needed is not there.
    #[error("{program} is not installed: install the package {package}")]
    Missing { program: String, package: String },
    /// A program ran and failed.
    #[error("{command} failed: {reason}")]
    Command { command: String, reason: String },
    /// The host is not one that this works on.
    #[error("{0}")]
    Unsupported(String),
    /// The packages at hand do not hold what an image needs.
    #[error("{0}")]
    Content(String),
    /// The host could not be prepared.
    #[error("{0}")]
    Host(String),
}

impl ImageError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
