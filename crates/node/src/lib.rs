//! The node role: what Freehold runs on each machine that it owns.
//!
//! A node dials the controller, keeps the desired objects that it is sent in a durable ledger, and makes
//! its host what the ledger says, with or without the controller. Start at [`Node`]; the host's
//! subsystems are in [`host`], each real and simulated.

mod backoff;
mod board;
mod config;
mod converge;
#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;
pub mod host;
mod ledger;
mod purge;
mod role;
mod session;
mod stop;

pub use board::{Link, Status};
pub use config::{ConfigError, NodeConfig};
pub use ledger::{LedgerError, Refused};
pub use purge::{PurgeError, purge};
pub use role::{DeliverError, Node, NodeError, SimulatedNode, real_host, run_real, start_real};
