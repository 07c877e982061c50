//! Passwords: strength, hashes, and generated ones.

use std::sync::LazyLock;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use freehold_types::{ApiError, Secret};
use rand::seq::{IndexedRandom, SliceRandom};

/// Shortest and longest password that is accepted, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=256;

/// Memory in KiB, passes and lanes of Argon2id: the second choice of RFC 9106, for servers with little memory.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// The hash of a password that nobody has, so that an unknown account costs as much as a known one.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash(crate::key::random_text(32).expose()).ok());

/// Refuses passwords that can be guessed.
///
/// # Errors
/// 422, with what would help.
pub fn check_strength(password: &str, about: &[&str]) -> Result<(), ApiError> {
    if !LENGTH.contains(&password.chars().count()) {
        let (least, most) = (LENGTH.start(), LENGTH.end());
        return Err(ApiError::invalid(format!("the password must have {least} to {most} characters")));
    }
    let estimate = zxcvbn::zxcvbn(password, about);
    if estimate.guesses_log10() >= 12.0 {
        return Ok(());
    }
    let advice = estimate
        .feedback()
        .and_then(zxcvbn::feedback::Feedback::warning)
        .map_or_else(|| "add more words or characters".to_owned(), |warning| warning.to_string());
    Err(ApiError::invalid(format!("the password is too easy to guess: {advice}")))
}

/// Hashes a password (Argon2id, PHC text). Takes tens of milliseconds.
///
/// # Errors
/// 500 when the parameters do not suit the library.
pub fn hash(password: &str) -> Result<String, ApiError> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(|_| failed())?;
    Ok(hasher()?.hash_password(password.as_bytes(), &salt).map_err(|_| failed())?.to_string())
}

/// Whether the password is the hashed one. Without a hash it takes as long, and says no.
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let known = hash.is_some();
    let Some(text) = hash.or(NOBODY.as_deref()) else { return false };
    let matches = PasswordHash::new(text)
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok());
    matches && known
}

fn hasher() -> Result<Argon2<'static>, ApiError> {
    let params = Params::new(COST.0, COST.1, COST.2, None).map_err(|_| failed())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed() -> ApiError {
    ApiError::internal("the password cannot be hashed")
}

/// Hashes a machine's password for its shadow file: SHA-512-crypt (Drepper's specification), 4096 rounds.
///
/// # Errors
/// 500 when the parameters do not suit the library.
pub fn crypt(password: &str) -> Result<Secret<String>, ApiError> {
    let params = sha_crypt::Sha512Params::new(4_096).map_err(|_| failed())?;
    sha_crypt::sha512_simple(password, &params).map(Secret::new).map_err(|_| failed())
}

/// A password for a person or machine: letters of both cases and digits, none that look alike.
pub fn generate(length: usize, digits: usize) -> Secret<String> {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
    const DIGITS: &[u8] = b"23456789";
    let mut rng = rand::rng();
    let mut characters: Vec<u8> = (0..length)
        .filter_map(|position| if position < digits { DIGITS } else { LETTERS }.choose(&mut rng).copied())
        .collect();
    characters.shuffle(&mut rng);
    Secret::new(characters.into_iter().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_verify() {
        let text = hash("correct horse battery staple").unwrap();
        assert!(text.starts_with("$argon2id$"));
        assert!(verify("correct horse battery staple", Some(&text)));
        assert!(!verify("correct horse battery", Some(&text)));
        assert!(!verify("", None));
    }

    #[test]
    fn weak_passwords_are_refused_with_advice() {
        for weak in ["", "short", "password123", "aaaaaaaaaaaaaaaa", "qwertyuiop12"] {
            assert!(check_strength(weak, &[]).is_err(), "{weak}");
        }
        assert!(check_strength("alice@example.org", &["alice@example.org"]).is_err());
        assert!(check_strength("fern-rocket-quilt-92-harbour", &[]).is_ok());
        assert!(check_strength(generate(16, 5).expose(), &[]).is_ok());
        for length in 5..100 {
            let generated = generate(length, 5).into_inner();
            assert_eq!(generated.len(), length);
            assert!(generated.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{generated}");
        }
    }
}
