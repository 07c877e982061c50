//! Settings of the controller role.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use freehold_types::Secret;

/// How a controller serves.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    pub listen: SocketAddr,
    /// None: plain HTTP, for loopback or behind a proxy that ends TLS.
    pub tls: Option<Tls>,
    /// None: mails stay in the outbox, for the operator to read.
    pub smtp: Option<SmtpConfig>,
    /// How long lines of the change log are kept.
    pub keep_log: Duration,
}

impl Default for ControllerConfig {
    /// Plain HTTP on loopback, port 8080; no mail; the log of 90 days.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            tls: None,
            smtp: None,
            keep_log: Duration::from_hours(90 * 24),
        }
    }
}

/// Files of a certificate chain and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The server that takes mails for delivery.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    pub security: SmtpSecurity,
    /// None: the server takes mails without authentication.
    pub username: Option<String>,
    pub password: Option<Secret<String>>,
    /// Sender of every mail, such as `Freehold <cloud@example.org>`.
    pub from: String,
    pub pace: MailPace,
}

impl SmtpConfig {
    /// A submission server with `STARTTLS` on port 587, without authentication.
    pub fn new(host: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: 587,
            security: SmtpSecurity::StartTls,
            username: None,
            password: None,
            from: from.into(),
            pace: MailPace::default(),
        }
    }
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// Begins in clear and must be encrypted before anything is said; usual on port 587.
    #[default]
    StartTls,
    /// Encrypted from the start; usual on port 465.
    Tls,
    /// Never encrypted: for a server on loopback.
    None,
}

/// How often a mail is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailPace {
    /// Wait after the first failure; it doubles with each further one.
    pub first: Duration,
    /// Longest wait between two tries.
    pub most: Duration,
    /// Age at which a mail that still fails is given up.
    pub give_up: Duration,
    /// How long one try may take.
    pub patience: Duration,
}

impl Default for MailPace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(10),
            most: Duration::from_hours(1),
            give_up: Duration::from_hours(3 * 24),
            patience: Duration::from_mins(1),
        }
    }
}
