//! Values: what a plain word of YAML means, and the bytes that are encrypted and counted.
//!
//! The rules are those of SOPS's YAML library (go-yaml 3, `resolve.go`), since both sides must see the same type.

use std::fmt;

use crate::error::{Error, Result};

/// A value at the end of a path.
#[derive(Clone, PartialEq)]
pub enum Scalar {
    /// Nothing; never encrypted.
    Null,
    /// Text; the empty one is never encrypted.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// Yes or no.
    Boolean(bool),
    /// A point in time, in RFC 3339.
    Time(String),
}

/// Shows the type and nothing of the value.
impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.kind())
    }
}

impl Scalar {
    /// The type as it stands in encrypted values.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "str",
            Self::Integer(_) => "int",
            Self::Float(_) => "float",
            Self::Boolean(_) => "bool",
            Self::Time(_) => "time",
        }
    }

    /// What is encrypted and counted in the MAC; `None` for nothing.
    pub(super) fn plain(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) | Self::Time(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Float(number) if number.is_nan() => Some("NaN".to_owned()),
            Self::Float(number) if number.is_infinite() => {
                Some(if *number > 0.0 { "+Inf" } else { "-Inf" }.to_owned())
            }
            Self::Float(number) => Some(number.to_string()),
            Self::Boolean(value) => Some(if *value { "True" } else { "False" }.to_owned()),
        }
    }

    /// Reads a decrypted value.
    pub(super) fn from_plain(kind: &str, plain: Vec<u8>) -> Result<Self, String> {
        let text = String::from_utf8(plain).map_err(|_| "it is not UTF-8".to_owned())?;
        let wrong = || format!("it is said to be of type {kind}, but is not");
        match kind {
            "str" | "bytes" | "comment" => Ok(Self::Text(text)),
            "int" => text.parse().map(Self::Integer).map_err(|_| wrong()),
            "float" => match text.as_str() {
                "+Inf" => Ok(Self::Float(f64::INFINITY)),
                "-Inf" => Ok(Self::Float(f64::NEG_INFINITY)),
                _ => text.parse().map(Self::Float).map_err(|_| wrong()),
            },
            "bool" => match text.as_str() {
                "True" | "true" | "TRUE" | "T" | "t" | "1" => Ok(Self::Boolean(true)),
                "False" | "false" | "FALSE" | "F" | "f" | "0" => Ok(Self::Boolean(false)),
                _ => Err(wrong()),
            },
            "time" => Ok(Self::Time(text)),
            other => Err(format!("its type {other} is not known; update this program")),
        }
    }

    /// What a word without quotes means.
    pub(super) fn of_plain_word(word: &str) -> Result<Self, String> {
        match word {
            "" | "~" | "null" | "Null" | "NULL" => return Ok(Self::Null),
            "true" | "True" | "TRUE" => return Ok(Self::Boolean(true)),
            "false" | "False" | "FALSE" => return Ok(Self::Boolean(false)),
            ".nan" | ".NaN" | ".NAN" => return Ok(Self::Float(f64::NAN)),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Ok(Self::Float(f64::INFINITY)),
            "-.inf" | "-.Inf" | "-.INF" => return Ok(Self::Float(f64::NEG_INFINITY)),
            "<<" => return Err("merging with `<<` is not supported; write the keys out".to_owned()),
            _ => {}
        }
        if !word.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
            return Ok(Self::Text(word.to_owned()));
        }
        if let Some(time) = time(word) {
            return Ok(Self::Time(time));
        }
        let number = word.replace('_', "");
        match integer(&number) {
            Some(Ok(number)) => Ok(Self::Integer(number)),
            Some(Err(())) => {
                Err("the whole number is too large; put it in quotes, so that it is text".to_owned())
            }
            None => Ok(float(&number).map_or_else(|| Self::Text(word.to_owned()), Self::Float)),
        }
    }
}

/// A whole number with its base; an error when it is one but does not fit.
fn integer(word: &str) -> Option<Result<i64, ()>> {
    let (is_negative, digits) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let signed = if is_negative { format!("-{digits}") } else { digits.to_owned() };
    if let Ok(number) = i64::from_str_radix(&signed, radix) {
        return Some(Ok(number));
    }
    // What fits no 64 bits at all is read as a floating point number by SOPS.
    (!is_negative && u64::from_str_radix(digits, radix).is_ok()).then_some(Err(()))
}

/// A number with the form `[-+]? ( . digits | digits [. digits?] ) [e [-+]? digits]`.
fn float(word: &str) -> Option<f64> {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let has_form = match mantissa.split_once('.') {
        None => is_digits(mantissa),
        Some(("", fraction)) => is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && (fraction.is_empty() || is_digits(fraction)),
    };
    if !has_form || !is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)) {
        return None;
    }
    word.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A date or a date with a time, as RFC 3339.
