//! The public models of the REST contract, version 0.58.
//!
//! A type carries the field's term; its wire name is in `schemars(rename)`. Field names are those of the
//! wire. Requests are strict: an unknown field is refused; read-only fields are accepted and ignored,
//! since clients send them back.

mod balancer;
mod compute;
mod edge;
mod gateway;
mod identity;
mod location;
mod migration;
mod network;
mod project;
mod share;
mod storage;

use serde::de::{Deserialize, Deserializer, IgnoredAny};

pub use balancer::*;
pub use compute::*;
pub use edge::*;
pub use gateway::*;
pub use identity::*;
pub use location::*;
pub use migration::*;
pub use network::*;
pub use project::*;
pub use share::*;
pub use storage::*;

/// The version of the public contract that this controller speaks.
pub const CONTRACT_VERSION: &str = "0.58.0";

/// Path prefix of the public contract.
pub const BASE_PATH: &str = "/api/v1";

/// Reads whatever a client sent for a read-only field, and keeps nothing of it.
pub(crate) fn ignored<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default,
{
    IgnoredAny::deserialize(deserializer)?;
    Ok(T::default())
}
