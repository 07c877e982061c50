//! Is this host fit to run machines? Facts are gathered by [`probe`], and turned into checks by [`judge`].
//!
//! Promises: probing changes nothing that outlives it (kernel modules may get loaded), and every check that
//! is not [`Status::Ok`] says what to do. Must not: decide what to do about it; callers do.

mod judge;
mod probe;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use judge::judge;
pub use probe::probe;

use crate::system::Libvirt;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// It works, with a drawback that the remedy removes.
    Warning,
    /// Something will not work until it is remedied.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: String,
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do; empty when all is well.
    pub remedy: String,
}

/// What to look at besides the host itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Addresses that must be free to listen on.
    pub listen: Vec<SocketAddr>,
    /// Directories that must have room, with the bytes that they must have.
    pub room: Vec<(PathBuf, u64)>,
    /// Memory that machines are to use, in bytes.
    pub memory: u64,
}

/// What was found on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub kvm: KvmDevice,
    /// The processor says that it can virtualise (`svm` or `vmx`).
    pub virtualization_flag: bool,
    /// Versions, or why it does not answer.
    pub libvirt: Result<Libvirt, String>,
    /// First line of the emulator's own version, if it is installed.
    pub qemu: Option<String>,
    /// Firmware image for UEFI machines.
    pub ovmf: Option<PathBuf>,
    pub swtpm: bool,
    /// Whether each feature was there when tried; `None` when trying needs rights that this process lacks.
    pub kernel: Vec<(Feature, Option<bool>)>,
    /// Why an address cannot be listened on; `None` when it can.
    pub listen: Vec<(SocketAddr, Option<String>)>,
    /// Bytes available, needed, or why that cannot be told.
    pub room: Vec<(PathBuf, u64, Result<u64, String>)>,
    /// Bytes of memory: wanted, available, all.
    pub memory: Memory,
    pub clock: Clock,
}

/// The KVM device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvmDevice {
    Absent,
    /// It is there and this process may not open it.
    Denied,
    Usable,
}

/// A feature of the kernel that machines' networks need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    Bridge,
    Vxlan,
    Vlan,
    Tap,
    Nftables,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub wanted: u64,
    pub available: u64,
    pub total: u64,
}

/// What can be said of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Seconds since 1970.
    pub now: u64,
    /// When this program was written to disk, in seconds since 1970: the clock cannot be earlier.
    pub program: Option<u64>,
    /// Whether a time service says that it keeps the clock; `None` when none can be asked.
    pub synchronized: Option<bool>,
}
