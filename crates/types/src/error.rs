//! What goes wrong, as a client sees it: a kind with its HTTP status, and a reason that says what to do.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of failure, each with one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 400: the request cannot be read.
    Malformed,
    /// 401: who are you?
    Unauthenticated,
    /// 403: known, but not allowed.
    Forbidden,
    /// 404: absent, or not yours to know.
    NotFound,
    /// 405: the path exists, the verb does not.
    MethodNotAllowed,
    /// 409: conflict with what exists.
    Conflict,
    /// 413: the body is larger than the limit.
    TooLarge,
    /// 415: the body is not JSON.
    UnsupportedMediaType,
    /// 422: read and understood, and cannot be done.
    Invalid,
    /// 429: too many tries.
    TooManyRequests,
    /// 500: a fault of ours.
    Internal,
    /// 503: cannot be served now; try again.
    Unavailable,
    /// 507: no room: a quota or the capacity is used up.
    NoRoom,
}

impl ErrorKind {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::NoRoom => 507,
        }
    }

    /// The short text of the `error` field.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "bad request",
            Self::Unauthenticated => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not found",
            Self::MethodNotAllowed => "method not allowed",
            Self::Conflict => "conflict",
            Self::TooLarge => "payload too large",
            Self::UnsupportedMediaType => "unsupported media type",
            Self::Invalid => "unprocessable entity",
            Self::TooManyRequests => "too many requests",
            Self::Internal => "internal server error",
            Self::Unavailable => "service unavailable",
            Self::NoRoom => "insufficient storage",
        }
    }
}

/// A failure to be told to a client. The reason names its subject and says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub kind: ErrorKind,
    pub reason: String,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl ApiError {
            $($(#[$doc])*
            pub fn $name(reason: impl Into<String>) -> Self {
                Self { kind: ErrorKind::$kind, reason: reason.into() }
            })*
        }
    };
}

constructors! {
    /// 400.
    malformed => Malformed,
    /// 401.
    unauthenticated => Unauthenticated,
    /// 403.
    forbidden => Forbidden,
    /// 404.
    not_found => NotFound,
    /// 409.
    conflict => Conflict,
    /// 422.
    invalid => Invalid,
    /// 429.
    too_many_requests => TooManyRequests,
    /// 500.
    internal => Internal,
    /// 503.
    unavailable => Unavailable,
    /// 507.
    no_room => NoRoom,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.title(), self.reason)
    }
}

impl std::error::Error for ApiError {}

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ApiError")]
pub struct ErrorBody {
    /// The HTTP status.
    pub status: u16,
    /// What kind of failure it is.
    pub error: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl From<&ApiError> for ErrorBody {
    fn from(error: &ApiError) -> Self {
        Self {
            status: error.kind.status(),
            error: error.kind.title().to_owned(),
            reason: error.reason.clone(),
        }
    }
}
