//! Names on this host: a PowerDNS resolver that machines ask, and behind it a PowerDNS authoritative
//! server with the zones.
//!
//! ```text
//!  machines ──53──▶ resolver ──loopback──▶ authoritative server ──▶ SQLite
//!                      │  our zones                ▲
//!                      ▼ all else                  │ API
//!                  forwarders              node: observe, plan, apply
//! ```
//!
//! Whose a zone is: the authoritative server keeps the id of our zone in its account field. A zone that
//! bears none of ours is refused and left alone. Within a zone of ours, what was changed by hand is
//! changed back. Reverse zones are shared; see [`reverse`].
//!
//! Promises: what was changed is answered for when the call returns; both servers go on when the node
//! ends, are adopted by the next one, and are started again when they end; keys are in private files, and
//! neither in arguments nor in logs.

mod client;
mod config;
mod daemon;
mod files;
mod records;
mod render;
mod reverse;
mod servers;
mod zones;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::service::DnsZone;
use tokio::sync::Mutex;

pub use self::config::{EdgeConfig, Upstream};

use self::servers::Pair;
use super::{HostError, Names};

/// How often the servers are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Longest pause between attempts to start them.
const PAUSE: Duration = Duration::from_secs(30);

/// Names on a host that is no edge.
#[derive(Debug)]
pub struct NoNames;

#[async_trait]
impl Names for NoNames {
    async fn ensure_zone(&self, id: Id, _: &DnsZone) -> Result<(), HostError> {
        Err(HostError::Refused(format!(
            "DNS zone {id}: this node is no edge; give edges an agent of type Kiwi"
        )))
    }

    async fn remove_zone(&self, _: Id, _: &DnsZone) -> Result<(), HostError> {
        Ok(())
    }
}

/// Names by PowerDNS.
#[derive(Debug, Clone)]
pub struct PowerDns {
    pair: Arc<Mutex<Pair>>,
    requests: Arc<AtomicU64>,
}

impl PowerDns {
    /// Both servers as configured, with their files below `state`. Nothing is touched before the first call.
    pub fn new(edge: EdgeConfig, state: &Path) -> Self {
        let requests = Arc::<AtomicU64>::default();
        let pair = Arc::new(Mutex::new(Pair::new(edge, state, Arc::clone(&requests))));
        Self { pair, requests }
    }

    /// How many requests were sent to the servers' APIs so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Keeps both servers running, for ever. When this is dropped they go on.
    pub async fn keep(self) {
        let mut pause = LOOK;
        let mut last = String::new();
        loop {
            let up = self.pair.lock().await.up().await.map(|_| ());
            match up {
                Ok(()) => {
                    if !last.is_empty() {
                        tracing::info!("names are answered for again");
                    }
                    (pause, last) = (LOOK, String::new());
                }
                Err(error) => {
                    let reason = error.to_string();
                    if reason != last {
                        tracing::error!(reason, "names cannot be answered for");
                    }
                    (pause, last) = ((pause * 2).min(PAUSE), reason);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }
}

#[async_trait]
impl Names for PowerDns {
    async fn ensure_zone(&self, id: Id, zone: &DnsZone) -> Result<(), HostError> {
        // One at a time: zones share reverse zones.
        let mut pair = self.pair.lock().await;
        pair.up().await?.ensure(id, zone).await
    }

    async fn remove_zone(&self, id: Id, _: &DnsZone) -> Result<(), HostError> {
        let mut pair = self.pair.lock().await;
        pair.up().await?.remove(id).await
    }

    async fn retire(&self) -> Result<(), HostError> {
        self.pair.lock().await.retire().await
    }
}
