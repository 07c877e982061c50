//! Settings of the controller role.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How a controller serves.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    pub listen: SocketAddr,
    /// None: plain HTTP, for loopback or behind a proxy that ends TLS.
    pub tls: Option<Tls>,
}

/// Files of a certificate chain and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}
