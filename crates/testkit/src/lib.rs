//! A cloud in one process, for tests: a real controller, nodes on simulated hosts that speak the real
//! protocol over real sockets, and a client.
//!
//! Start at [`Cluster`]. What goes wrong here fails the test at once, with a reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this is a part of tests, which stop where they fail"
)]

mod client;
mod cluster;
mod machine;
mod site;

/// What runs on the machines of a cluster.
pub use freehold_node as node;

pub use client::{Answer, Client, Request};
pub use cluster::{Cluster, MASTER_KEY, Medium, PATIENCE};
pub use machine::{Machine, facts};
pub use site::{Account, Site, Tenant};
