//! An HTTP server for tests: it remembers what it was asked, and answers what it is told to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use axum::serve::Listener;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: String,
    headers: HeaderMap,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    body: String,
    headers: Vec<(&'static str, String)>,
    hang_up: bool,
}

impl Answer {
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, body: body.to_owned(), headers: Vec::new(), hang_up: false }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::text(status, "")
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn refusal(status: u16, reason: &str) -> Self {
        Self::json(status, &json!({ "status": status, "error": "short", "reason": reason }))
    }

    /// Promises a body and breaks the connection.
    pub(crate) fn hang_up() -> Self {
        Self { hang_up: true, ..Self::empty(200) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let broken =
            futures::stream::iter([Err::<Bytes, _>(std::io::Error::from(ErrorKind::ConnectionReset))]);
        response.body(if self.hang_up { Body::from_stream(broken) } else { Body::from(self.body) }).unwrap()
    }
}

type Respond = Arc<dyn Fn(&Seen) -> Answer + Send + Sync>;

/// A server on a port of the loopback interface, until it is dropped.
pub(crate) struct Server {
    scheme: &'static str,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Ends the runtime, and with it the server.
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    respond: Respond,
}

impl Server {
    /// Answers with these in turn, the last one for ever.
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        Self::serve(in_turn(answers))
    }

    /// Answers as a function says.
    pub(crate) fn serve(respond: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::run("http", Arc::new(respond), |listener| listener)
    }

    /// The same over TLS, with the certificate of an authority of its own.
    pub(crate) fn start_tls(answers: Vec<Answer>) -> (Self, String) {
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let pem = key.cert.pem();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (Self::run("https", Arc::new(in_turn(answers)), |tcp| Tls { tcp, acceptor }), pem)
    }

    fn run<L>(scheme: &'static str, respond: Respond, wrap: impl FnOnce(TcpListener) -> L) -> Self
    where
        L: Listener,
        L::Addr: std::fmt::Debug,
    {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tcp = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = tcp.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { seen: Arc::clone(&seen), respond };
        let router = Router::new().fallback(answer).with_state(shared);
        let listener = wrap(tcp);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { scheme, address, seen, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn in_turn(answers: Vec<Answer>) -> impl Fn(&Seen) -> Answer + Send + Sync + 'static {
    let turn = Mutex::new(0);
    move |_| {
        let mut turn = turn.lock().unwrap();
        let answer = answers.get(*turn).or(answers.last()).cloned().unwrap_or_else(|| Answer::empty(404));
        *turn += 1;
        answer
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response<Body> {
    let seen = Seen { method: method.to_string(), target: uri.to_string(), body, headers };
    let answer = (shared.respond)(&seen);
    shared.seen.lock().unwrap().push(seen);
    answer.response()
}

/// Accepts TLS connections; those that fail are dropped.
struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.tcp.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
