//! What a request presents to say who it is from.

use freehold_types::{ApiError, Secret};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Longest key or token that is looked at, in bytes.
const LIMIT: usize = 4_096;

/// Presented credentials, unverified.
#[derive(Debug, Clone)]
pub enum Credentials {
    None,
    /// `X-API-Key`: the master key or that of a user.
    Key(Secret<String>),
    /// `Authorization: Bearer`: a session token.
    Bearer(Secret<String>),
}

/// Reads the headers. `X-API-Key` wins; the bearer header is then not looked at.
///
/// # Errors
/// 401 when a header is present and not readable as credentials.
pub fn read(headers: &HeaderMap) -> Result<Credentials, ApiError> {
    let text = |value: &http::HeaderValue, name: &str| {
        value
            .to_str()
            .ok()
            .filter(|text| !text.is_empty() && text.len() <= LIMIT)
            .map(str::to_owned)
            .ok_or_else(|| ApiError::unauthenticated(format!("the header `{name}` is empty or unreadable")))
    };
    if let Some(value) = headers.get("x-api-key") {
        return Ok(Credentials::Key(Secret::new(text(value, "X-API-Key")?)));
    }
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(Credentials::None) };
    let value = text(value, "Authorization")?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(Credentials::Bearer(Secret::new(token.trim().to_owned())))
        }
        _ => Err(ApiError::unauthenticated("the header `Authorization` must be `Bearer <session token>`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_headers_are_refused_without_a_crash() {
        for odd in ["", "B", "Bearer", "Bearer ", "Basic abc", "bearer\u{7f}"] {
            let mut headers = HeaderMap::new();
            let Ok(value) = http::HeaderValue::from_str(odd) else { continue };
            headers.insert(AUTHORIZATION, value);
            assert!(read(&headers).is_err(), "{odd:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, http::HeaderValue::from_static("bearer abc"));
        assert!(matches!(read(&headers), Ok(Credentials::Bearer(token)) if token.expose() == "abc"));
    }
}
