//! What long-lived work is made of: named and supervised tasks, backoff, and an orderly stop.
//!
//! Every task of the controller is spawned here, so that each has a name in the log, ends when the
//! program ends, and is started again when it fails and that makes sense.

pub mod backoff;
pub mod task;

pub use backoff::Backoff;
pub use task::{Shutdown, Supervisor};
