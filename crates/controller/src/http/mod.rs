//! HTTP: the route table as an application, and how it is served.

pub(crate) mod engine;
mod limit;
mod metadata;
mod operations;
mod pages;
pub(crate) mod server;
pub(crate) mod tls;
mod wait;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use freehold_kinds::registry;
use freehold_kinds::route::Row;
use freehold_types::{ApiError, ErrorKind, agent, wire};
use freehold_web::error;
use http::HeaderValue;

use crate::nodes::{self, Hub};
use engine::Engine;

/// The header with the id of a request.
const REQUEST_ID: &str = "x-request-id";

/// The whole application.
pub(crate) fn router(engine: Engine, hub: Hub) -> Router {
    let mut api: Router<Engine> = Router::new();
    for (_, row) in registry::rows() {
        api = api.route(&format!("{}{}", wire::BASE_PATH, row.path), method(row));
    }
    api.merge(operations::routes())
        .merge(pages::routes())
        .merge(metadata::routes())
        .route(agent::PATH, any(nodes::session::upgrade).with_state(hub))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown)
        .layer(axum::middleware::from_fn(identify))
        .with_state(engine)
}

/// Gives every request an id, which its answer names and the log repeats.
async fn identify(mut request: Request, next: Next) -> Response {
    let id = engine::request_id(request.headers());
    let Ok(id) = HeaderValue::from_str(&id) else { return next.run(request).await };
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn method(row: &'static Row) -> MethodRouter<Engine> {
    let filter = match row.method {
        "GET" => {
            return get(move |State(engine): State<Engine>, request: Request| engine.serve(row, request));
        }
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "PATCH" => MethodFilter::PATCH,
        _ => MethodFilter::DELETE,
    };
    on(filter, move |State(engine): State<Engine>, request: Request| engine.serve(row, request))
}

async fn method_not_allowed(request: Request) -> Response {
    error::response(&ApiError {
        kind: ErrorKind::MethodNotAllowed,
        reason: format!("{} is not possible on {}", request.method(), request.uri().path()),
    })
}

/// A path with a slash too many leads to the one without; others do not exist. A path that starts with two
/// slashes would lead to another host.
async fn unknown(request: Request) -> Response {
    let path = request.uri().path();
    match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() && !shorter.ends_with('/') && !shorter.starts_with("//") => {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            Redirect::permanent(&format!("{shorter}{query}")).into_response()
        }
        _ => error::response(&ApiError::not_found(format!(
            "there is nothing at {path}; the operations are listed at {}/openapi.json",
            wire::BASE_PATH
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
mod tests {
    use axum::body::Body;
    use http::StatusCode;
    use http::header::LOCATION;

    use super::*;

    async fn asked(uri: &str) -> (StatusCode, Option<String>) {
        let answer = unknown(Request::get(uri).body(Body::empty()).unwrap()).await;
        let location = answer.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), location)
    }

    #[tokio::test]
    async fn a_slash_too_many_leads_nowhere_else() {
        let shorter = (StatusCode::PERMANENT_REDIRECT, Some("/api/v1/project?a=b".to_owned()));
        assert_eq!(asked("/api/v1/project/?a=b").await, shorter);
        for uri in ["//evil.example/", "///evil.example/", "/", "//", "/nothing"] {
            assert_eq!(asked(uri).await, (StatusCode::NOT_FOUND, None), "{uri}");
        }
    }
}
