//! How one row of the route table is served: read strictly, authenticate, authorize, plan, commit, answer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use freehold_kinds::access::{self, Caller};
use freehold_kinds::environment::Environment;
use freehold_kinds::registry;
use freehold_kinds::route::{Call, Memo, Outcome, Reply, Row};
use freehold_store::{CommitError, Committed, Conflict, Snapshot, Store};
use freehold_types::{ApiError, ErrorKind, Id, Timestamp};
use freehold_web::client::{self, CURRENT, ContractVersion};
use freehold_web::query::Query;
use freehold_web::{BODY_LIMIT, credentials, error};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{StatusCode, Version, request};
use tracing::Instrument;

use super::limit::Limiter;
use super::operations::Readiness;
use super::wait::{self, Patience};
use crate::metrics::Metrics;
use crate::nodes::Hub;

/// How long a client may take to send a body.
const BODY_PATIENCE: Duration = Duration::from_mins(1);

/// Serves rows; clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    store: Store,
    environment: Arc<Environment>,
    hub: Hub,
    limiter: Limiter,
    metrics: Metrics,
    readiness: Readiness,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// A request, read but not judged.
struct Asked {
    row: &'static Row,
    caller: Caller,
    ids: Vec<Id>,
    query: Query,
    body: Bytes,
    memo: Memo,
    environment: Arc<Environment>,
}

impl Asked {
    /// Judges and plans on a snapshot. Pure, and run again when the state has moved on.
    fn plan(&self, snapshot: &Snapshot) -> Result<Outcome, ApiError> {
        let Self { row, caller, ids, query, body, memo, environment } = self;
        access::authorize(row, ids, query, body, caller, snapshot)?;
        let now = Timestamp::now();
        (row.handler)(&Call { snapshot, caller, ids, query, body, now, environment, memo })
    }
}

impl Engine {
    pub(crate) fn new(store: Store, environment: Arc<Environment>, hub: Hub, metrics: Metrics) -> Self {
        let (limiter, readiness) = (Limiter::default(), Readiness::default());
        Self(Arc::new(Inner { store, environment, hub, limiter, metrics, readiness }))
    }

    pub(super) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.0.environment
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    /// Serves a row. Whatever happens, the answer is JSON and names the request.
    pub(crate) async fn serve(self, row: &'static Row, request: Request) -> Response {
        let id = request_id(request.headers());
        let version = request.version();
        let (parts, body) = request.into_parts();
        let span = tracing::info_span!("request", id = %id, operation = row.operation);
        let started = std::time::Instant::now();
        let mut is_cut_off = false;
        let mut response = async {
            // Read before anything is judged, so that the connection can be used again after a refusal.
            let body = read_body(body).await.inspect_err(|_| is_cut_off = true);
            let answered = match body {
                Ok(body) => self.answer(row, &id, &parts, body).await,
                Err(failure) => Err(failure),
            };
            match answered {
                Ok(response) => response,
                Err(failure) => {
                    if failure.kind == ErrorKind::Internal {
                        tracing::error!(reason = %failure.reason, "a request failed by a fault of ours");
                    }
                    error::response(&failure)
                }
            }
        }
        .instrument(span)
        .await;
        self.0.metrics.answered(row.operation, response.status(), started.elapsed());
        if is_cut_off && version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn answer(
        &self,
        row: &'static Row,
        request_id: &str,
        parts: &request::Parts,
        body: Bytes,
    ) -> Result<Response, ApiError> {
        let peer = peer(parts);
        let snapshot = self.0.store.snapshot();
        let presented = credentials::read(&parts.headers)?;
        let caller = access::authenticate(&snapshot, &presented, &self.0.environment, Timestamp::now())?;
        let known: Vec<&str> = row.query.iter().map(|parameter| parameter.name).collect();
        let query = Query::read(parts.uri.query(), &known)?;
        if row.body.is_some() {
            check_media(&parts.headers)?;
        }
        if row.heavy {
            self.0.limiter.admit(peer)?;
        }
        let ids = path_ids(row, parts.uri.path())?;
        let patience = Patience::read(row, &parts.headers)?;
        let asked = Asked {
            row,
            caller,
            ids,
            query,
            body,
            memo: Memo::default(),
            environment: Arc::clone(&self.0.environment),
        };
        let actor = asked.caller.actor(
            peer.map(|peer| peer.to_string()).unwrap_or_default(),
            format!("{} {request_id}", row.operation),
        );
        let (outcome, committed) = self.transact(asked, actor).await?;
        let arrived = wait::until(&self.0.store, outcome.wait, patience).await;
        self.reply(row, outcome, &committed, client::contract_version(&parts.headers), arrived).await
    }

    async fn transact(
        &self,
        asked: Asked,
        actor: freehold_store::Actor,
    ) -> Result<(Outcome, Committed), ApiError> {
        let heavy = asked.row.heavy;
        let asked = Arc::new(asked);
        let plan = move |snapshot: &Snapshot| {
            asked.plan(snapshot).map(|mut outcome| (std::mem::take(&mut outcome.transaction), outcome))
        };
        let committed = if heavy {
            // Hashing a password takes long enough to hold up other requests of the thread.
            let store = self.0.store.clone();
            let runtime = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || runtime.block_on(store.transact(actor, plan)))
                .await
                .map_err(|error| ApiError::internal(format!("the request was dropped: {error}")))?
        } else {
            self.0.store.transact(actor, plan).await
        };
        committed.map_err(|failure| refused(&failure))?
    }

