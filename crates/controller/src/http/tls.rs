//! TLS by rustls.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} cannot be read")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} holds no private key in PEM")]
    NoKey { path: PathBuf },
    #[error("certificate and key do not fit together")]
    Unfit(#[from] rustls::Error),
}

/// An acceptor for a certificate.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let read = |path: &Path| File::open(path).map(BufReader::new);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { path, source }
    };
    let chain = read(&tls.certificate)
        .and_then(|mut file| rustls_pemfile::certs(&mut file).collect())
        .map_err(failed(&tls.certificate))?;
    let key = read(&tls.key)
        .and_then(|mut file| rustls_pemfile::private_key(&mut file))
        .map_err(failed(&tls.key))?
        .ok_or_else(|| TlsError::NoKey { path: tls.key.clone() })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
