//! Pools whose driver this version does not have.
//!
//! Whatever is asked to be is refused, with the remedy; whatever is asked to be gone is gone, since
//! nothing can have been made.

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{Detail, Image, Volume};
use tokio::sync::watch;

use super::Driver;
use crate::host::HostError;

/// A pool that this node cannot serve.
pub(super) struct Unsupported {
    id: Id,
    name: String,
    driver: &'static str,
}

impl Unsupported {
    pub(super) fn new(id: Id, name: &str, driver: &'static str) -> Self {
        Self { id, name: name.to_owned(), driver }
    }

    fn refusal(&self) -> HostError {
        HostError::Refused(format!(
            "pool {} ({}) is of type {}, which this node does not serve: use a pool of type directory on this host",
            self.name, self.id, self.driver
        ))
    }
}

#[async_trait]
impl Driver for Unsupported {
    async fn ensure_pool(&self) -> Result<Detail, HostError> {
        Err(self.refusal())
    }

    async fn remove_pool(&self) -> Result<(), HostError> {
        Ok(())
    }

    async fn ensure_image(
        &self,
        _: Id,
        _: &Image,
        _: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError> {
        Err(self.refusal())
    }

    async fn remove_image(&self, _: Id, _: &Image) -> Result<(), HostError> {
        Ok(())
    }

    async fn ensure_volume(&self, _: Id, _: &Volume) -> Result<Detail, HostError> {
        Err(self.refusal())
    }

    async fn remove_volume(&self, _: Id, _: &Volume) -> Result<(), HostError> {
        Ok(())
    }
}
