//! Identifiers: 24 lower-case hexadecimal characters that sort by creation.
//!
//! Layout (12 bytes, big endian): 6 bytes of milliseconds since 1970, 2 bytes of sequence within the
//! millisecond, 4 random bytes. The shape is that of the public contract; the order is a promise to
//! clients, which sort ids as text to get the order of creation.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::PoisonError;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// Identifies one object of any kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 12]);

/// Text that is not an [`Id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 24 lower-case hexadecimal characters")]
pub struct InvalidId;

/// Last (millisecond, sequence) given out by this process, so that ids made in one millisecond, or
/// while the clock steps back, still sort by creation.
static LAST: Mutex<(u64, u16)> = Mutex::new((0, 0));

impl Id {
    /// Makes an id that sorts after every id made earlier in this process.
    pub fn generate() -> Self {
        Self::generate_at(Timestamp::now())
    }

    fn generate_at(now: Timestamp) -> Self {
        let (millisecond, sequence) = {
            let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
            *last = match last.1.checked_add(1) {
                _ if now.as_millis() > last.0 => (now.as_millis(), 0),
                Some(sequence) => (last.0, sequence),
                None => (last.0 + 1, 0),
            };
            *last
        };
        Self::from_parts(millisecond, sequence, rand::random())
    }

    fn from_parts(millisecond: u64, sequence: u16, random: u32) -> Self {
        let mut bytes = [0; 12];
        bytes[..6].copy_from_slice(&millisecond.to_be_bytes()[2..]);
        bytes[6..8].copy_from_slice(&sequence.to_be_bytes());
        bytes[8..].copy_from_slice(&random.to_be_bytes());
        Self(bytes)
    }

    /// An id made from a number, for fixtures and for objects that exist once.
    pub const fn from_u64(number: u64) -> Self {
        let n = number.to_be_bytes();
        Self([0, 0, 0, 0, n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]])
    }

    /// From its raw bytes.
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The raw bytes, for keys and hashes.
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// When the id was made.
    pub fn created_at(&self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.0[..6]);
        Timestamp::from_millis(u64::from_be_bytes(millis))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0_u8; 24];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let text = text.as_bytes();
        if text.len() != 24 {
            return Err(InvalidId);
        }
        let mut bytes = [0; 12];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Result<u8, InvalidId> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(InvalidId),
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(format_args!("`{text}` is not an id: {InvalidId}")))
    }
}

impl JsonSchema for Id {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{24}$" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_made_in_a_row_sort_by_creation_as_text() {
        let ids: Vec<String> = (0..5_000).map(|_| Id::generate().to_string()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_clock_that_steps_back_keeps_the_order() {
        let later = Id::generate_at(Timestamp::from_millis(u64::from(u32::MAX) * 1_000));
        let earlier_clock = Id::generate_at(Timestamp::from_millis(5));
        assert!(later < earlier_clock);
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes in any::<[u8; 12]>()) {
            let id = Id(bytes);
            prop_assert_eq!(id.to_string().parse::<Id>(), Ok(id));
            prop_assert_eq!(id.to_string().len(), 24);
        }

        #[test]
        fn other_text_is_refused(text in "[0-9A-Zg-z]{24}|[0-9a-f]{0,23}|[0-9a-f]{25,30}") {
            prop_assume!(!text.chars().all(|c| c.is_ascii_digit()) || text.len() != 24);
            prop_assert_eq!(text.parse::<Id>(), Err(InvalidId));
        }
    }
}
