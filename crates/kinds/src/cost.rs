//! Prices: what hosts and pools cost a month, and what machines and disks cost of it.
//!
//! Everything is derived from the snapshot; unknown capacity costs nothing. A sum over several currencies
//! is that of the first; amounts in others are left out, since there is no rate.

use freehold_types::{ApiError, wire};
use serde::{Deserialize, Serialize};

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
