//! Which values of a file are encrypted.

use regex::Regex;

use super::metadata::Metadata;

/// Keys with this ending stay readable unless another rule is given.
pub(super) const DEFAULT_SUFFIX: &str = "_unencrypted";

/// The rule of one file. It looks at every key of a path.
#[derive(Debug)]
pub(super) enum Selection {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(Regex),
    EncryptedRegex(Regex),
}

impl Selection {
    /// The rule that metadata states.
    pub(super) fn of(metadata: &Metadata) -> Result<Self, String> {
        if metadata.encrypted_comment_regex.is_some() || metadata.unencrypted_comment_regex.is_some() {
            return Err("it is selected by comments which values are encrypted, and that is not supported; \
                        use encrypted_regex or a suffix"
                .to_owned());
        }
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        let rules = [
            given(&metadata.unencrypted_suffix).map(|suffix| Ok(Self::UnencryptedSuffix(suffix))),
            given(&metadata.encrypted_suffix).map(|suffix| Ok(Self::EncryptedSuffix(suffix))),
            given(&metadata.unencrypted_regex).map(|text| regex(&text).map(Self::UnencryptedRegex)),
            given(&metadata.encrypted_regex).map(|text| regex(&text).map(Self::EncryptedRegex)),
        ];
        let mut rules = rules.into_iter().flatten();
        let rule = rules.next().unwrap_or_else(|| Ok(Self::UnencryptedSuffix(DEFAULT_SUFFIX.to_owned())));
        if rules.next().is_some() {
            return Err("more than one of encrypted_suffix, unencrypted_suffix, encrypted_regex and \
                        unencrypted_regex is given; keep one"
                .to_owned());
        }
        rule
    }

    /// Whether the value at a path is encrypted.
    pub(super) fn covers(&self, path: &[String]) -> bool {
        match self {
            Self::UnencryptedSuffix(suffix) => !path.iter().any(|key| key.ends_with(suffix.as_str())),
            Self::EncryptedSuffix(suffix) => path.iter().any(|key| key.ends_with(suffix.as_str())),
            Self::UnencryptedRegex(regex) => !path.iter().any(|key| regex.is_match(key)),
            Self::EncryptedRegex(regex) => path.iter().any(|key| regex.is_match(key)),
        }
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|_| format!("`{text}` is no regular expression"))
}
