//! Limits on requests that guess passwords: a budget per peer that refills slowly.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use freehold_types::ApiError;

/// Tries that a peer may make at once.
const BURST: f64 = 20.0;
/// Seconds until one more try is granted.
const REFILL_SECONDS: f64 = 6.0;
/// Peers that are remembered; beyond it those with a full budget are forgotten.
const PEERS: usize = 10_000;

/// Budgets per peer. In memory: a restart forgives.
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
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() >= PEERS {
            budgets.retain(|_, budget| budget.refilled(now).tries < BURST);
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
}
