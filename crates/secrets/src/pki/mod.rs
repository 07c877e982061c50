//! Certificates of a platform: which there are, who signs them, when they end, and their renewal.
//!
//! [`Input`] is the little that must be known: nodes, addresses, roles. [`inventory`] derives every certificate from
//! it, with a name that stays the same; [`renew`] makes what is missing, ends soon or is not what the inventory says.
//! An authority is made once, and again only when it is named: whatever trusts it would have to be told. Keys are
//! ECDSA P-256, which all services concerned take. Pure but for chance: time is handed in, and the store is a value.

mod export;
mod input;
mod inventory;
mod issue;
mod read;
mod renew;
mod store;

pub use export::{File, export};
pub use input::{Endpoint, Input, Node, Role, Web};
pub use inventory::{Item, Purpose, inventory, table};
pub use renew::{Options, Reason, Renewed, Row, State, renew, report};
pub use store::{Pair, SECTION, Store};

#[cfg(test)]
mod tests;
