//! The node role.

pub mod host;
