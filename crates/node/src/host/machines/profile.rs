//! What kind of host this is, as far as it shapes a machine's definition.
//!
//! Detection reads `/dev/kvm` and `/proc/cpuinfo` once; everything else is pure.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use freehold_types::Id;
use serde::{Deserialize, Serialize};

/// How machines are accelerated, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// KVM where it really works, TCG elsewhere.
    #[default]
    Auto,
    /// Hardware virtualisation, or nothing.
    Kvm,
    /// Emulation.
    Tcg,
}

/// How machines run on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    Tcg,
}

impl Accelerator {
    /// Libvirt's name for domains that run so.
    pub const fn domain_type(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "qemu",
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

/// A processor architecture on which machines can be defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    Aarch64,
}

impl Architecture {
    /// From the kernel's name for it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// The kernel's and libvirt's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// QEMU's name for the machine that is built.
    pub const fn chipset(self) -> &'static str {
        match self {
            Self::X86_64 => "q35",
            Self::Aarch64 => "virt",
        }
    }
}

/// How a machine's screen is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Display {
    #[default]
    Vnc,
    Spice,
}

/// What the renderer of definitions knows of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) architecture: Architecture,
    pub(super) accelerator: Accelerator,
    pub(super) display: Display,
    /// Address on which screens listen.
    pub(super) display_listen: IpAddr,
    /// Where seeds and serial logs lie.
    pub(super) state_directory: PathBuf,
}

impl Profile {
    /// File of the machine's seed.
    pub(super) fn seed_path(&self, id: Id) -> PathBuf {
        crate::host::seed::path(&self.state_directory, id)
    }

    /// File to which the machine's serial console is written, beside the pty.
    pub(super) fn serial_log(&self, id: Id) -> PathBuf {
        self.serial_directory().join(format!("{id}.log"))
    }

    /// Directory of the serial logs.
    pub(super) fn serial_directory(&self) -> PathBuf {
        self.state_directory.join("serial")
    }
}

/// Chooses the accelerator; an error when KVM is demanded and cannot work.
pub(super) fn choose_accelerator(
    wish: Accel,
    kvm_opens: bool,
    cpu_virtualises: bool,
) -> Result<Accelerator, String> {
    match wish {
        Accel::Kvm if !kvm_opens => {
            Err("accel is `kvm`, but /dev/kvm cannot be opened: load kvm_intel or kvm_amd, \
                                         switch on virtualisation in the firmware, or set accel to `tcg`"
                .to_owned())
        }
        Accel::Kvm => Ok(Accelerator::Kvm),
        Accel::Auto if kvm_opens && cpu_virtualises => Ok(Accelerator::Kvm),
        Accel::Auto | Accel::Tcg => Ok(Accelerator::Tcg),
    }
}

/// Whether the processor flags in `/proc/cpuinfo` name hardware virtualisation. A `/dev/kvm` without them
/// exists in some containers and nested hosts, and fails only when a machine starts. Other architectures
/// than x86 have no such flag, and there the device alone counts.
pub(super) fn cpu_virtualises(architecture: Architecture, cpuinfo: &str) -> bool {
    match architecture {
        Architecture::X86_64 => cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.trim() == "flags")
            .any(|(_, flags)| flags.split_ascii_whitespace().any(|flag| flag == "vmx" || flag == "svm")),
        Architecture::Aarch64 => true,
    }
}

/// Whether the device can be opened for reading and writing.
pub(super) fn kvm_opens(device: &Path) -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open(device).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_needs_device_and_flag() {
        for (wish, opens, virtualises, expected) in [
            (Accel::Auto, true, true, Some(Accelerator::Kvm)),
            (Accel::Auto, true, false, Some(Accelerator::Tcg)),
            (Accel::Auto, false, true, Some(Accelerator::Tcg)),
            (Accel::Kvm, true, false, Some(Accelerator::Kvm)),
            (Accel::Kvm, false, true, None),
            (Accel::Tcg, true, true, Some(Accelerator::Tcg)),
        ] {
            assert_eq!(
                choose_accelerator(wish, opens, virtualises).ok(),
                expected,
                "{wish:?} {opens} {virtualises}"
            );
        }
    }

    #[test]
    fn flags_are_whole_words() {
        let with = |flags| format!("processor\t: 0\nflags\t\t: fpu {flags} sse\nvmx flags\t: ept\n");
        assert!(cpu_virtualises(Architecture::X86_64, &with("vmx")));
        assert!(cpu_virtualises(Architecture::X86_64, &with("svm")));
        assert!(!cpu_virtualises(Architecture::X86_64, &with("svm_lock")));
        assert!(cpu_virtualises(Architecture::Aarch64, ""));
    }
}
