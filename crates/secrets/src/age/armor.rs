//! The text form: PEM with the strict layout that age asks for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::damaged;
use crate::error::Result;

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";
const COLUMNS: usize = 64;

pub(super) fn is_armored(file: &[u8]) -> bool {
    file.trim_ascii_start().starts_with(BEGIN.as_bytes())
}

pub(super) fn wrap(file: &[u8]) -> String {
    let encoded = STANDARD.encode(file);
    let mut text = format!("{BEGIN}\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(COLUMNS));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(END);
    text.push('\n');
    text
}

pub(super) fn unwrap(file: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(file).map_err(|_| damaged("its text is not UTF-8"))?;
    let mut lines = text.trim().lines().map(|line| line.trim_end_matches('\r'));
    let (first, last) = (lines.next(), lines.next_back());
    if first != Some(BEGIN) || last != Some(END) {
        return Err(damaged("its first or last line is missing"));
    }
    let mut encoded = String::with_capacity(text.len());
    let mut is_last = false;
    for line in lines {
        if is_last || line.is_empty() || line.len() > COLUMNS {
            return Err(damaged("its lines do not have 64 columns"));
        }
        is_last = line.len() < COLUMNS;
        encoded.push_str(line);
    }
    STANDARD.decode(encoded).map_err(|_| damaged("its text is not base64"))
}
