//! From a URL to an open WebSocket.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use freehold_types::agent;
use http::Uri;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::SessionError;

/// Bound of each step of dialling and of the handshake.
pub(super) const STEP: Duration = Duration::from_secs(10);

/// Allocated per connection; small, since thousands of simulated nodes share a process.
const BUFFER: usize = 8 << 10;

/// A stream with or without TLS.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Transport>>;

/// Where the controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    tls: bool,
    host: String,
    port: u16,
    /// Prefix of the path, without a slash at its end.
    prefix: String,
}

impl Endpoint {
    /// Reads the controller's URL.
    ///
    /// # Errors
    /// What is wrong with it and what to write.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let hint = "write it like https://cloud.example:8443";
        let uri: Uri = url.parse().map_err(|error| format!("`{url}` is not a URL ({error}); {hint}"))?;
        let tls = match uri.scheme_str() {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => return Err(format!("`{url}` has no scheme that a node can dial; {hint}")),
        };
        let authority = uri.authority().ok_or_else(|| format!("`{url}` has no host; {hint}"))?;
        if uri.query().is_some() || authority.as_str().contains('@') {
            return Err(format!("`{url}` must have neither a user nor a query; {hint}"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(format!("`{url}` has no host; {hint}"));
        }
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host, port, prefix: uri.path().trim_end_matches('/').to_owned() })
    }

    /// Whether others can read along: no TLS, and not on this very host.
    pub(crate) fn is_exposed(&self) -> bool {
        let local =
            self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        !self.tls && !local
    }

    fn url(&self) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}{}{}", self.port, self.prefix, agent::PATH)
    }
}

/// Prepares TLS for an endpoint; nothing when it is dialled without.
///
/// # Errors
/// When the file of authorities cannot be used, or the system has none.
pub(crate) fn tls(endpoint: &Endpoint, authorities: Option<&Path>) -> Result<Option<TlsConnector>, String> {
    if !endpoint.tls {
        return Ok(None);
    }
    let roots = match authorities {
        Some(path) => read_authorities(path).map_err(|reason| format!("{}: {reason}", path.display()))?,
        None => system_authorities()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

fn read_authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(roots) }
}

fn system_authorities() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "the operating system has no authorities: install ca-certificates, or name the file of the \
                    authority that signed the controller's certificate"
                .to_owned(),
        );
    }
    Ok(roots)
}

/// Opens the WebSocket. Also tells the node's own address on the way to the controller.
pub(super) async fn dial(
    endpoint: &Endpoint,
    tls: Option<&TlsConnector>,
) -> Result<(Socket, IpAddr), SessionError> {
    let failed = |reason: String| SessionError::Dial { url: endpoint.url(), reason };
    let late = |_| failed(format!("no answer in {} seconds", STEP.as_secs()));
    let connect = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
    let stream = timeout(STEP, connect).await.map_err(late)?.map_err(|error| failed(error.to_string()))?;
    let address =
        stream.local_addr().map(|local: SocketAddr| local.ip()).map_err(|error| failed(error.to_string()))?;
    // Frames are small and wanted at once.
    stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    let stream: Box<dyn Transport> = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let name =
                ServerName::try_from(endpoint.host.clone()).map_err(|error| failed(error.to_string()))?;
            let stream = timeout(STEP, tls.connect(name, stream)).await.map_err(late)?;
            Box::new(stream.map_err(|error| failed(format!("TLS: {error}")))?)
        }
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(agent::MESSAGE_LIMIT))
        .max_frame_size(Some(agent::MESSAGE_LIMIT))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    let upgrade = tokio_tungstenite::client_async_with_config(endpoint.url(), stream, Some(config));
    let (socket, _) =
        timeout(STEP, upgrade).await.map_err(late)?.map_err(|error| failed(error.to_string()))?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_and_loopback_are_private() {
        let exposed = |url: &str| Endpoint::parse(url).unwrap().is_exposed();
        assert!(exposed("http://10.0.0.1"));
        assert!(!exposed("https://10.0.0.1") && !exposed("ws://localhost:1") && !exposed("ws://[::1]"));
    }

    #[test]
    fn a_file_without_authorities_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let endpoint = Endpoint::parse("https://cloud").unwrap();
        for path in [file.path(), Path::new("/does/not/exist")] {
            let error = tls(&endpoint, Some(path)).err().unwrap();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }

    #[test]
    fn urls_are_read() {
        for (text, url) in [
            ("https://cloud.example", "wss://cloud.example:443/agent/v1"),
            ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/agent/v1"),
            ("wss://[::1]:8443/base/", "wss://[::1]:8443/base/agent/v1"),
            ("ws://cloud", "ws://cloud:80/agent/v1"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().url(), url, "{text}");
        }
        for text in
            ["", "cloud.example", "ftp://x", "https://", "https://u:p@x", "https://x/?q=1", "https:// x"]
        {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