fn time(word: &str) -> Option<String> {
    let bytes = word.as_bytes();
    let starts_as_year = bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-';
    if !starts_as_year {
        return None;
    }
    let (date, clock) = match word.find(['T', 't', ' ']) {
        Some(at) => (&word[..at], Some((char::from(bytes[at]), &word[at + 1..]))),
        None => (word, None),
    };
    let mut parts =
        date.split('-').enumerate().map(|(index, part)| number(part, if index == 0 { 4 } else { 2 }));
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let date = jiff::civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    if parts.next().is_some() {
        return None;
    }
    let Some((separator, clock)) = clock else { return Some(format!("{date}T00:00:00Z")) };
    // With a space there is no zone, with a T there is one.
    let (clock, zone) = match (separator, clock.find(['Z', '+', '-'])) {
        (' ', None) => (clock, "Z"),
        ('T' | 't', Some(at)) => clock.split_at(at),
        _ => return None,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_fraction = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || !is_fraction {
        return None;
    }
    let is_zone = zone == "Z"
        || (zone.len() == 6
            && zone.as_bytes()[3] == b':'
            && number(&zone[1..3], 2).is_some_and(|hour| hour < 24)
            && number(&zone[4..], 2).is_some_and(|minute| minute < 60));
    let zone = if matches!(zone, "+00:00" | "-00:00") { "Z" } else { zone };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    is_zone.then(|| format!("{date}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{zone}"))
}

/// A number of one or more digits, at most so many.
fn number(text: &str, digits: usize) -> Option<i16> {
    let is_number =
        !text.is_empty() && text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Refuses what cannot be a file of secrets before anything is made of it.
pub(super) fn check_length(subject: &str, text: &str) -> Result<()> {
    if text.len() > super::LONGEST {
        return Err(Error::document(
            subject,
            format!("it has {} bytes; at most {} are read", text.len(), super::LONGEST),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(word: &str) -> String {
        match Scalar::of_plain_word(word) {
            Ok(scalar) => format!("{} {}", scalar.kind(), scalar.plain().unwrap_or_default()),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn words_have_the_types_that_sops_gives_them() {
        // Each line was compared with what SOPS 3.13.2 writes as type and value.
        for (word, expected) in [
            ("word", "str word"),
            ("yes", "str yes"),
            ("on", "str on"),
            ("12", "int 12"),
            ("-12", "int -12"),
            ("+12", "int 12"),
            ("1_000", "int 1000"),
            ("0x1F", "int 31"),
            ("0b101", "int 5"),
            ("0o17", "int 15"),
            ("017", "int 15"),
            ("08", "float 8"),
            ("1.50", "float 1.5"),
            ("1e3", "float 1000"),
            (".5", "float 0.5"),
            ("1.", "float 1"),
            ("-0.0", "float -0"),
            ("1e21", "float 1000000000000000000000"),
            ("true", "bool True"),
            ("FALSE", "bool False"),
            ("10.0.0.1", "str 10.0.0.1"),
            ("1.2.3", "str 1.2.3"),
            ("-", "str -"),
            ("--", "str --"),
            ("2001-01-02", "time 2001-01-02T00:00:00Z"),
            ("2001-1-2", "time 2001-01-02T00:00:00Z"),
            ("2001-01-02T03:04:05Z", "time 2001-01-02T03:04:05Z"),
            ("2001-01-02T03:04:05.5+02:00", "time 2001-01-02T03:04:05.5+02:00"),
            ("2001-01-02 03:04:05", "time 2001-01-02T03:04:05Z"),
            ("2001-01-02T03:04:05.50+02:00", "time 2001-01-02T03:04:05.5+02:00"),
            ("2001-01-02 3:4:5", "time 2001-01-02T03:04:05Z"),
            ("2001-01-02t03:04:05z", "str 2001-01-02t03:04:05z"),
            ("2001-01-02T03:04:05 +2", "str 2001-01-02T03:04:05 +2"),
            ("2001-01-02 03:04", "str 2001-01-02 03:04"),
            ("2001-13-45", "str 2001-13-45"),
            ("9223372036854775807", "int 9223372036854775807"),
            ("9223372036854775808", "refused"),
            ("99999999999999999999", "float 100000000000000000000"),
            ("~", "null "),
        ] {
            assert_eq!(told(word), expected, "{word}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", Scalar::Text("hunter2".to_owned())), "[str]");
    }
}
