//! Reading one object over HTTP, against a handler that returns as many bytes and knows nothing.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::load::{self, Connection, Question};
use crate::measure::Pairs;
use crate::table::Figure;
use crate::{Effort, place};

const CONNECTIONS: usize = 16;
/// What the part of our answer that is not HTTP may cost.
const LEAST: f64 = 0.6;

/// Measures it.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let directory = place::directory()?;
    let pairs = place::runtime()?.block_on(async {
        let controller = place::controller(directory.path()).await?;
        let (path, object) = region(controller.address()).await?;
        let mut servers = JoinSet::new();
        let constant = constant(object, &mut servers).await?;
        let (ours, reference) = (Question::get(path), Question::get("/"));
        let span = Duration::from_secs_f64(effort.seconds);
        let mut turns = Vec::new();
        for _ in 0..effort.rounds {
            turns.push((
                load::rate(controller.address(), &ours, CONNECTIONS, span).await?,
                load::rate(constant, &reference, CONNECTIONS, span).await?,
            ));
        }
        controller.stop().await;
        anyhow::Ok(Pairs::of(&turns))
    })?;
    Ok(vec![Figure {
        name: format!("GET of one object, {CONNECTIONS} connections"),
        ours: format!("{:.0}/s", pairs.ours),
        reference: format!("{:.0}/s, a handler that returns a constant of that size", pairs.reference),
        ratio: Some(pairs.ratio),
        demand: "≥ 0.60",
        is_met: pairs.ratio >= LEAST,
    }])
}

/// Makes a region, and gives its path and its bytes.
async fn region(address: SocketAddr) -> Result<(String, Bytes)> {
    let mut connection = Connection::open(address).await?;
    let body =
        Bytes::from_static(br#"{"name":"eu-west","description":"a region to read","domain":"example.org"}"#);
    let (status, answer) = connection.ask(Method::POST, "/api/v1/region", body).await?;
    ensure!(status == StatusCode::CREATED, "a region was not made: {status}");
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    let id = answer.get("id").and_then(serde_json::Value::as_str).context("a region came without an id")?;
    let path = format!("/api/v1/region/{id}");
    let (_, object) = connection.ask(Method::GET, &path, Bytes::new()).await?;
    Ok((path, object))
}

/// Serves a constant.
async fn constant(object: Bytes, servers: &mut JoinSet<()>) -> Result<SocketAddr> {
    let answer = move || {
        let object = object.clone();
        async move { ([("content-type", "application/json")], object) }
    };
    let listener = TcpListener::bind(place::anywhere()).await?;
    let address = listener.local_addr()?;
    servers.spawn(async move {
        use axum::serve::ListenerExt;
        let listener = listener.tap_io(|stream| {
            // As our own server does; a failure only costs some delay.
            let _ = stream.set_nodelay(true);
        });
        let _ = axum::serve(listener, Router::new().route("/", get(answer))).await;
    });
    Ok(address)
}
