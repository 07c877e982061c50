//! A network namespace of our own, kept by a bind mount in the node's state, so that it and what runs in it
//! outlive the node, and several nodes can share a machine.
//!
//! *Guarantees:* making one that is there changes nothing; one that a reboot took away is made anew; one whose
//! mount is gone while something runs in it is kept again (a supervisor may give each start of the node mounts of
//! its own, which end with it).

use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{FsType, statfs};

use crate::host::HostError;
use crate::host::network::wire::{isolated, within};

/// Type of the file system that namespaces are files of (`NSFS_MAGIC` of linux/magic.h).
const NSFS: FsType = FsType(0x6e73_6673);

/// What is set in it: it routes, believes no redirects, has no IPv6, and remembers many connections.
const SETTINGS: &[(&str, &str)] = &[
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv4/conf/all/accept_redirects", "0"),
    ("net/ipv4/conf/default/accept_redirects", "0"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/default/send_redirects", "0"),
    // Answers come back by another way than they went while an address moves; spoofing is the firewall's matter.
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/conf/all/arp_ignore", "1"),
    ("net/ipv4/conf/all/arp_announce", "2"),
    ("net/ipv4/ip_nonlocal_bind", "1"),
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    ("net/netfilter/nf_conntrack_tcp_be_liberal", "1"),
];

/// How many connections are remembered. Only the first namespace of a host may set it; others follow.
const CONNECTIONS: (&str, u64) = ("net/netfilter/nf_conntrack_max", 524_288);

/// A namespace, by the file that keeps it.
#[derive(Debug, Clone)]
pub(super) struct Namespace {
    path: PathBuf,
}

impl Namespace {
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join("netns") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    pub(super) fn exists(&self) -> bool {
        statfs(&self.path).is_ok_and(|found| found.filesystem_type() == NSFS)
    }

    /// Makes it, if it is not there; `living` is the number of a process that was started in it.
    pub(super) async fn ensure(&self, living: Option<i32>) -> Result<(), HostError> {
        if !self.exists() {
            let path = self.path.clone();
            isolated(move || make(&path, living)).await?.map_err(|error| self.explain("made", &error))?;
        }
        let (name, wanted) = CONNECTIONS;
        within(Some(&self.path), move || {
            for (name, value) in SETTINGS {
                set(name, value)?;
            }
            let file = format!("/proc/sys/{name}");
            let known = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u64>().ok());
            if known.is_some_and(|known| known < wanted) {
                // A container may not; the host's own value then holds.
                let _ = std::fs::write(&file, wanted.to_string());
            }
            Ok(())
        })
        .await?
        .map_err(|error: io::Error| self.explain("set up", &error))
    }

    /// Removes it; what still runs in it loses its network.
    pub(super) fn remove(&self) -> Result<(), HostError> {
        while self.exists() {
            umount2(&self.path, MntFlags::MNT_DETACH)
                .map_err(|error| self.explain("removed", &error.into()))?;
        }
        Ok(())
    }

    fn explain(&self, verb: &str, error: &io::Error) -> HostError {
        let path = self.path.display();
        let what = format!("the network namespace {path} cannot be {verb}: {error}");
        if error.kind() == io::ErrorKind::PermissionDenied {
            return HostError::Refused(format!("{what}; run the node as root"));
        }
        HostError::Failed(what)
    }
}

/// Keeps by the file the namespace of a process, or a new one, which the thread is left in.
fn make(path: &Path, living: Option<i32>) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::File::create(path)?;
    let source = if let Some(living) = living {
        format!("/proc/{living}/ns/net")
    } else {
        unshare(CloneFlags::CLONE_NEWNET)?;
        "/proc/thread-self/ns/net".to_owned()
    };
    mount(Some(source.as_str()), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(())
}

/// Changes a setting of the kernel, where it has it.
fn set(name: &str, value: &str) -> io::Result<()> {
    let file = format!("/proc/sys/{name}");
    match std::fs::read_to_string(&file) {
        Ok(text) if text.trim() == value => Ok(()),
        Ok(_) => std::fs::write(&file, value),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
