//! What can go wrong, said with its subject and its remedy. No variant carries a value of a secret.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{} cannot be {action}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// "read", "written", ...
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key or recipient of age is not one.
    #[error("{0}")]
    Key(String),
    /// Something encrypted with age is damaged or of a kind that is not known.
    #[error("{0}")]
    Age(String),
    /// A file of secrets cannot be understood.
    #[error("{subject}: {fault}")]
    Document {
        /// The file, and where known the line.
        subject: String,
        /// What is wrong and what to do.
        fault: String,
    },
    /// No key at hand opens a file.
    #[error(
        "{subject} cannot be decrypted: none of the keys found is one of its recipients\n  \
         it is encrypted for: {recipients}\n  keys were looked for in: {looked}\n  \
         get one of these keys, or ask a recipient to add yours ({own}) with `freehold secrets rotate --add`"
    )]
    NoKey {
        /// The file.
        subject: String,
        /// Public keys that it is for.
        recipients: String,
        /// Places, each with what was found.
        looked: String,
        /// Public keys of the keys that were found.
        own: String,
    },
    /// A file was changed by something that had no key.
    #[error(
        "{subject} is not authentic: {fault}; it was changed without its key. Nothing of it is used. Restore it \
         from version control, and compare what changed"
    )]
    Tampered {
        /// The file.
        subject: String,
        /// What does not fit.
        fault: String,
    },
    /// A service that keeps secrets did not give one.
    #[error("{subject}: {fault}")]
    Provider {
        /// The reference or address.
        subject: String,
        /// What is wrong and what to do.
        fault: String,
    },
    /// The catalogue or what was asked of it.
    #[error("{0}")]
    Catalogue(String),
    /// A certificate.
    #[error("{subject}: {fault}")]
    Certificate {
        /// The certificate or its file.
        subject: String,
        /// What is wrong and what to do.
        fault: String,
    },
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A fault of a file or document.
    pub(crate) fn document(subject: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::Document { subject: subject.into(), fault: fault.into() }
    }
}
