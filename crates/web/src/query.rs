//! Strict reading of query strings.

use std::borrow::Cow;

use freehold_types::ApiError;
use percent_encoding::percent_decode_str;

/// The parameters of a request, in order.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string and refuses parameters that are not in `known`.
    ///
    /// # Errors
    /// 400 for an unknown or repeated parameter, or text that is not UTF-8.
    pub fn read(query: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.contains(&name.as_ref()) {
                let known =
                    if known.is_empty() { "none".to_owned() } else { format!("`{}`", known.join("`, `")) };
                return Err(ApiError::malformed(format!(
                    "unknown query parameter `{name}`; known here: {known}"
                )));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(ApiError::malformed(format!("the query parameter `{name}` is given twice")));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// A parameter; an empty one counts as absent, since generated clients send those.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A parameter of a type.
    ///
    /// # Errors
    /// 400 when the text is not one; `expected` says what is.
    pub fn parse<T: std::str::FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, ApiError> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::malformed(format!(
                        "the query parameter `{name}` is `{text}`, and must be {expected}"
                    ))
                })
            })
            .transpose()
    }

    /// `true` or `false`; generated clients also send `True` and `False`.
    ///
    /// # Errors
    /// 400 for other text.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "True" | "1") => Ok(Some(true)),
            Some("false" | "False" | "0") => Ok(Some(false)),
            Some(other) => Err(ApiError::malformed(format!(
                "the query parameter `{name}` is `{other}`, and must be true or false"
            ))),
        }
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, ApiError> {
    let refused = || ApiError::malformed("the query string is not UTF-8");
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Ok(Cow::Owned(
            percent_decode_str(&spaced).decode_utf8().map_err(|_| refused())?.into_owned(),
        ));
    }
    percent_decode_str(text).decode_utf8().map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked() {
        let query =
            Query::read(Some("public=True&poolId=&name=a%20b"), &["public", "poolId", "name"]).unwrap();
        assert_eq!(query.flag("public").unwrap(), Some(true));
        assert_eq!(query.get("poolId"), None);
        assert_eq!(query.get("name"), Some("a b"));
        for bad in ["x=1", "public=1&public=1", "name=%ff"] {
            assert!(Query::read(Some(bad), &["public", "name"]).is_err(), "{bad}");
        }
    }
}
