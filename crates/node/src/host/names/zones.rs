//! One zone made true in both servers: observe, plan, apply.
//!
//! Promises: the number of requests grows with the reverse zones that a zone touches and with each
//! [`BATCH`](super::client::BATCH) of changes, not with its names; nothing is written when nothing
//! differs; what was changed is answered for at once. Calls for different zones must not overlap, since zones share
//! reverse zones.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use freehold_types::Id;
use freehold_types::service::DnsZone;

use super::client::{Api, Forward};
use super::records::{self, Change, Zone};
use super::reverse;
use crate::host::HostError;

/// From so many changed names on, the resolver forgets the whole zone in one step.
const FLUSH_WHOLE: usize = 8;

/// The APIs of both servers.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) authoritative: Api,
    pub(super) resolver: Api,
    /// Where the resolver asks the authoritative server.
    pub(super) source: SocketAddr,
}

impl Servers {
    pub(super) async fn ensure(&self, id: Id, zone: &DnsZone) -> Result<(), HostError> {
        let refused = |reason| HostError::Refused(format!("DNS zone {} ({id}): {reason}", zone.domain));
        let domain = records::domain_name(&zone.domain).map_err(refused)?;
        let names = records::addresses(zone).map_err(refused)?;
        let account = id.to_string();

        let known = self.authoritative.zones().await?;
        // What the zone was called before.
        for old in known.iter().filter(|known| known.account == account && known.name != domain) {
            self.remove_forward(id, &old.name).await?;
        }
        let observed = match known.iter().find(|known| known.name == domain) {
            Some(other) if other.account != account => return Err(taken(id, zone, other)),
            Some(_) => self.authoritative.zone(&domain).await?,
            None => None,
        };
        let observed = if let Some(observed) = observed {
            observed
        } else {
            let empty = records::empty_zone(&domain, &account);
            self.authoritative.create(&empty).await?;
            empty
        };
        // Names of addresses first: as long as the zone has its old addresses, what is to be taken back
        // can be found again after a crash.
        let before = observed.rrsets.iter().flat_map(records::RecordSet::addresses);
        let wanted = reverse::wanted(id, &names);
        let touched: BTreeSet<String> =
            reverse::zones_of(before).into_iter().chain(wanted.keys().cloned()).collect();
        for name in touched {
            let there = known.iter().find(|known| known.name == name);
            self.ensure_reverse(id, &name, there, wanted.get(&name).map_or(&[], Vec::as_slice)).await?;
        }
        let changes = records::difference(&observed.rrsets, &records::wanted(&domain, &names));
        self.authoritative.patch(&domain, &changes).await?;
        self.publish(&domain, &changes).await
    }

    pub(super) async fn remove(&self, id: Id) -> Result<(), HostError> {
        let account = id.to_string();
        let known = self.authoritative.zones().await?;
        // All of them, since by-hand edits may have hidden where this zone had addresses.
        for there in known.iter().filter(|known| known.account == reverse::ACCOUNT) {
            self.ensure_reverse(id, &there.name, Some(there), &[]).await?;
        }
        for zone in known.iter().filter(|known| known.account == account) {
            self.withdraw(&zone.name).await?;
        }
        Ok(())
    }

    /// Removes a zone that `id` had under another name.
    async fn remove_forward(&self, id: Id, name: &str) -> Result<(), HostError> {
        if let Some(zone) = self.authoritative.zone(name).await? {
            let before = zone.rrsets.iter().flat_map(records::RecordSet::addresses);
            for reverse in reverse::zones_of(before) {
                let there = records::empty_zone(&reverse, reverse::ACCOUNT);
                self.ensure_reverse(id, &reverse, Some(&there), &[]).await?;
            }
        }
        self.withdraw(name).await
    }

    /// The names that `id` has in one reverse zone, which comes with its first name and goes with its last.
    async fn ensure_reverse(
        &self,
        id: Id,
        name: &str,
        there: Option<&Zone>,
        wanted: &[records::RecordSet],
    ) -> Result<(), HostError> {
        let there = match there {
            Some(zone) if zone.account != reverse::ACCOUNT => {
                tracing::warn!(zone = name, "a reverse zone that was made by hand is left alone");
                return Ok(());
            }
            Some(_) => self.authoritative.zone(name).await?,
            None => None,
        };
        let observed = match there {
            Some(zone) => zone,
            None if wanted.is_empty() => return Ok(()),
            None => {
                let empty = records::empty_zone(name, reverse::ACCOUNT);
                self.authoritative.create(&empty).await?;
                empty
            }
        };
        let changes = reverse::difference(id, &observed.rrsets, wanted);
        if reverse::is_empty_after(&observed.rrsets, &changes) {
            return self.withdraw(name).await;
        }
        self.authoritative.patch(name, &changes).await?;
        self.publish(name, &changes).await
    }

    /// Has the resolver pass the zone on, and forget what has changed in it.
    async fn publish(&self, name: &str, changes: &[Change]) -> Result<(), HostError> {
        // Taking a zone in makes the resolver forget what it knew.
        let new = self.resolver.forward(&Forward::new(name, self.source)).await?;
        let changed: BTreeSet<&str> = changes.iter().map(Change::name).collect();
        if new || changed.len() >= FLUSH_WHOLE {
            return self.resolver.flush(name, true).await;
        }
        for name in changed {
            self.resolver.flush(name, false).await?;
        }
        Ok(())
    }

    /// Takes a zone out of both servers, the authoritative one last: it knows whose the zone is.
    async fn withdraw(&self, name: &str) -> Result<(), HostError> {
        self.resolver.delete(name).await?;
        self.resolver.flush(name, true).await?;
        self.authoritative.delete(name).await
    }
}

fn taken(id: Id, zone: &DnsZone, other: &Zone) -> HostError {
    let domain = &zone.domain;
    if other.account.parse::<Id>().is_ok() {
        HostError::Failed(format!(
            "DNS zone {domain} ({id}): zone {} has this domain; remove that one, or use another domain",
            other.account
        ))
    } else {
        HostError::Failed(format!(
            "DNS zone {domain} ({id}): PowerDNS has a zone of this domain that was made by hand; remove it there"
        ))
    }
}
