//! Pools that are directories of qcow2 files.
//!
//! ```text
//! {pool}/.freehold-pool            whose pool this is
//! {pool}/{volume id}.qcow2         a volume; a clone names `images/{image id}.qcow2` as its backing file
//! {pool}/images/{image id}.qcow2   an image, never written to
//! {pool}/images/{image id}.json    where it came from
//! {pool}/….partial-{id}.*          unfinished work, removed by the next call for the same id
//! ```
//!
//! Promises: a file under its final name is whole and on disk; files that are not named so are never
//! touched; a clone costs milliseconds and no space, whatever the size of its image. Backing files are
//! named relative to the pool, so that a pool can be moved. Directories can be passed through and images
//! be read by everyone, since QEMU runs as a user of its own; volumes are its owner's alone, whom libvirt
//! sets.

mod files;
mod image;
mod layout;
mod memory;
mod pool;
mod record;
mod volume;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{Detail, Image, Volume};
use tokio::sync::watch;

use self::layout::Layout;
pub(super) use self::memory::Memory;
use super::{Driver, Shared, blocking};
use crate::host::HostError;

/// One pool.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    id: Id,
    /// What the pool is called in messages.
    subject: String,
    layout: Layout,
    shared: Arc<Shared>,
}

impl Directory {
    /// Opens the pool; its directory need not exist yet.
    pub(super) fn open(id: Id, name: &str, path: &str, shared: Arc<Shared>) -> Result<Self, HostError> {
        let subject = format!("pool {name} ({id})");
        let layout = Layout::new(path)
            .map_err(|why| HostError::Refused(format!("{subject}: its directory `{path}` {why}")))?;
        Ok(Self { id, subject, layout, shared })
    }

    /// Lets operators see what changed.
    fn changed(&self) {
        self.shared.pools.show(self.id, self.layout.root().to_owned());
    }

    /// Runs work on files away from the tasks that must not block.
    async fn files<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let pool = self.clone();
        blocking(move || act(&pool)).await?
    }

    fn io(&self, path: &Path) -> impl FnOnce(std::io::Error) -> HostError + use<> {
        files::failure(self.subject.clone(), path.to_owned())
    }
}

#[async_trait]
impl Driver for Directory {
    async fn ensure_pool(&self) -> Result<Detail, HostError> {
        let detail = self.files(Self::prepare).await?;
        self.changed();
        Ok(detail)
    }

    async fn remove_pool(&self) -> Result<(), HostError> {
        self.files(Self::dissolve).await?;
        self.shared.pools.hide(self.id);
        Ok(())
    }

    async fn ensure_image(
        &self,
        id: Id,
        image: &Image,
        progress: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError> {
        self.make_image(id, image, progress).await.map_err(|error| about(error, "image", &image.name, id))
    }

    async fn remove_image(&self, id: Id, image: &Image) -> Result<(), HostError> {
        let outcome = self.files(move |pool| pool.drop_image(id)).await;
        outcome.map_err(|error| about(error, "image", &image.name, id))
    }

    async fn ensure_volume(&self, id: Id, volume: &Volume) -> Result<Detail, HostError> {
        self.make_volume(id, volume).await.map_err(|error| about(error, "volume", &volume.name, id))
    }

    async fn remove_volume(&self, id: Id, volume: &Volume) -> Result<(), HostError> {
        self.drop_volume(id).await.map_err(|error| about(error, "volume", &volume.name, id))
    }
}

/// Says what an error is about.
fn about(error: HostError, kind: &str, name: &str, id: Id) -> HostError {
    match error {
        HostError::Refused(text) => HostError::Refused(format!("{kind} {name} ({id}): {text}")),
        HostError::Failed(text) => HostError::Failed(format!("{kind} {name} ({id}): {text}")),
    }
}
