//! Secrets of a platform: encrypted files, where their keys come from, what secrets there are and how they are
//! made, and the certificates of its services.
//!
//! Promises: files that this crate writes are read by SOPS and the other way round ([`sops`]); a value that was
//! decrypted is handed out only when the whole file is authentic; nothing here prints a value, neither in errors
//! nor in `Debug`. It must not know what a platform is: it is given names, addresses and paths.

pub mod age;
pub mod catalogue;
mod error;
pub mod file;
mod hex;
pub mod keys;
pub mod pki;
pub mod sops;

pub use error::{Error, Result};

#[cfg(test)]
mod testing;
