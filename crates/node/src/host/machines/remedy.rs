//! What a person can do when a machine cannot be defined or started.
//!
//! Libvirt says what failed in its own words, which are passed on; this adds what is missing on the
//! host, found by looking rather than by reading those words. Looking blocks; telling is pure.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::facts;
use super::profile::Profile;
use super::virt_sys::Session;

/// Looks for what the machine needs and the host lacks; empty when nothing is found.
pub(super) fn find(needs: &[&'static str], session: &Session, profile: &Profile) -> String {
    // When libvirt cannot even say that, its first message is the one that counts.
    let features = facts::observe(session, profile).map(|facts| facts.features).ok();
    let lacking = needs.iter().copied().filter(|need| {
        features.as_ref().is_some_and(|features| !features.iter().any(|feature| feature == need))
    });
    tell(lacking, closed_directory(&profile.state_directory))
}

/// The first directory on the way that others cannot pass through: QEMU, which has a user of its own, then
/// cannot open the seed.
pub(super) fn closed_directory(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .filter(|directory| !directory.as_os_str().is_empty())
        .find(|directory| directory.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 == 0))
        .map(Path::to_owned)
}

fn tell(lacking: impl Iterator<Item = &'static str>, closed: Option<PathBuf>) -> String {
    let mut remedies: Vec<String> = lacking
        .map(|need| match need {
            "tpm" => "install swtpm and swtpm-tools".to_owned(),
            "secureboot" => "install UEFI firmware with Secure Boot (package ovmf)".to_owned(),
            _ => "install UEFI firmware for machines (package ovmf, on ARM qemu-efi-aarch64)".to_owned(),
        })
        .collect();
    if let Some(closed) = closed {
        remedies.push(format!(
            "unless QEMU runs as root, let others pass through {} (chmod o+x)",
            closed.display()
        ));
    }
    if remedies.is_empty() { String::new() } else { format!("; {}", remedies.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_is_named_and_the_rest_is_not() {
        assert_eq!(tell([].into_iter(), None), "");
        assert_eq!(tell(["tpm"].into_iter(), None), "; install swtpm and swtpm-tools");
        let both = tell(["uefi", "tpm"].into_iter(), Some("/root".into()));
        assert!(
            both.contains("ovmf") && both.contains("swtpm") && both.contains("/root (chmod o+x)"),
            "{both}"
        );
    }

    #[test]
    fn a_private_directory_is_found_on_the_way() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let allow =
            |mode| std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        allow(0o700);
        assert_eq!(closed_directory(&inner).as_deref(), Some(root.path()));
        allow(0o711);
        assert_eq!(closed_directory(&inner), None);
    }
}
