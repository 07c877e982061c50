//! Prices: what hosts and pools cost a month, and what machines and disks cost of it.
//!
//! Everything is derived from the snapshot; unknown capacity costs nothing. A sum over several currencies
//! is that of the first; amounts in others are left out, since there is no rate.

use freehold_store::Snapshot;
use freehold_types::size::GIB;
use freehold_types::{ApiError, Id, wire};
use serde::{Deserialize, Serialize};

use crate::hypervisor::Hypervisor;
use crate::instance::Instance;
use crate::pool::{self, Pool};
use crate::volume::Volume;

/// A monthly price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price {
    pub amount: f64,
    /// ISO 4217.
    pub currency: String,
}

impl Default for Price {
    fn default() -> Self {
        Self { amount: 0.0, currency: "EUR".to_owned() }
    }
}

impl Price {
    /// A multiple of it.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self { amount: self.amount * factor, currency: self.currency.clone() }
    }
}

impl From<Price> for wire::Cost {
    fn from(price: Price) -> Self {
        Self { price: price.amount, currency: price.currency }
    }
}

impl TryFrom<wire::Cost> for Price {
    type Error = ApiError;

    fn try_from(cost: wire::Cost) -> Result<Self, ApiError> {
        if !cost.price.is_finite() || cost.price < 0.0 {
            return Err(ApiError::invalid(format!("`price` is {}, and must be zero or more", cost.price)));
        }
        let known = cost.currency.len() == 3 && cost.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        match (known, cost.currency.is_empty()) {
            (true, _) => Ok(Self { amount: cost.price, currency: cost.currency }),
            (false, true) => Ok(Self { amount: cost.price, ..Self::default() }),
            (false, false) => Err(ApiError::invalid(format!(
                "`currency` is `{}`, and must be three capital letters such as EUR",
                cost.currency
            ))),
        }
    }
}

/// The sum of prices in the currency of the first.
pub fn sum(prices: impl Iterator<Item = Price>) -> Price {
    let mut total: Option<Price> = None;
    for price in prices {
        match &mut total {
            None => total = Some(price),
            Some(total) if total.currency == price.currency => total.amount += price.amount,
            Some(total) if total.amount == 0.0 => *total = price,
            Some(_) => {}
        }
    }
    total.unwrap_or_default()
}

/// What an instance costs a month: its share of the CPU and memory prices of its zone.
pub fn of_instance(instance: &Instance, snapshot: &Snapshot) -> Price {
    let (cpu, memory) = zone_prices(instance.zone, snapshot);
    let cpu = cpu.map(|price| price.times(f64::from(instance.vcpus)));
    let memory = memory.map(|price| price.times(gib(instance.memory)));
    sum(cpu.into_iter().chain(memory))
}

/// What a volume costs a month: its share of the price of the region's pools.
pub fn of_volume(volume: &Volume, snapshot: &Snapshot) -> Price {
    mean(snapshot.referrers::<Pool>(volume.region).filter_map(|pool| {
        let capacity = gib(pool::space(pool).capacity);
        (capacity > 0.0).then(|| pool.spec.cost.times(1.0 / capacity))
    }))
    .map_or_else(Price::default, |price| price.times(gib(volume.size)))
}

/// Prices of a virtual CPU and of a GiB in a zone: the means over its hosts whose capacity is known.
fn zone_prices(zone: Id, snapshot: &Snapshot) -> (Option<Price>, Option<Price>) {
    let hosts = || {
        snapshot.referrers::<Hypervisor>(zone).filter_map(|host| {
            let facts = host.spec.facts(snapshot).filter(|facts| facts.threads > 0 && facts.memory > 0)?;
            Some((&host.spec, facts))
        })
    };
    let cpu = mean(hosts().map(|(host, facts)| {
        host.cpu_cost.times(1.0 / (f64::from(facts.threads) * f64::from(host.overcommit_cpu_ratio)))
    }));
    let memory = mean(hosts().map(|(host, facts)| {
        host.memory_cost.times(1.0 / (gib(facts.memory) * f64::from(host.overcommit_memory_ratio)))
    }));
    (cpu, memory)
}

/// The mean of prices in the currency of the first; `None` of none.
fn mean(prices: impl Iterator<Item = Price>) -> Option<Price> {
    let (mut total, mut count) = (None::<Price>, 0.0);
    for price in prices {
        match &mut total {
            None => total = Some(price),
            Some(total) if total.currency == price.currency => total.amount += price.amount,
            Some(_) => continue,
        }
        count += 1.0;
    }
    total.map(|total| total.times(1.0 / count))
}

/// Bytes as GiB.
#[expect(clippy::cast_precision_loss, reason = "prices need no more than 52 bits")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}
