//! Limits on requests that guess passwords: a budget per peer that refills slowly.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use freehold_types::ApiError;

/// Tries that a peer may make at once.
const BURST: f64 = 20.0;
/// Seconds until one more try is granted.
const REFILL_SECONDS: f64 = 6.0;
/// Peers that are remembered. Beyond it those with a full budget are forgotten, and strangers wait.
const PEERS: usize = 10_000;

/// Budgets per peer: an IPv4 address, or an IPv6 network of 64 bits, all of which one host may use. In memory: a restart forgives.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<HashMap<IpAddr, Budget>>);

#[derive(Debug, Clone, Copy)]
struct Budget {
    tries: f64,
    at: Instant,
}

impl Budget {
    fn refilled(self, now: Instant) -> Self {
        let gained = now.duration_since(self.at).as_secs_f64() / REFILL_SECONDS;
        Self { tries: (self.tries + gained).min(BURST), at: now }
    }
}

impl Limiter {
    /// Takes one try from a peer's budget. Peers that are not known (in-process calls) are not limited.
    ///
    /// # Errors
    /// 429 when it is used up.
    pub(crate) fn admit(&self, peer: Option<IpAddr>) -> Result<(), ApiError> {
        let Some(peer) = peer else { return Ok(()) };
        self.admit_at(peer, Instant::now())
    }

    fn admit_at(&self, peer: IpAddr, now: Instant) -> Result<(), ApiError> {
        let peer = network(peer);
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() >= PEERS && !budgets.contains_key(&peer) {
            budgets.retain(|_, budget| budget.refilled(now).tries < BURST);
            if budgets.len() >= PEERS {
                return Err(ApiError::too_many_requests("too many tries from everywhere; wait a minute"));
            }
        }
        let budget = budgets.entry(peer).or_insert(Budget { tries: BURST, at: now });
        *budget = budget.refilled(now);
        if budget.tries < 1.0 {
            return Err(ApiError::too_many_requests("too many tries from your address; wait a minute"));
        }
        budget.tries -= 1.0;
        Ok(())
    }
}

/// What shares one budget.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tries_are_limited_per_peer_and_come_back() {
        let limiter = Limiter::default();
        let (peer, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Instant::now();
        let admitted = (0..50).filter(|_| limiter.admit_at(peer, now).is_ok()).count();
        assert_eq!(admitted, 20);
        assert!(limiter.admit_at(other, now).is_ok());
        assert!(limiter.admit_at(peer, now + Duration::from_secs(7)).is_ok());
        assert!(limiter.admit_at(peer, now + Duration::from_secs(7)).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let limiter = Limiter::default();
        let now = Instant::now();
        let address = |network, host| IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, host]);
        let admitted = (0..50).filter(|&host| limiter.admit_at(address(1, host), now).is_ok()).count();
        assert_eq!(admitted, 20);
        assert!(limiter.admit_at(address(2, 0), now).is_ok());
    }

    #[test]
    fn peers_are_remembered_up_to_a_number() {
        let limiter = Limiter::default();
        let now = Instant::now();
        let peer = |number: u32| IpAddr::from(number.to_be_bytes());
        let admitted = (0..20_000).filter(|&number| limiter.admit_at(peer(number), now).is_ok()).count();
        assert_eq!(admitted, PEERS);
        assert!(limiter.admit_at(peer(1), now).is_ok(), "who is known goes on");
        assert!(limiter.admit_at(peer(30_000), now + Duration::from_secs(7)).is_ok());
    }
}
