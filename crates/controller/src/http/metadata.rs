//! What machines ask of themselves: `/latest/meta-data`, outside of the public contract and without an account.
//!
//! Whoever is not known gets 404, whatever the reason; answers are not cached.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use freehold_kinds::instance::metadata::{
    self, Answer, INSTANCE_HEADER, PATH, Question, SOURCE_HEADER, TOKEN_HEADER,
};
use freehold_types::ApiError;
use freehold_web::error;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::engine::Engine;

/// The document, and the tree of its values.
pub(super) fn routes() -> Router<Engine> {
    Router::new()
        .route(PATH, get(async |engine: State<Engine>, request: Request| answer(&engine, None, &request)))
        .route(
            &format!("{PATH}/"),
            get(async |engine: State<Engine>, request: Request| answer(&engine, Some(""), &request)),
        )
        .route(
            &format!("{PATH}/{{*below}}"),
            get(async |engine: State<Engine>, Path(below): Path<String>, request: Request| {
                answer(&engine, Some(&below), &request)
            }),
        )
}

fn answer(engine: &Engine, below: Option<&str>, request: &Request) -> Response {
    let headers = request.headers();
    let question = Question {
        instance: text(headers, INSTANCE_HEADER),
        source: text(headers, SOURCE_HEADER),
        token: text(headers, TOKEN_HEADER),
        below,
    };
    match metadata::answer(&question, &engine.store().snapshot(), engine.environment()) {
        Some(Answer::Json(text)) => reply("application/json", text),
        Some(Answer::Text(text)) => reply("text/plain; charset=utf-8", text),
        None => error::response(&ApiError::not_found(format!(
            "there are no metadata for whoever asks: the headers {INSTANCE_HEADER}, {SOURCE_HEADER} and \
                 {TOKEN_HEADER} must be those of the machine; inside it, use kw-meta"
        ))),
    }
}

fn reply(kind: &'static str, text: String) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], text).into_response()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