    async fn reply(
        &self,
        row: &'static Row,
        outcome: Outcome,
        committed: &Committed,
        version: ContractVersion,
        arrived: bool,
    ) -> Result<Response, ApiError> {
        let status = if arrived { row.status() } else { StatusCode::ACCEPTED.as_u16() };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(machine) = outcome.ask {
            let url = self.0.hub.console(machine.id).await?;
            let access = freehold_types::wire::InstanceRemoteAccess { url };
            return Ok((status, axum::Json(access)).into_response());
        }
        let text = match outcome.reply {
            Reply::Empty => return Ok(status.into_response()),
            Reply::Html(page) => return Ok((status, axum::response::Html(page)).into_response()),
            Reply::Json(text) => text,
            Reply::Object(key) => {
                let entry = registry::by_kind(key.kind).ok_or_else(|| {
                    ApiError::internal(format!("the kind `{}` is not in the registry", key.kind))
                })?;
                (entry.view)(&committed.snapshot, key.id).ok_or_else(|| {
                    ApiError::not_found(format!("the {} was removed meanwhile", entry.noun))
                })??
            }
        };
        let text = if version < CURRENT && !row.new_fields.is_empty() {
            without(&text, row.new_fields)?
        } else {
            text
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    /// Calls an operation as the holder of the master key, for set-up: path ids, query text and JSON body.
    ///
    /// # Errors
    /// As over HTTP.
    pub async fn call(
        &self,
        operation: &str,
        ids: &[Id],
        query: &str,
        body: serde_json::Value,
    ) -> Result<serde_json::Value, ApiError> {
        let (_, row) = registry::rows()
            .find(|(_, row)| row.operation == operation)
            .ok_or_else(|| ApiError::internal(format!("there is no operation `{operation}`")))?;
        let known: Vec<&str> = row.query.iter().map(|parameter| parameter.name).collect();
        let asked = Asked {
            row,
            caller: Caller::master(),
            ids: ids.to_vec(),
            query: Query::read(Some(query), &known)?,
            body: if row.body.is_some() { body.to_string().into() } else { Bytes::new() },
            memo: Memo::default(),
            environment: Arc::clone(&self.0.environment),
        };
        let actor = freehold_store::Actor::internal("set-up", operation);
        let (outcome, committed) = self.transact(asked, actor).await?;
        let response = self.reply(row, outcome, &committed, CURRENT, true).await?;
        let text = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .map_err(|error| ApiError::internal(format!("the answer cannot be read: {error}")))?;
        if text.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&text)
            .map_err(|error| ApiError::internal(format!("the answer is not JSON: {error}")))
    }
}

fn peer(parts: &request::Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

/// The client's own id for the request, when it is short and plain; else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(super::REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|text| (1..=64).contains(&text.len()))
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)))
        .map_or_else(|| Id::generate().to_string(), str::to_owned)
}

