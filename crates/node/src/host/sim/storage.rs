//! Simulated storage: names and sizes.

use async_trait::async_trait;
use freehold_types::agent::{Detail, Image, ObjectKey, ObjectKind, Pool, Volume, VolumeContent};
use freehold_types::{Id, size};
use tokio::sync::watch;

use super::{Sim, Verb, World, violation};
use crate::host::{HostError, Storage};

impl World {
    /// Bytes in use in a pool.
    fn allocated(&self, pool: Id, image_size: u64) -> u64 {
        let images = self.images.values().filter(|image| image.pool == pool).count() as u64;
        let volumes = self.volumes.values().filter(|volume| volume.pool == pool).map(|volume| volume.bytes);
        images * image_size + volumes.sum::<u64>()
    }
}

impl Sim {
    fn room(&self, world: &World, pool: Id, bytes: u64, name: &str) -> Result<(), HostError> {
        let capacity = self.inner.config.pool_capacity;
        let allocated = world.allocated(pool, self.inner.config.image_size);
        if allocated + bytes <= capacity {
            return Ok(());
        }
        Err(HostError::Failed(format!(
            "pool {pool} has no room for {name}: it needs {}, and {} of {} are in use",
            size::display(bytes),
            size::display(allocated),
            size::display(capacity),
        )))
    }
}

#[async_trait]
impl Storage for Sim {
    async fn ensure_pool(&self, id: Id, pool: &Pool) -> Result<Detail, HostError> {
        let key = ObjectKey { kind: ObjectKind::Pool, id };
        self.call(Verb::Ensure, key, |world| {
            world.pools.insert(id, pool.clone());
            let capacity = self.inner.config.pool_capacity;
            let allocated = world.allocated(id, self.inner.config.image_size);
            Ok(Detail::Pool { capacity, allocated, available: capacity.saturating_sub(allocated) })
        })
        .await
    }

    async fn remove_pool(&self, id: Id, _pool: &Pool) -> Result<(), HostError> {
        let key = ObjectKey { kind: ObjectKind::Pool, id };
        self.call(Verb::Remove, key, |world| {
            let used = world.volumes.values().any(|volume| volume.pool == id)
                || world.images.values().any(|image| image.pool == id);
            if used {
                return violation(world, format!("pool {id} was to be removed while it held something"));
            }
            world.pools.remove(&id);
            Ok(())
        })
        .await
    }

    async fn ensure_image(
        &self,
        id: Id,
        image: &Image,
        _pool: &Pool,
        progress: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError> {
        let virtual_size = self.inner.config.image_size;
        if !self.look(|world| world.images.contains_key(&id)) {
            progress.send_replace(Some(Detail::Image {
                virtual_size,
                fetched: 0,
                total: Some(virtual_size),
            }));
        }
        let key = ObjectKey { kind: ObjectKind::Image, id };
        self.call(Verb::Ensure, key, |world| {
            if !world.pools.contains_key(&image.pool) {
                return violation(world, format!("image {id} was to be made before its pool"));
            }
            if virtual_size > image.limit {
                let (size, limit) = (size::display(virtual_size), size::display(image.limit));
                return Err(HostError::Refused(format!(
                    "image {id} is {size}, more than the limit of {limit}"
                )));
            }
            if !world.images.contains_key(&id) {
                self.room(world, image.pool, virtual_size, &image.name)?;
            }
            world.images.insert(id, image.clone());
            Ok(Detail::Image { virtual_size, fetched: virtual_size, total: Some(virtual_size) })
        })
        .await
    }

    async fn remove_image(&self, id: Id, _image: &Image, _pool: &Pool) -> Result<(), HostError> {
        let key = ObjectKey { kind: ObjectKind::Image, id };
        self.call(Verb::Remove, key, |world| {
            let clone = VolumeContent::Clone { image: id };
            if world.volumes.values().any(|volume| volume.content == clone) {
                return violation(world, format!("image {id} was to be removed while it had clones"));
            }
            world.images.remove(&id);
            Ok(())
        })
        .await
    }

    async fn ensure_volume(&self, id: Id, volume: &Volume, _pool: &Pool) -> Result<Detail, HostError> {
        let key = ObjectKey { kind: ObjectKind::Volume, id };
        self.call(Verb::Ensure, key, |world| {
            if !world.pools.contains_key(&volume.pool) {
                return violation(world, format!("volume {id} was to be made before its pool"));
            }
            let held = world.volumes.get(&id).map_or(0, |volume| volume.bytes);
            let mut bytes = volume.bytes.max(held);
            if let VolumeContent::Clone { image } = volume.content {
                if held == 0 && !world.images.contains_key(&image) {
                    return violation(world, format!("volume {id} was to be made before its image"));
                }
                bytes = bytes.max(self.inner.config.image_size);
            }
            self.room(world, volume.pool, bytes - held, &volume.name)?;
            world.volumes.insert(id, Volume { bytes, ..volume.clone() });
            Ok(Detail::Volume { bytes })
        })
        .await
    }

    async fn remove_volume(&self, id: Id, _volume: &Volume, _pool: &Pool) -> Result<(), HostError> {
        let key = ObjectKey { kind: ObjectKind::Volume, id };
        self.call(Verb::Remove, key, |world| {
            if world.domains.values().any(|domain| domain.uses_volume(id)) {
                return violation(world, format!("volume {id} was to be removed while a machine had it"));
            }
            world.volumes.remove(&id);
            Ok(())
        })
        .await
    }
}
