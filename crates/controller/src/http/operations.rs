//! What operators ask beside the contract: health, metrics, the OpenAPI document, status and the change log.

use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use freehold_kinds::agent::Agent;
use freehold_kinds::registry;
use freehold_store::LogQuery;
use freehold_types::{ApiError, Timestamp, wire};
use freehold_web::query::Query;
use freehold_web::{credentials, error, openapi};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::engine::{self, Engine};

/// The document never changes while the program runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The OpenAPI document of the whole route table.
pub(super) fn document() -> Value {
    let operations = registry::rows().map(|(entry, row)| row.describe(entry.noun));
    openapi::document(wire::CONTRACT_VERSION, wire::BASE_PATH, operations)
}

/// These operations.
pub(super) fn routes() -> Router<Engine> {
    let base = wire::BASE_PATH;
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route(
            &format!("{base}/openapi.json"),
            get(async || ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone())),
        )
        .route(&format!("{base}/status"), get(status))
        .route(&format!("{base}/events"), get(events))
}

/// How long an answer of `/readyz` holds.
const READINESS: Duration = Duration::from_secs(1);

/// Whether the store was ready when it was last asked. Everybody may ask, and each question to the medium
/// takes its place among the writes.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Result<(), ApiError>)>>);

impl Readiness {
    /// What was found lately, or what `look` finds. Callers at the same time share one look.
    async fn known(&self, look: impl Future<Output = Result<(), ApiError>>) -> Result<(), ApiError> {
        let mut last = self.0.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < READINESS
        {
            return found.clone();
        }
        let found = look.await;
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

/// Ready: the store takes reads of its medium.
async fn ready(State(engine): State<Engine>) -> Response {
    let look = async {
        let read = engine.store().log(LogQuery { limit: 1, ..LogQuery::default() }).await;
        read.map(drop).map_err(|failure| engine::refused(&failure))
    };
    match engine.readiness().known(look).await {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(failure) => error::response(&failure),
    }
}

async fn metrics(State(engine): State<Engine>) -> Response {
    let text = crate::metrics::render(engine.metrics(), &engine.store().snapshot());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Only operators may look.
fn operator(engine: &Engine, headers: &HeaderMap) -> Result<(), ApiError> {
    let snapshot = engine.store().snapshot();
    let presented = credentials::read(headers)?;
    let caller =
        freehold_kinds::access::authenticate(&snapshot, &presented, engine.environment(), Timestamp::now())?;
    if caller.is_operator() {
        return Ok(());
    }
    if caller == freehold_kinds::access::Caller::nobody() {
        return Err(ApiError::unauthenticated("this needs credentials: send `X-API-Key`"));
    }
    Err(ApiError::forbidden("this needs the role superAdmin; ask an administrator"))
}

async fn status(State(engine): State<Engine>, headers: HeaderMap) -> Response {
    if let Err(failure) = operator(&engine, &headers) {
        return error::response(&failure);
    }
    let snapshot = engine.store().snapshot();
    let counts: serde_json::Map<String, Value> = registry::ENTRIES
        .iter()
        .map(|entry| (entry.kind.to_owned(), json!((entry.count)(&snapshot))))
        .collect();
    let nodes: Vec<Value> = snapshot
        .all::<Agent>()
        .map(|agent| {
            json!({
                "agent": agent.id(),
                "name": agent.spec.name,
                "role": agent.spec.role,
                "connected": agent.status.connected,
                "since": agent.status.since.map(|since| since.to_string()),
                "version": agent.status.facts.as_ref().map(|facts| &facts.version),
            })
        })
        .collect();
    axum::Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "contract": wire::CONTRACT_VERSION,
        "lineage": snapshot.lineage(),
        "revision": snapshot.revision(),
        "counts": counts,
        "nodes": nodes,
    }))
    .into_response()
}

/// The change log, newest first; `before` pages on.
async fn events(State(engine): State<Engine>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let answer = async {
        operator(&engine, &headers)?;
        let query = Query::read(query.as_deref(), &["id", "before", "limit", "status"])?;
        let limit = query.parse::<u32>("limit", "a number from 1 to 1000")?.unwrap_or(100);
        if !(1..=1_000).contains(&limit) {
            return Err(ApiError::malformed("the query parameter `limit` must be a number from 1 to 1000"));
        }
        let wanted = LogQuery {
            id: query.parse("id", "an id")?,
            before: query.parse("before", "a revision")?,
            limit,
            without_status: !query.flag("status")?.unwrap_or(false),
        };
        engine.store().log(wanted).await.map_err(|failure| engine::refused(&failure))
    };
    match answer.await {
        Ok(entries) => axum::Json(entries).into_response(),
        Err(failure) => error::response(&failure),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn readiness_is_looked_at_once_a_second_at_most() {
        let (readiness, looks) = (Readiness::default(), AtomicU32::new(0));
        let look = async || {
            looks.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        for _ in 0..3 {
            assert!(readiness.known(look()).await.is_ok());
        }
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        tokio::time::sleep(READINESS).await;
        assert!(readiness.known(look()).await.is_ok());
        assert_eq!(looks.load(Ordering::Relaxed), 2);
    }
}
