//! Which packages a host needs, and which of them are to be installed from where. Pure.

use std::collections::BTreeMap;

use super::release::{OsRelease, Supported};

/// The suite that newer QEMU and libvirt come from on Debian 12.
pub const BACKPORTS: &str = "bookworm-backports";

const RUN: &str = include_str!("../../../../deploy/packages/run");
/// What marks a version from backports of Debian 12.
const BACKPORT_MARK: &str = "~bpo12";

/// The packages that a host of this release needs to run machines. The three releases name them alike.
pub fn packages(_release: Supported) -> Vec<&'static str> {
    RUN.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect()
}

/// What to do on a release whose packages are not known.
pub fn unknown_release(release: &OsRelease) -> String {
    let needs = match release.id.as_str() {
        "fedora" | "rhel" | "centos" | "rocky" | "almalinux" => {
            "dnf install libvirt-daemon-kvm libvirt-client qemu-img edk2-ovmf swtpm swtpm-tools nftables e2fsprogs"
        }
        "arch" => "pacman -S libvirt qemu-base edk2-ovmf swtpm nftables e2fsprogs",
        "opensuse-leap" | "opensuse-tumbleweed" | "sles" => {
            "zypper install libvirt-daemon-qemu libvirt-client qemu-x86 qemu-tools qemu-ovmf-x86_64 swtpm nftables e2fsprogs"
        }
        _ => "QEMU for x86, qemu-img, libvirt with virsh, OVMF, swtpm, nftables, e2fsprogs",
    };
    format!(
        "packages are installed by themselves on Debian 12, Debian 13 and Ubuntu 24.04 only, and this is {release}; \
         install by hand: {needs}"
    )
}

/// Installed packages with their versions.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Installed(BTreeMap<String, String>);

impl Installed {
    /// Reads lines of `STATUS PACKAGE VERSION`; only those with the status `installed` count.
    pub fn parse(text: &str) -> Self {
        let entries = text.lines().filter_map(|line| {
            let (name, version) = line.strip_prefix("installed ")?.split_once(' ')?;
            Some((name.to_owned(), version.trim().to_owned()))
        });
        Self(entries.collect())
    }

    fn is_backport(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|version| version.contains(BACKPORT_MARK))
    }
}

/// What is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Names, in the order of the list; empty when nothing is to be done.
    pub packages: Vec<String>,
    /// Suite to take them from, when not the one that apt prefers.
    pub suite: Option<&'static str>,
    /// The suite must be added to the package sources first.
    pub add_source: bool,
}

impl Installation {
    /// Compares what a release needs with what is there.
    ///
    /// The parts of QEMU must be of one version, and libvirt at least as new as QEMU (libvirt 9 cannot talk to
    /// QEMU 10). So when a part of either came from backports, all of both is taken from there.
    pub fn plan(release: Supported, installed: &Installed, backports_known: bool) -> Self {
        let backports = release == Supported::Debian12
            && installed.0.keys().any(|name| is_hypervisor(name) && installed.is_backport(name));
        let packages: Vec<String> = packages(release)
            .into_iter()
            .filter(|name| {
                let present = installed.0.contains_key(*name);
                !present || backports && is_hypervisor(name) && !installed.is_backport(name)
            })
            .map(str::to_owned)
            .collect();
        let add_source = backports && !backports_known && !packages.is_empty();
        Self { suite: (backports && !packages.is_empty()).then_some(BACKPORTS), packages, add_source }
    }
}

/// Parts of QEMU and libvirt, whose versions depend on each other.
fn is_hypervisor(name: &str) -> bool {
    ["qemu-system", "qemu-utils", "qemu-block", "libvirt-", "libvirt0"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(entries: &[(&str, &str)]) -> Installed {
        Installed(entries.iter().map(|&(name, version)| (name.to_owned(), version.to_owned())).collect())
    }

    fn complete(version: &str) -> Vec<(&'static str, String)> {
        packages(Supported::Debian12).into_iter().map(|name| (name, version.to_owned())).collect()
    }

    #[test]
    fn the_list_has_names_only() {
        let list = packages(Supported::Ubuntu2404);
        assert!(list.contains(&"qemu-system-x86"));
        assert!(list.iter().all(|name| !name.contains([' ', '#'])), "{list:?}");
    }

    #[test]
    fn a_complete_host_needs_nothing() {
        let complete = complete("1");
        let entries: Vec<_> = complete.iter().map(|(name, version)| (*name, version.as_str())).collect();
        let plan = Installation::plan(Supported::Debian12, &installed(&entries), false);
        assert_eq!(plan, Installation { packages: Vec::new(), suite: None, add_source: false });
    }

    #[test]
    fn a_fresh_host_takes_all_from_its_own_suite() {
        let plan = Installation::plan(Supported::Debian13, &Installed::default(), false);
        assert_eq!(plan.packages.len(), packages(Supported::Debian13).len());
        assert_eq!((plan.suite, plan.add_source), (None, false));
    }

    #[test]
    fn one_part_from_backports_takes_all_of_qemu_and_libvirt_from_there() {
        let there = installed(&[
            ("qemu-utils", "1:10.0.2+ds-2+deb13u1~bpo12+1"),
            ("libvirt-daemon-system", "9.0.0-4"),
            ("ovmf", "2022.11-6"),
        ]);
        let plan = Installation::plan(Supported::Debian12, &there, false);
        assert_eq!((plan.suite, plan.add_source), (Some(BACKPORTS), true));
        for name in ["qemu-system-x86", "libvirt-daemon-system"] {
            assert!(plan.packages.iter().any(|package| package == name), "{name}");
        }
        for name in ["qemu-utils", "ovmf"] {
            assert!(plan.packages.iter().all(|package| package != name), "{name}");
        }
        assert!(!Installation::plan(Supported::Debian12, &there, true).add_source);
    }

    #[test]
    fn removed_packages_do_not_count() {
        let parsed = Installed::parse("installed ovmf 1\nconfig-files qemu-utils 2\n");
        assert_eq!(parsed, installed(&[("ovmf", "1")]));
    }

    #[test]
    fn other_systems_are_told_what_to_install() {
        let text = unknown_release(&OsRelease::parse("ID=fedora\nPRETTY_NAME=\"Fedora Linux 42\""));
        assert!(text.contains("Fedora Linux 42") && text.contains("dnf install"), "{text}");
    }
}