/// The ids of a path, in order. Text that is no id names nothing.
fn path_ids(row: &Row, path: &str) -> Result<Vec<Id>, ApiError> {
    let path = path.strip_prefix(freehold_types::wire::BASE_PATH).unwrap_or(path);
    row.path
        .split('/')
        .zip(path.split('/'))
        .filter(|(template, _)| template.starts_with('{'))
        .map(|(template, text)| {
            let noun = registry::by_parameter(template.trim_matches(['{', '}']))
                .map_or("object", |entry| entry.noun);
            text.parse().map_err(|_| {
                let shown: String = text.chars().take(64).collect();
                ApiError::not_found(format!(
                    "there is no {noun} `{shown}`: an id is 24 lower-case hexadecimal characters"
                ))
            })
        })
        .collect()
}

fn check_media(headers: &HeaderMap) -> Result<(), ApiError> {
    let content =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    let media = content.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") || media.to_ascii_lowercase().ends_with("+json") {
        return Ok(());
    }
    let kind = ErrorKind::UnsupportedMediaType;
    Err(ApiError { kind, reason: format!("the body is `{media}`; send `application/json`") })
}

async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let reading = tokio::time::timeout(BODY_PATIENCE, axum::body::to_bytes(body, BODY_LIMIT)).await;
    let read = reading.map_err(|_| {
        ApiError::malformed(format!("the body did not arrive within {} s", BODY_PATIENCE.as_secs()))
    })?;
    read.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .is_some_and(|source| source.to_string().contains("length limit exceeded"));
        if too_large {
            ApiError {
                kind: ErrorKind::TooLarge,
                reason: format!("the body is larger than {BODY_LIMIT} bytes"),
            }
        } else {
            ApiError::malformed(format!("the body was cut off: {error}"))
        }
    })
}

/// A commit that could not be made, as a client is told.
pub(crate) fn refused(failure: &CommitError) -> ApiError {
    match failure {
        CommitError::Conflict(conflict) => match conflict {
            Conflict::Stale(key) => {
                ApiError::conflict(format!("{key} was changed at the same time; try again"))
            }
            Conflict::Claimed { .. } | Conflict::Deleting { .. } | Conflict::Referenced(..) => {
                ApiError::conflict(format!("{conflict}"))
            }
            Conflict::Unregistered(_) => ApiError::internal(format!("{conflict}")),
            Conflict::Missing { kind, id, .. } => {
                let noun = registry::by_kind(kind).map_or(*kind, |entry| entry.noun);
                ApiError::not_found(format!("there is no {noun} with the id {id}"))
            }
            Conflict::Exhausted { resource, .. } => {
                ApiError::no_room(format!("there is not enough {resource} left; free some and try again"))
            }
        },
        CommitError::Backend(source) => ApiError::unavailable(format!(
            "the change could not be stored, and was not made: {source}; try again"
        )),
        CommitError::Closed => ApiError::unavailable("the controller is stopping; try again"),
    }
}

/// An answer without fields that an older client refuses.
fn without(text: &[u8], fields: &[&str]) -> Result<Vec<u8>, ApiError> {
    let failed = |error| ApiError::internal(format!("the answer cannot be trimmed: {error}"));
    let mut value: serde_json::Value = serde_json::from_slice(text).map_err(failed)?;
    let trim = |value: &mut serde_json::Value| {
        if let Some(object) = value.as_object_mut() {
            object.retain(|name, _| !fields.contains(&name.as_str()));
        }
    };
    match value.as_array_mut() {
        Some(values) => values.iter_mut().for_each(trim),
        None => trim(&mut value),
    }
    serde_json::to_vec(&value).map_err(failed)
}
