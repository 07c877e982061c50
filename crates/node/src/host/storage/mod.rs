//! Storage on this host: pools, images and volumes.
//!
//! [`LocalStorage`] hands each call to the driver of the pool; a driver is one folder or file that
//! implements [`Driver`]. What a driver promises is said in [`crate::host`]; this module adds nothing.
//!
//! Images are bytes of strangers. They are looked at by code of our own before QEMU's tools see them,
//! and nothing that refers to another file of the host is accepted.

mod directory;
mod fetch;
pub(in crate::host) mod libvirt;
mod libvirt_pools;
mod qcow2;
mod qemu_img;
mod unpack;
mod unsupported;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{Detail, Image, Pool, PoolDriver, Volume};
use tokio::sync::watch;

use self::directory::{Directory, Memory};
use self::fetch::Fetcher;
use self::libvirt::Libvirt;
use self::libvirt_pools::LibvirtPools;
use self::unsupported::Unsupported;
use super::{HostError, Storage};

/// How storage is set up.
#[derive(Debug, Clone, Default)]
pub struct StorageConfig {
    /// Directories that `file:` images may come from, at any depth. Empty: none may.
    pub image_directories: Vec<PathBuf>,
    /// Connection URI of the libvirt that runs the machines of this host. Without one, no machine is
    /// taken to use a volume.
    pub libvirt: Option<String>,
}

/// The storage of this host.
#[derive(Debug)]
pub struct LocalStorage {
    shared: Arc<Shared>,
}

impl LocalStorage {
    /// Storage as configured. Nothing is touched before the first call.
    pub fn new(config: StorageConfig) -> Self {
        Self::assemble(config, Memory::default())
    }

    /// Storage that remembers in a directory which pools it made, so that one whose disk is not mounted
    /// after a reboot is reported, and not begun anew on the disk below. The directory is made when
    /// absent.
    pub fn with_memory(config: StorageConfig, directory: PathBuf) -> Self {
        Self::assemble(config, Memory::new(directory))
    }

    fn assemble(config: StorageConfig, memory: Memory) -> Self {
        Self {
            shared: Arc::new(Shared {
                fetcher: Fetcher::new(config.image_directories),
                pools: LibvirtPools::new(config.libvirt.clone()),
                libvirt: Libvirt::new(config.libvirt),
                memory,
                references: Mutex::new(()),
            }),
        }
    }

    fn driver(&self, id: Id, pool: &Pool) -> Result<Box<dyn Driver>, HostError> {
        Ok(match &pool.driver {
            PoolDriver::Directory { path } => {
                Box::new(Directory::open(id, &pool.name, path, Arc::clone(&self.shared))?)
            }
            PoolDriver::Rbd { .. } => Box::new(Unsupported::new(id, &pool.name, "Ceph (rbd)")),
            PoolDriver::Logical { .. } => Box::new(Unsupported::new(id, &pool.name, "LVM (logical)")),
        })
    }
}

/// What all pools of a host have in common.
#[derive(Debug)]
struct Shared {
    fetcher: Fetcher,
    libvirt: Libvirt,
    pools: LibvirtPools,
    memory: Memory,
    /// Held while a clone is put in place and while an image is removed, so that no clone appears
    /// between the search for clones and the removal.
    references: Mutex<()>,
}

/// One way to store volumes, opened for one pool.
#[async_trait]
trait Driver: Send + Sync {
    async fn ensure_pool(&self) -> Result<Detail, HostError>;
    async fn remove_pool(&self) -> Result<(), HostError>;
    async fn ensure_image(
        &self,
        id: Id,
        image: &Image,
        progress: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError>;
    async fn remove_image(&self, id: Id, image: &Image) -> Result<(), HostError>;
    async fn ensure_volume(&self, id: Id, volume: &Volume) -> Result<Detail, HostError>;
    async fn remove_volume(&self, id: Id, volume: &Volume) -> Result<(), HostError>;
}

#[async_trait]
impl Storage for LocalStorage {
    async fn ensure_pool(&self, id: Id, pool: &Pool) -> Result<Detail, HostError> {
        self.driver(id, pool)?.ensure_pool().await
    }

    async fn remove_pool(&self, id: Id, pool: &Pool) -> Result<(), HostError> {
        self.driver(id, pool)?.remove_pool().await
    }

    async fn ensure_image(
        &self,
        id: Id,
        image: &Image,
        pool: &Pool,
        progress: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError> {
        self.driver(image.pool, pool)?.ensure_image(id, image, progress).await
    }

    async fn remove_image(&self, id: Id, image: &Image, pool: &Pool) -> Result<(), HostError> {
        self.driver(image.pool, pool)?.remove_image(id, image).await
    }

    async fn ensure_volume(&self, id: Id, volume: &Volume, pool: &Pool) -> Result<Detail, HostError> {
        self.driver(volume.pool, pool)?.ensure_volume(id, volume).await
    }

    async fn remove_volume(&self, id: Id, volume: &Volume, pool: &Pool) -> Result<(), HostError> {
        self.driver(volume.pool, pool)?.remove_volume(id, volume).await
    }
}

/// Runs work that blocks on a thread meant for that.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Result<T, HostError> {
    tokio::task::spawn_blocking(act)
        .await
        .map_err(|error| HostError::Failed(format!("work on storage was cut off: {error}")))
}
