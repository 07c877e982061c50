//! Mail addresses of accounts.

use email_address::{EmailAddress, Options};
use freehold_types::ApiError;

/// Longest address that mail servers take (RFC 5321, 4.5.3.1.3), in bytes.
const LIMIT: usize = 254;

/// Checks a mail address (RFC 5322): a bare one, without a display name or an address literal.
///
/// # Errors
/// 400 for an empty one (the contract's missing parameter), 422 otherwise.
pub fn check(address: &str) -> Result<(), ApiError> {
    if address.is_empty() {
        return Err(ApiError::malformed("the user needs an `email`"));
    }
    let options = Options::default().without_display_text().without_domain_literal();
    let is_plain = address.len() <= LIMIT && !address.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_plain && EmailAddress::parse_with_options(address, options).is_ok() {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "`email`: `{}` is not a mail address such as alice@example.org",
        address.escape_default().take(LIMIT).collect::<String>()
    )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses() {
        for good in ["alice@example.org", "a.b+c@lab.example.org", "root@localhost", "jürgen@müller.example"]
        {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = format!("{}@{}.example.org", "a".repeat(60), "b".repeat(60).repeat(4));
        for bad in [
            "alice",
            "@example.org",
            "alice@",
            "Alice <alice@example.org>",
            "alice@[127.0.0.1]",
            "alice@example.org\r\nBcc: eve@example.org",
            "\"a b\"@example.org",
            " alice@example.org",
            &long,
        ] {
            assert_eq!(check(bad).unwrap_err().kind.status(), 422, "{bad}");
        }
        assert_eq!(check("").unwrap_err().kind.status(), 400);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", near in "[a-z.\"@<>\\[\\]() \\\\]{0,20}") {
            let _ = (check(&text), check(&near));
        }
    }
}
