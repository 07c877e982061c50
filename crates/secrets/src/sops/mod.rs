//! Files of secrets that SOPS reads and writes (<https://getsops.io>): YAML, JSON and dotenv, with age keys.
//!
//! Values are encrypted one by one with AES-256-GCM; keys, structure and layout stay readable, so that a change is
//! a small diff. A MAC over all values makes moving, adding or removing one noticeable. The data key is in the
//! file's metadata, once for each recipient.
//!
//! How: the text is scanned for the places of its values and comments, and only these are replaced. Everything
//! else, such as order, indentation and blank lines, stays as it is. What was written is scanned again and
//! compared before it is handed out, so a text that this module does not master is an error and no loss.
//!
//! Not supported, and refused with an error that says so: several documents in one file, anchors and tags, keys
//! that are not text, data keys split by Shamir's scheme, selection by comments, INI and binary files.

mod cipher;
mod config;
mod document;
mod dotenv;
pub mod edit;
mod metadata;
mod replace;
mod scalar;
mod scan;
mod selection;
mod write;

pub use config::{CONFIG_FILE, Config, Policy};
pub use document::{Opened, encrypt, is_encrypted, open, recipients};
pub use scalar::Scalar;

use std::path::Path;

use crate::error::{Error, Result};

/// The version of SOPS whose files these are.
pub const VERSION: &str = "3.13.2";

/// The longest file that is read.
pub const LONGEST: usize = 16 << 20;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// Lines of `NAME=value`.
    Dotenv,
}

impl Format {
    /// By the name of the file, as SOPS does it.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let extension = name.rsplit('.').next().unwrap_or_default();
        match extension {
            "yaml" | "yml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            "env" => Ok(Self::Dotenv),
            _ => Err(Error::document(
                path.display().to_string(),
                "the name tells no format that is known; call it .yaml, .yml, .json or .env",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
