//! Tells when addresses come to a namespace or leave it, as VRRP moves them: by an event of the kernel.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use freehold_types::Id;
use freehold_types::agent::ObjectKey;
use futures::StreamExt;
use rtnetlink::MulticastGroup;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::namespace::Namespace;
use crate::host::HostError;
use crate::host::network::wire::within;

/// Addresses move together: one event for those that come at once.
const TOGETHER: Duration = Duration::from_millis(50);

/// What is followed, by service.
#[derive(Debug)]
pub(super) struct Followers {
    events: mpsc::UnboundedSender<ObjectKey>,
    /// The number of each namespace, and what follows it.
    followed: Mutex<BTreeMap<Id, (u64, AbortHandle)>>,
    /// Ends with the node.
    tasks: Mutex<JoinSet<()>>,
}

impl Followers {
    pub(super) fn new(events: mpsc::UnboundedSender<ObjectKey>) -> Self {
        Self { events, followed: Mutex::default(), tasks: Mutex::default() }
    }

    /// Follows the addresses of a service's namespace, once.
    pub(super) async fn follow(&self, key: ObjectKey, namespace: &Namespace) -> Result<(), HostError> {
        let failed = |error: std::io::Error| {
            HostError::Failed(format!("the addresses of a service cannot be followed: {error}"))
        };
        let number = std::fs::metadata(namespace.path()).map_err(failed)?.ino();
        let follows = |held: &(u64, AbortHandle)| held.0 == number && !held.1.is_finished();
        if lock(&self.followed).get(&key.id).is_some_and(follows) {
            return Ok(());
        }
        let runtime = tokio::runtime::Handle::current();
        let opened = within(Some(namespace.path()), move || {
            // The socket joins the reactor of the runtime when it is made.
            let _guard = runtime.enter();
            rtnetlink::new_multicast_connection(&[MulticastGroup::Ipv4Ifaddr])
        })
        .await?;
        let (connection, _, mut messages) = opened.map_err(failed)?;
        let events = self.events.clone();
        let listen = async move {
            while messages.next().await.is_some() {
                tokio::time::sleep(TOGETHER).await;
                while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, messages.next()).await {}
                if events.send(key).is_err() {
                    return;
                }
            }
        };
        let follower = lock(&self.tasks).spawn(async move {
            futures::future::select(std::pin::pin!(connection), std::pin::pin!(listen)).await;
        });
        if let Some((_, old)) = lock(&self.followed).insert(key.id, (number, follower)) {
            old.abort();
        }
        Ok(())
    }

    /// Lets go of a service.
    pub(super) fn forget(&self, service: Id) {
        if let Some((_, follower)) = lock(&self.followed).remove(&service) {
            follower.abort();
        }
        while lock(&self.tasks).try_join_next().is_some() {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
