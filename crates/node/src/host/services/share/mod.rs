//! File shares: a namespace with NFS-Ganesha in it, which exports one directory of the host.
//!
//! The files of a share are in a directory named by its id, so that neither names nor paths of tenants reach the
//! host's file system. Removal takes them along.

mod ganesha;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{DirBuilder, read_dir, remove_dir_all};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use freehold_types::Id;
use freehold_types::agent::{ObjectKey, ObjectKind};
use freehold_types::service::{Share, ShareStore};

use super::daemon::replace;
use super::links::{self, Interface};
use super::{NetworkServices, nft};
use crate::host::{HostError, ServicePlan};

/// How many files are looked at for the space in use; a share with more tells less than it holds.
const COUNTED: usize = 200_000;

impl NetworkServices {
    pub(super) async fn share(&self, plan: &ServicePlan<'_, Share>) -> Result<u64, HostError> {
        let (id, share) = (plan.id, plan.service);
        let key = ObjectKey { kind: ObjectKind::Share, id };
        let own = links::own_address(&share.private)?;
        let wanted = Interface::new("private", &share.private, &plan.segments)?;
        if !share.protocols.is_empty() && !share.protocols.contains(&4) {
            return Err(HostError::Refused(
                "shares are served by NFS version 4 only: name 4 among the protocols, or none".to_owned(),
            ));
        }
        let files = files(id, &share.store)?;
        make(&files)?;
        let (directory, namespace) = self.stand(id).await?;
        // The rules first: they name interfaces that may come later.
        nft::apply(&namespace, &directory, &rules(share)).await?;
        links::ensure(id, self.outside(), &namespace, &[wanted], &BTreeSet::new()).await?;
        links::default_route(&namespace, share.router).await?;
        let (core, export) = (ganesha::core(&directory, own.addr()), ganesha::export(share, &files));
        replace(&directory.join("ganesha.conf"), format!("{core}{export}").as_bytes())?;
        let daemon = ganesha::daemon(&directory, namespace.path(), &core, &export);
        self.daemons.ensure(key, &daemon).await?;
        tokio::task::spawn_blocking(move || used(&files))
            .await
            .map_err(|error| HostError::Failed(format!("the space in use was not counted: {error}")))
    }

    /// Removes the service, then the files.
    pub(super) async fn remove_files(&self, id: Id, share: &Share) -> Result<(), HostError> {
        self.remove(id).await?;
        // What no node can have made is gone.
        let Ok(files) = files(id, &share.store) else { return Ok(()) };
        let shown = files.display().to_string();
        let removed = tokio::task::spawn_blocking(move || remove_dir_all(files)).await;
        match removed {
            Ok(Err(error)) if error.kind() != ErrorKind::NotFound => {
                Err(HostError::Failed(format!("{shown} cannot be removed: {error}")))
            }
            Err(error) => Err(HostError::Failed(format!("the removal of {shown} was cut off: {error}"))),
            Ok(_) => Ok(()),
        }
    }
}

/// The directory of a share's files.
fn files(id: Id, store: &ShareStore) -> Result<PathBuf, HostError> {
    match store {
        ShareStore::Directory { path } => Ok(Path::new(path).join(id.to_string())),
        ShareStore::CephFs { name } => Err(HostError::Refused(format!(
            "this node does not serve shares of the CephFS {name}: use a file backend whose `fs` is dir:PATH"
        ))),
    }
}

/// Everybody on the share may write at its root, as on the share of a new disk; the rest is the clients' business.
fn make(files: &Path) -> Result<(), HostError> {
    let failed = |error: std::io::Error| HostError::Failed(format!("{}: {error}", files.display()));
    if files.is_dir() {
        return Ok(());
    }
    // Nobody of the host comes by what tenants put there, such as programs of other users.
    let parent = files.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    // Under its name only when it is whole.
    let new = files.with_extension("new");
    DirBuilder::new().recursive(true).mode(0o700).create(&new).map_err(failed)?;
    std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).map_err(failed)?;
    std::fs::rename(&new, files).map_err(failed)
}

/// What comes in: NFS from the clients.
fn rules(share: &Share) -> String {
    let clients: Vec<String> = share.clients.iter().map(ToString::to_string).collect();
    format!(
        "add table inet freehold\ndelete table inet freehold\ntable inet freehold {{\n  chain input {{\n    \
         type filter hook input priority filter; policy drop;\n    ct state established,related accept\n    \
         iifname \"lo\" accept\n    icmp type echo-request accept\n    \
         ip saddr {{ {} }} tcp dport 2049 accept\n  }}\n}}\n",
        clients.join(", ")
    )
}

/// Bytes in use below a directory.
fn used(directory: &Path) -> u64 {
    let (mut bytes, mut counted, mut open) = (0_u64, 0_usize, vec![directory.to_owned()]);
    while let Some(next) = open.pop() {
        // What goes while it is looked at is not in use.
        for entry in read_dir(next).into_iter().flatten().flatten() {
            counted += 1;
            if counted > COUNTED {
                return bytes;
            }
            let Ok(found) = entry.metadata() else { continue };
            bytes = bytes.saturating_add(found.blocks().saturating_mul(512));
            if found.is_dir() {
                open.push(entry.path());
            }
        }
    }
    bytes
}
