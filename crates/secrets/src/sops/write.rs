//! Writes values so that they are read as what they are.

use serde_json::Value;

use super::scalar::Scalar;
use super::scan::Place;

/// How far a block of text is indented below its parent, as SOPS does it.
const STEP: usize = 4;

/// A value as text for its place. `may_span_lines` is false where something follows on the same line.
pub(super) fn scalar(scalar: &Scalar, place: Place, may_span_lines: bool) -> Result<String, String> {
    match (scalar, place) {
        (Scalar::Null, _) => Ok("null".to_owned()),
        (Scalar::Boolean(value), _) => Ok(value.to_string()),
        (Scalar::Integer(number), _) => Ok(number.to_string()),
        (Scalar::Float(number), _) => float(*number, place),
        (Scalar::Time(time), Place::Json) => Ok(quoted(time)),
        (Scalar::Time(time), _) => Ok(time.clone()),
        (Scalar::Text(text), Place::Json) => {
            serde_json::to_string(text).map_err(|_| "it cannot be written".to_owned())
        }
        (Scalar::Text(text), Place::Line) => {
            if text.contains('\r') || text.contains("\\n") {
                return Err(
                    "it holds a carriage return or `\\n`, which dotenv cannot say; use YAML".to_owned()
                );
            }
            Ok(text.replace('\n', "\\n"))
        }
        (Scalar::Text(text), Place::Flow) => Ok(quoted(text)),
        (Scalar::Text(text), Place::Block { column }) => {
            if may_span_lines
                && text.contains('\n')
                && let Some(block) = block(text, column + STEP)
            {
                return Ok(block);
            }
            Ok(if is_plain(text) { text.clone() } else { quoted(text) })
        }
    }
}

fn float(number: f64, place: Place) -> Result<String, String> {
    if number.is_finite() {
        let text = number.to_string();
        // Without a point it would be read as a whole number.
        return Ok(if text.contains('.') { text } else { format!("{text}.0") });
    }
    if place == Place::Json {
        return Err("it is no finite number, which JSON cannot say".to_owned());
    }
    Ok(if number.is_nan() {
        ".nan"
    } else if number > 0.0 {
        ".inf"
    } else {
        "-.inf"
    }
    .to_owned())
}

/// Whether a text may stand in YAML without quotes.
fn is_plain(text: &str) -> bool {
    let is_word = matches!(Scalar::of_plain_word(text), Ok(Scalar::Text(_)));
    let is_old_boolean =
        matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off");
    let starts_well =
        text.starts_with(|first: char| first.is_ascii_alphanumeric() || "/_.$+(^".contains(first));
    let is_tame = |character: char| {
        character.is_ascii_alphanumeric() || "_-./+=@^$()~,:;[]*&!%?<> ".contains(character)
    };
    is_word
        && !is_old_boolean
        && starts_well
        && text.chars().all(is_tame)
        && !text.contains(": ")
        && !text.contains(" -")
        && !text.ends_with([':', ' '])
}

/// A text in double quotes, for YAML and JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // What YAML calls a line break or does not print.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let number = u32::from(character);
                let digit = |shift: u32| char::from_digit(number >> shift & 15, 16).unwrap_or('0');
                quoted.extend(['\\', 'u', digit(12), digit(8), digit(4), digit(0)]);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A text as a literal block, when it can be one. The last line break is that of the line it stands in.
fn block(text: &str, indent: usize) -> Option<String> {
    let body = text.trim_end_matches('\n');
    let is_tame = |character: char| character == '\n' || !quoted(&character.to_string()).contains('\\');
    let is_block = !body.is_empty()
        && !body.starts_with([' ', '\n'])
        && body.chars().all(|character| is_tame(character) || "\"\\\t".contains(character))
        && body.lines().all(|line| !line.trim().is_empty() || line.is_empty());
    if !is_block {
        return None;
    }
    let header = match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    };
    let mut block = header.to_owned();
    for line in body.split('\n') {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&" ".repeat(indent));
            block.push_str(line);
        }
    }
    block.push_str(&"\n".repeat((text.len() - body.len()).saturating_sub(1)));
    Some(block)
}

/// The metadata in the block form of YAML, indented as SOPS does it.
pub(super) fn yaml(value: &Value, indent: usize, into: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                into.push_str(&" ".repeat(indent));
                entry(key, value, indent, into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            into.extend([" ".repeat(indent).as_str(), inline(value, indent).as_str(), "\n"]);
        }
    }
}

fn entry(key: &str, value: &Value, indent: usize, into: &mut String) {
    let key = if is_plain(key) { key.to_owned() } else { quoted(key) };
    match value {
        Value::Object(map) if !map.is_empty() => {
            into.extend([key.as_str(), ":\n"]);
            yaml(value, indent + STEP, into);
        }
        Value::Array(list) if !list.is_empty() => {
            into.extend([key.as_str(), ":\n"]);
            for item in list {
                let start = format!("{}- ", " ".repeat(indent + STEP));
                let mut text = String::new();
                yaml(item, indent + STEP + 2, &mut text);
                into.push_str(&start);
                into.push_str(text.trim_start());
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => into.extend([key.as_str(), ": ", &inline(value, indent), "\n"]),
    }
}

fn inline(value: &Value, indent: usize) -> String {
    match value {
        Value::String(text) => scalar(&Scalar::Text(text.clone()), Place::Block { column: indent }, true)
            .unwrap_or_else(|_| quoted(text)),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
