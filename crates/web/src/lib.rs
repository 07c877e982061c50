//! HTTP parts that know no kind.
//!
//! Requests are read strictly (unknown fields and parameters are refused, every input has a limit), and
//! every failure is answered with the same JSON object, whose reason says what to do.

pub mod client;
pub mod credentials;
pub mod error;
pub mod json;
pub mod openapi;
pub mod query;

/// Largest request body that is read, in bytes.
pub const BODY_LIMIT: usize = 1 << 20;
