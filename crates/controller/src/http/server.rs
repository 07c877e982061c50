//! Accepts connections, plain or TLS, and ends them in order.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use freehold_runtime::{Shutdown, Supervisor};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// How long a client may take to say hello, and to send its headers.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to rest when the system has no more file descriptors.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// Starts to serve an application.
pub(crate) fn start(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    supervisor: &Supervisor,
) {
    let connections = supervisor.clone();
    let mut shutdown = supervisor.shutdown();
    supervisor.spawn("listener", async move {
        loop {
            let accepted = tokio::select! {
                () = shutdown.requested() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let serving = serve(stream, peer, tls.clone(), router.clone(), shutdown.clone());
                    connections.spawn("connection", serving);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    });
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    shutdown: Shutdown,
) {
    // Small answers leave at once; a failure only costs some delay.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return speak(stream, peer, router, shutdown).await };
    match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, peer, router, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS session"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    mut shutdown: Shutdown,
) {
    let service = router.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PATIENCE);
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, error = %error, "a connection was cut off");
                }
                return;
            }
            () = shutdown.requested(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
