//! File backend: where the file shares of a region lie.

mod routes;
mod spec;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::pool::Pool;
use crate::region::Region;
use crate::route::Call;

pub use routes::ROWS;
pub(crate) use routes::default_of;
pub(crate) use spec::{Store, store};

/// What a file backend is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBackend {
    pub region: Id,
    pub name: String,
    pub description: Option<String>,
    /// Where people may mount from, by their own word.
    pub endpoint: String,
    /// `dir:` and a directory of a host, or the name of a CephFS.
    pub fs: String,
    pub backends: Vec<String>,
    pub port: u16,
    /// The pool whose agents reach it.
    pub pool: Id,
}

impl FileBackend {
    /// Keeps names of file backends of a region apart.
    pub fn name_claim(region: Id, name: &str) -> String {
        format!("file_backend/name/{region}/{name}")
    }
}

impl Entity for FileBackend {
    const KIND: &'static str = "file_backend";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(self.region, &self.name)]
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::strong::<Region>(self.region), Reference::strong::<Pool>(self.pool)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for FileBackend {
    const NOUN: &'static str = "file backend";
    const PARAMETER: &'static str = "nfsId";
    type View = wire::FileBackend;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::FileBackend {
        let Self { name, description, endpoint, fs, backends, port, .. } = object.spec.clone();
        wire::FileBackend { id: Some(object.id()), name, description, endpoint, fs, backends, port }
    }

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        // Members name it when they make a share; the operations on it are the operators'.
        Scope::Everyone
    }
}

impl Updatable for FileBackend {
    type Update = wire::FileBackendUpdate;

    fn updated(
        object: &Object<Self>,
        change: wire::FileBackendUpdate,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let current = object.spec.clone();
        let name = crud::changed_name::<Self>(&current.name, change.name)?;
        let claim = Self::name_claim(current.region, &name);
        crud::refuse_taken::<Self>(call.snapshot, &claim, Some(object.id()), &name)?;
        let spec = Self {
            name,
            description: crud::changed_description(current.description.as_deref(), change.description)?,
            endpoint: change.endpoint.filter(|text| !text.is_empty()).unwrap_or(current.endpoint),
            fs: change.fs.filter(|text| !text.is_empty()).unwrap_or(current.fs),
            backends: change.backends.unwrap_or(current.backends),
            port: change.port.unwrap_or(current.port),
            ..current
        };
        spec::check(&spec)?;
        routes::refuse_moving(object, &spec, call.snapshot)?;
        Ok(spec)
    }
}
