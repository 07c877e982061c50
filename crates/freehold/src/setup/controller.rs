//! The controller of a home: its settings, and its start.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use freehold_controller::{Controller, ControllerConfig, Tls};
use freehold_kinds::environment::{Environment, SeedTemplates};
use freehold_kinds::key;
use freehold_store::{Sealer, Sqlite};
use freehold_types::Secret;

use crate::certificates;
use crate::cmd::up::TlsChoice;
use crate::home::{Home, Secrets};

/// How long a log-in lasts.
const SESSION: Duration = Duration::from_hours(24);
/// Largest virtual size of an image, in bytes.
const IMAGE_LIMIT: u64 = 2 << 40;

/// Starts the controller of a home.
pub(crate) async fn start(
    home: &Home,
    secrets: &Secrets,
    listen: SocketAddr,
    tls: &TlsChoice,
    bootstrap_key: String,
) -> Result<Controller> {
    let tls = match tls {
        TlsChoice::Off => None,
        TlsChoice::Own { certificate, key } => {
            Some(Tls { certificate: certificate.clone(), key: key.clone() })
        }
        TlsChoice::SelfMade => {
            certificates::ensure(home, listen.ip())?;
            Some(Tls { certificate: home.certificate(), key: home.certificate_key() })
        }
    };
    let environment = Environment {
        public_url: url(listen, tls.is_some()),
        master_key_digest: key::digest(&secrets.master_key),
        session_key: Secret::new(Secrets::bytes(&secrets.session_key)?.to_vec()),
        session_lifetime: SESSION,
        admin_email: None,
        bootstrap_user: "admin".to_owned(),
        bootstrap_key,
        host_gateways: true,
        image_limit: IMAGE_LIMIT,
        plain_images: true,
        seed: SeedTemplates::default(),
    };
    let sealer = Sealer::new(&Secrets::bytes(&secrets.seal_key)?);
    let store = Sqlite::open(&home.store(), sealer).context("the store of this home cannot be opened")?;
    let config = ControllerConfig { listen, tls, ..ControllerConfig::default() };
    Ok(Controller::start(config, environment, store).await?)
}

/// The URL of a controller, as clients on this machine reach it.
pub(crate) fn url(listen: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    if listen.ip().is_unspecified() {
        return format!("{scheme}://127.0.0.1:{}", listen.port());
    }
    format!("{scheme}://{listen}")
}
