//! Whom to trust: the public authorities, or the one of the context and no other.

use std::sync::Arc;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::context::{Authority, Connection};
use crate::error::{Error, Result};

/// The configuration of TLS for a connection.
pub(super) fn config(connection: &Connection) -> Result<TlsConfig> {
    let Some(authority) = &connection.authority else { return Ok(TlsConfig::builder().build()) };
    let (subject, pem) = match authority {
        Authority::File(path) => {
            let subject = format!("the certificate authority {}", path.display());
            let pem = std::fs::read(path).map_err(|e| Error::io(format!("cannot read {subject}"), e))?;
            (subject, pem)
        }
        Authority::Pem(pem) => {
            ("the certificate authority of the context".to_owned(), pem.clone().into_bytes())
        }
    };
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Error::usage(format!("{subject} is not PEM")).because(error)),
        }
    }
    if certificates.is_empty() {
        return Err(Error::usage(format!("{subject} holds no certificate")).hint("give a file in PEM format"));
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(certificates))).build())
}

/// Whether a failure means that the server's certificate is not trusted.
pub(super) fn untrusted(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Rustls(error) if of_certificate(error))
        || matches!(error, ureq::Error::Io(error) if distrust(error))
}

/// The same, beneath an I/O error.
pub(super) fn distrust(error: &std::io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some_and(of_certificate)
}

fn of_certificate(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
}
