//! A load generator: some connections that are kept alive, each sending its next request when the last one is
//! answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::place::MASTER_KEY;

/// What is asked, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Body of the n-th request of a connection, given connection and n.
    pub(crate) body: fn(usize, u64) -> Bytes,
    /// What every answer must be.
    pub(crate) status: StatusCode,
}

impl Question {
    /// Reads a path.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: |_, _| Bytes::new(), status: StatusCode::OK }
    }
}

/// A connection, driven by a task of its own.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    key: String,
    /// Ends with the connection.
    _driver: JoinSet<()>,
}

impl Connection {
    /// Connects to a controller started here.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        Self::open_as(address, MASTER_KEY).await
    }

    /// Connects, to ask with this key.
    pub(crate) async fn open_as(address: SocketAddr, key: &str) -> Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("{address} cannot be reached"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // What goes wrong is told to the request that waits.
            let _ = connection.await;
        });
        Ok(Self { sender, address, key: key.to_owned(), _driver: driver })
    }

    /// Asks, and gives status and body of the answer.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("x-api-key", &self.key)
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

/// Answers per second over a span, and nothing but the expected answer.
pub(crate) async fn rate(
    address: SocketAddr,
    question: &Question,
    connections: usize,
    span: Duration,
) -> Result<f64> {
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::open(address).await?);
    }
    let question = Arc::new(question.clone());
    let (since, mut askers) = (Instant::now(), JoinSet::new());
    for (number, connection) in opened.into_iter().enumerate() {
        askers.spawn(ask_until(connection, Arc::clone(&question), number, since + span));
    }
    let mut answers = 0.0;
    while let Some(asked) = askers.join_next().await {
        answers += asked.context("a connection's task failed")??;
    }
    Ok(answers / since.elapsed().as_secs_f64())
}

async fn ask_until(
    mut connection: Connection,
    question: Arc<Question>,
    number: usize,
    end: Instant,
) -> Result<f64> {
    let (mut answers, mut count) = (0.0, 0);
    while Instant::now() < end {
        let body = (question.body)(number, count);
        let (status, body) = connection.ask(question.method.clone(), &question.path, body).await?;
        if status != question.status {
            bail!("{} {}: {status} {}", question.method, question.path, String::from_utf8_lossy(&body));
        }
        answers += 1.0;
        count += 1;
    }
    Ok(answers)
}
