//! Checks of names and other short texts that people give.

use freehold_types::ApiError;

/// Longest name, in characters.
const NAME_LIMIT: usize = 255;
/// Longest free text, in characters.
const TEXT_LIMIT: usize = 4_096;

/// Checks a name: not empty, not long, printable, no blanks around it.
///
/// # Errors
/// 400 for an empty one (the contract's missing parameter), 422 otherwise.
pub fn name(noun: &str, name: &str) -> Result<(), ApiError> {
    if name.trim().is_empty() {
        return Err(ApiError::malformed(format!("the {noun} needs a name")));
    }
    if name.chars().count() > NAME_LIMIT {
        return Err(ApiError::invalid(format!(
            "the name of the {noun} is longer than {NAME_LIMIT} characters"
        )));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "the name of the {noun} has blanks around it or control characters in it"
        )));
    }
    Ok(())
}

/// Checks a free text: not long, no control characters but line breaks and tabs.
///
/// # Errors
/// 422.
pub fn free(field: &str, text: &str) -> Result<(), ApiError> {
    if text.chars().count() > TEXT_LIMIT {
        return Err(ApiError::invalid(format!("`{field}` is longer than {TEXT_LIMIT} characters")));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        return Err(ApiError::invalid(format!("`{field}` has control characters in it")));
    }
    Ok(())
}

/// A description as it is kept: an empty one is none.
///
/// # Errors
/// 422 when it is too long.
pub fn description(text: Option<String>) -> Result<Option<String>, ApiError> {
    let text = text.filter(|text| !text.is_empty());
    if let Some(text) = &text {
        free("description", text)?;
    }
    Ok(text)
}

/// Checks a host name of one label (RFC 1123).
///
/// # Errors
/// 400 for an empty one, 422 otherwise.
pub fn host_name(noun: &str, text: &str) -> Result<(), ApiError> {
    name(noun, text)?;
    if is_label(text) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "the name `{text}` of the {noun} is not a host name: use letters, digits and inner hyphens, at most 63"
    )))
}

/// Checks a DNS domain (RFC 1123 labels, at most 253 characters).
///
/// # Errors
/// 422.
pub fn domain(field: &str, text: &str) -> Result<(), ApiError> {
    let valid = text.len() <= 253 && text.split('.').all(is_label);
    if valid { Ok(()) } else { Err(ApiError::invalid(format!("`{field}`: `{text}` is not a DNS domain"))) }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_names() {
        for good in ["a", "web-1", "0web", &"a".repeat(63)] {
            assert!(host_name("machine", good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a.b", "a_b", "ä", &"a".repeat(64), "a b"] {
            assert!(host_name("machine", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn domains() {
        assert!(domain("domain", "lab.example.org").is_ok());
        for bad in ["", ".", "a..b", "a.b.", "under_score.org"] {
            assert!(domain("domain", bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = (name("x", &text), free("x", &text), host_name("x", &text), domain("x", &text));
        }
    }
}
