//! File share: a directory of a project that its machines mount over NFS. It stands as a network namespace with an
//! address of the project's private network, so that nobody else reaches it.

mod routes;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::agent::{Detail, ObjectKind, Specification};
use freehold_types::service::{self as node, ShareStore};
use freehold_types::{Id, wire};
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::file_backend::{self, FileBackend, Store};
use crate::hypervisor::Hypervisor;
use crate::kind::{Kind, Scope};
use crate::placed::{Placed, PlacedStatus};
use crate::project::{self, Project};
use crate::region::Region;
use crate::service::{self, Member};
use crate::subnet::{self, Subnet};

pub use routes::ROWS;

/// What a file share is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileShare {
    pub project: Id,
    pub region: Id,
    pub backend: Id,
    pub name: String,
    pub description: Option<String>,
    pub access: wire::Access,
    /// NFS versions; all when empty.
    pub protocols: Vec<u8>,
    pub subnet: Id,
    pub member: Member,
}

impl FileShare {
    /// Keeps names of file shares of a project apart.
    pub fn name_claim(project: Id, name: &str) -> String {
        format!("file_share/name/{project}/{}", name.to_ascii_lowercase())
    }
}

impl Entity for FileShare {
    const KIND: &'static str = "file_share";
    type Status = PlacedStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        vec![
            Self::name_claim(self.project, &self.name),
            subnet::ip_claim(self.subnet, self.member.address),
            service::mac_claim(self.member.mac),
        ]
    }

    fn references(&self) -> Vec<Reference> {
        vec![
            Reference::strong::<Project>(self.project),
            Reference::strong::<Region>(self.region),
            Reference::strong::<FileBackend>(self.backend),
            Reference::strong::<Subnet>(self.subnet),
            Reference::strong::<Hypervisor>(self.member.hypervisor),
        ]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for FileShare {
    const NOUN: &'static str = "file share";
    const PARAMETER: &'static str = "kyloId";
    type View = wire::FileShare;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::FileShare {
        let Self { name, description, access, protocols, member, .. } = object.spec.clone();
        let used = object.status.first().and_then(|state| match state.detail {
            Some(Detail::Share { bytes }) => Some(bytes),
            _ => None,
        });
        wire::FileShare {
            id: Some(object.id()),
            endpoint: Some(format!("{}:/{name}", member.address)),
            name,
            description,
            access,
            protocols,
            size: Some(used.unwrap_or(0)),
        }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Projects(vec![object.spec.project])
    }
}

impl Placed for FileShare {
    const OBJECT: ObjectKind = ObjectKind::Share;

    fn agents(object: &Object<Self>, snapshot: &Snapshot) -> Vec<Id> {
        object.spec.member.agent(snapshot).into_iter().collect()
    }

    fn specification(
        object: &Object<Self>,
        _: Id,
        snapshot: &Snapshot,
        environment: &Environment,
    ) -> Option<Specification> {
        let share = &object.spec;
        let subnet = &snapshot.get::<Subnet>(share.subnet)?.spec;
        let backend = snapshot.get::<FileBackend>(share.backend)?;
        let project = snapshot.get::<Project>(share.project)?;
        let member = &share.member;
        let router = project::way_out(project, share.region, member.zone, subnet, snapshot, environment);
        Some(Specification::Share(node::Share {
            name: share.name.clone(),
            private: service::port(share.subnet, member.mac, Some(member.address), snapshot)?,
            router,
            store: match file_backend::store(&backend.spec.fs).ok()? {
                Store::Directory(path) => ShareStore::Directory { path },
                Store::CephFs(name) => ShareStore::CephFs { name },
            },
            writable: share.access == wire::Access::ReadWrite,
            protocols: share.protocols.clone(),
            clients: vec![subnet.cidr],
        }))
    }
}
