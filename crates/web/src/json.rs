//! Strict reading of JSON bodies.

use freehold_types::ApiError;
use serde::de::DeserializeOwned;

/// Reads a body. Unknown fields, wrong types and trailing text are refused, and the reason names the field.
///
/// # Errors
/// 400.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Err(ApiError::malformed("the request needs a JSON body"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("field `{path}`: ") };
        ApiError::malformed(format!("the body cannot be read: {place}{}", error.inner()))
    })?;
    deserializer
        .end()
        .map_err(|error| ApiError::malformed(format!("the body holds more than one JSON value: {error}")))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its reading is tested")]
        size: u64,
    }

    #[test]
    fn the_reason_names_the_field() {
        let reason = |body: &str| read::<Body>(body.as_bytes()).unwrap_err().reason;
        assert!(reason(r#"{"size": "x"}"#).contains("field `size`"), "{}", reason(r#"{"size": "x"}"#));
        assert!(reason(r#"{"size": 1, "sise": 2}"#).contains("sise"));
        assert!(reason("{} {}").contains("missing field"));
        assert!(reason(r#"{"size":1} 2"#).contains("more than one"));
        assert!(reason("").contains("JSON body"));
    }
}
