//! Both servers of this host, brought up and kept up.
//!
//! Promise: what [`Pair::up`] hands out answers, runs with the configuration that there should be, and is
//! the same process as before wherever that is so.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::Api;
use super::config::EdgeConfig;
use super::daemon::Daemon;
use super::files::{Keys, Layout};
use super::zones::Servers;
use crate::host::HostError;

/// How long the sockets of a server that has ended may take to close: its threads end after it.
const CLOSED: Duration = Duration::from_secs(3);

/// How long a server may take until it answers.
const READY: Duration = Duration::from_secs(15);

/// The two servers.
#[derive(Debug)]
pub(super) struct Pair {
    edge: EdgeConfig,
    layout: Layout,
    authoritative: Daemon,
    resolver: Daemon,
    /// How they are asked, once they are up.
    servers: Option<Servers>,
    requests: Arc<AtomicU64>,
}

/// What must hold before a server is used.
struct Prepared {
    keys: Keys,
    fingerprints: [String; 2],
    has_database: bool,
}

/// A socket that a server will open.
struct Socket {
    address: SocketAddr,
    datagrams: bool,
    field: &'static str,
}

impl Pair {
    pub(super) fn new(edge: EdgeConfig, state: &Path, requests: Arc<AtomicU64>) -> Self {
        let layout = Layout::new(state);
        let authoritative = Daemon::new("pdns_server", "pdns-server", layout.authoritative.clone());
        let resolver = Daemon::new("pdns_recursor", "pdns-recursor", layout.resolver.clone());
        Self { edge, layout, authoritative, resolver, servers: None, requests }
    }

    /// Both servers, running.
    pub(super) async fn up(&mut self) -> Result<&Servers, HostError> {
        let alive = self.authoritative.is_alive() && self.resolver.is_alive();
        let servers = match self.servers.take().filter(|_| alive) {
            Some(servers) => servers,
            None => self.bring_up().await?,
        };
        Ok(self.servers.insert(servers))
    }

    /// Ends both and removes their files.
    pub(super) async fn retire(&mut self) -> Result<(), HostError> {
        self.servers = None;
        self.resolver.stop().await?;
        self.authoritative.stop().await?;
        let layout = self.layout.clone();
        blocking(move || layout.remove()).await
    }

    async fn bring_up(&mut self) -> Result<Servers, HostError> {
        let Prepared { keys, fingerprints: [authoritative, resolver], has_database } = self.prepare().await?;
        let authoritative = format!("{authoritative}:{}", self.authoritative.version()?);
        let resolver = format!("{resolver}:{}", self.resolver.version()?);
        let servers = Servers {
            authoritative: Api::new(
                "authoritative server",
                self.edge.authoritative_api(),
                keys.authoritative,
                &self.requests,
            ),
            resolver: Api::new("resolver", self.edge.resolver_api(), keys.resolver, &self.requests),
            source: self.edge.authoritative(),
        };
        if !has_database || !self.authoritative.adopt(&authoritative) {
            self.authoritative.stop().await?;
            if !has_database {
                let (layout, edge) = (self.layout.clone(), self.edge.clone());
                blocking(move || layout.make_database(&edge)).await?;
            }
            until_free(&self.authoritative_sockets()).await?;
            self.authoritative.start(&authoritative)?;
        }
        until_ready(&mut self.authoritative, &servers.authoritative).await?;
        if !self.resolver.adopt(&resolver) {
            self.resolver.stop().await?;
            until_free(&self.resolver_sockets()).await?;
            self.resolver.start(&resolver)?;
        }
        until_ready(&mut self.resolver, &servers.resolver).await?;
        Ok(servers)
    }

    async fn prepare(&self) -> Result<Prepared, HostError> {
        let (layout, edge) = (self.layout.clone(), self.edge.clone());
        blocking(move || {
            let keys = layout.prepare(&edge)?;
            let fingerprints = layout.configure(&edge, &keys)?;
            Ok(Prepared { keys, fingerprints, has_database: layout.has_database()? })
        })
        .await
    }

    fn authoritative_sockets(&self) -> Vec<Socket> {
        vec![
            Socket { address: self.edge.authoritative(), datagrams: true, field: "authoritative_port" },
            Socket {
                address: self.edge.authoritative_api(),
                datagrams: false,
                field: "authoritative_api_port",
            },
        ]
    }

    fn resolver_sockets(&self) -> Vec<Socket> {
        let endpoints = self.edge.endpoints();
        let mut sockets: Vec<Socket> =
            endpoints.map(|address| Socket { address, datagrams: true, field: "listen` or `port" }).collect();
        let address = self.edge.resolver_api();
        sockets.push(Socket { address, datagrams: false, field: "resolver_api_port" });
        sockets
    }
}

impl Socket {
    /// Whether the server will be able to open it.
    fn check(&self) -> io::Result<()> {
        let datagrams = if self.datagrams { UdpSocket::bind(self.address).map(drop) } else { Ok(()) };
        datagrams.and_then(|()| TcpListener::bind(self.address).map(drop))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the list of errors is long and open")]
    fn advise(&self, error: &io::Error) -> HostError {
        let Self { address, field, .. } = self;
        let port = address.port();
        HostError::Failed(match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "{address} is taken by another program, which `ss -lntup sport = {port}` shows: end it (Debian's own \
                 PowerDNS: systemctl disable --now pdns pdns-recursor), or change `{field}` of `edge`"
            ),
            io::ErrorKind::AddrNotAvailable => {
                format!("{} is no address of this host; correct `{field}` of `edge`", address.ip())
            }
            io::ErrorKind::PermissionDenied => {
                format!("{address} may not be opened; run the node as root, or with CAP_NET_BIND_SERVICE")
            }
            _ => format!("{address} cannot be opened ({error}); correct `{field}` of `edge`"),
        })
    }
}

/// Waits until a server will be able to open its sockets; else tells why it will not.
async fn until_free(sockets: &[Socket]) -> Result<(), HostError> {
    let end = Instant::now() + CLOSED;
    for socket in sockets {
        while let Err(error) = socket.check() {
            if error.kind() != io::ErrorKind::AddrInUse || Instant::now() > end {
                return Err(socket.advise(&error));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

async fn until_ready(daemon: &mut Daemon, api: &Api) -> Result<(), HostError> {
    let end = Instant::now() + READY;
    while !api.is_up().await {
        if !daemon.is_alive() || Instant::now() > end {
            return Err(daemon.ended());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, HostError> + Send + 'static,
) -> Result<T, HostError> {
    tokio::task::spawn_blocking(act)
        .await
        .map_err(|error| HostError::Failed(format!("names: the work ended by a fault: {error}")))?
}
