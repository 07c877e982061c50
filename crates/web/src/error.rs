//! Failures as answers.

use axum::response::{IntoResponse, Response};
use freehold_types::error::ErrorBody;
use freehold_types::{ApiError, ErrorKind};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// The answer for a failure: its status, and `{status, error, reason}`.
pub fn response(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(ErrorBody::from(error))).into_response();
    if error.kind == ErrorKind::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    } else if error.kind == ErrorKind::TooManyRequests {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}
