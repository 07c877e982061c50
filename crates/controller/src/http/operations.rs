//! What operators ask beside the contract: health, metrics, the OpenAPI document, status and the change log.

use std::sync::LazyLock;

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

/// Ready: the store takes reads of its medium.
async fn ready(State(engine): State<Engine>) -> Response {
    match engine.store().log(LogQuery { limit: 1, ..LogQuery::default() }).await {
        Ok(_) => (StatusCode::OK, "ready\n").into_response(),
        Err(failure) => error::response(&engine::refused(&failure)),
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
