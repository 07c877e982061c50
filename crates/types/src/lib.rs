//! Words that every crate shares.
//!
//! A word enters here when both ends of an edge between crates need it, and it does no more than
//! parse, print and compare. Nothing here does I/O.

pub mod agent;
pub mod error;
pub mod id;
pub mod net;
pub mod secret;
pub mod service;
pub mod size;
pub mod time;
pub mod wire;

pub use error::{ApiError, ErrorKind};
pub use id::Id;
pub use secret::Secret;
pub use time::Timestamp;
