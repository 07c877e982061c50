//! Names on this host: zones of a PowerDNS server.

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::service::DnsZone;

use super::{HostError, Names};

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
