//! NFS-Ganesha: one export, NFS version 4 over TCP. Pure.

use std::net::Ipv4Addr;
use std::path::Path;

use freehold_types::service::Share;
use rustix::process::Signal;

use crate::host::services::daemon::Daemon;

/// What it reads at its start only.
pub(super) fn core(directory: &Path, address: Ipv4Addr) -> String {
    format!(
        "NFS_CORE_PARAM {{\n  Protocols = 4;\n  NFS_Port = 2049;\n  Bind_addr = {address};\n  Enable_NLM = false;\n  \
         Enable_RQUOTA = false;\n  fsid_device = true;\n}}\nNFSv4 {{\n  RecoveryBackend = fs;\n  RecoveryRoot = {};\n  \
         Only_Numeric_Owners = true;\n  Grace_Period = 10;\n  Lease_Lifetime = 10;\n  Minor_Versions = 0, 1, 2;\n}}\n\
         NFS_KRB5 {{\n  Active_krb5 = false;\n}}\n",
        directory.join("recovery").display()
    )
}

/// What it reads again on a signal.
pub(super) fn export(share: &Share, files: &Path) -> String {
    let clients: Vec<String> = share.clients.iter().map(ToString::to_string).collect();
    let access = if share.writable { "RW" } else { "RO" };
    format!(
        "EXPORT {{\n  Export_Id = 1;\n  Path = \"{}\";\n  Pseudo = \"/{}\";\n  Protocols = 4;\n  Transports = TCP;\n  \
         Access_Type = None;\n  Squash = No_Root_Squash;\n  SecType = sys;\n  CLIENT {{\n    Clients = {};\n    \
         Access_Type = {access};\n  }}\n  FSAL {{\n    Name = VFS;\n  }}\n}}\n",
        files.display(),
        share.name,
        clients.join(", ")
    )
}

/// The daemon that does it.
pub(super) fn daemon(directory: &Path, namespace: &Path, core: &str, export: &str) -> Daemon {
    let at = |name: &str| directory.join(name).display().to_string();
    Daemon {
        program: "ganesha.nfsd",
        package: "nfs-ganesha nfs-ganesha-vfs",
        arguments: [
            "-F".to_owned(),
            "-f".to_owned(),
            at("ganesha.conf"),
            "-L".to_owned(),
            "STDOUT".to_owned(),
            "-p".to_owned(),
            at("ganesha.pid"),
            "-N".to_owned(),
            "NIV_EVENT".to_owned(),
        ]
        .to_vec(),
        environment: Vec::new(),
        directory: directory.to_owned(),
        namespace: Some(namespace.to_owned()),
        pid_files: &["ganesha.pid"],
        reloads: export.to_owned(),
        restarts: core.to_owned(),
        reload: Signal::HUP,
    }
}
