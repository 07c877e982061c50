//! Lines of `NAME=value`: comments, values with `\n` for a line break, metadata as `sops_...`.

use serde_json::{Map, Value};

use super::scalar::Scalar;
use super::scan::{Piece, Place, Scan, TopLevel};
use crate::error::{Error, Result};

/// What names of the metadata start with.
pub(super) const PREFIX: &str = "sops_";

/// Scans lines. Names of the metadata are in `top` and not in `pieces`.
pub(super) fn scan(subject: &str, text: &str) -> Result<Scan> {
    let mut scan = Scan::default();
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let end = start + line.len();
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with('#') {
            scan.pieces.push(Piece::Comment { paths: vec![Vec::new()], span: start + 1..end, column: 0 });
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            let place = format!("{subject}, line {}", index + 1);
            return Err(Error::document(place, "this is neither NAME=value nor a comment"));
        };
        if scan.top.iter().any(|top| top.key == name) {
            let place = format!("{subject}, line {}", index + 1);
            return Err(Error::document(place, format!("the name `{name}` is there twice; remove one")));
        }
        scan.top.push(TopLevel { key: name.to_owned(), start, end: at });
        if !name.starts_with(PREFIX) {
            scan.pieces.push(Piece::Value {
                path: vec![name.to_owned()],
                span: start + name.len() + 1..end,
                scalar: Scalar::Text(value.replace("\\n", "\n")),
                place: Place::Line,
            });
        }
    }
    Ok(scan)
}

/// The metadata as a tree, from its flat names.
pub(super) fn metadata(text: &str) -> Option<Value> {
    let mut root = Value::Object(Map::new());
    for line in text.lines() {
        let Some((name, value)) = line.strip_prefix(PREFIX).and_then(|rest| rest.split_once('=')) else {
            continue;
        };
        let place = place(&mut root, name)?;
        *place = match value {
            "true" | "false" => Value::Bool(value == "true"),
            _ => Value::String(value.replace("\\n", "\n")),
        };
    }
    Some(root)
}

/// The place that a name like `age__list_0__map_recipient` means.
fn place<'a>(root: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let mut place = root;
    for (index, step) in name.replace("__map_", "\0m").replace("__list_", "\0l").split('\0').enumerate() {
        let step = if index == 0 { format!("m{step}") } else { step.to_owned() };
        if let Some(position) = step.strip_prefix('l') {
            if place.is_null() {
                *place = Value::Array(Vec::new());
            }
            let position: usize = position.parse().ok().filter(|position| *position < 1_024)?;
            let list = place.as_array_mut()?;
            while list.len() <= position {
                list.push(Value::Null);
            }
            place = list.get_mut(position)?;
        } else {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            place = place.as_object_mut()?.entry(&step[1..]).or_insert(Value::Null);
        }
    }
    Some(place)
}

/// The metadata as lines, sorted as SOPS sorts them.
pub(super) fn write_metadata(metadata: &Value) -> String {
    let mut lines = Vec::new();
    flatten("sops", metadata, true, &mut lines);
    lines.sort();
    lines.concat()
}

fn flatten(name: &str, value: &Value, is_root: bool, lines: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (key, value) in map {
                let name = if is_root { format!("{PREFIX}{key}") } else { format!("{name}__map_{key}") };
                flatten(&name, value, false, lines);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                flatten(&format!("{name}__list_{index}"), value, false, lines);
            }
        }
        Value::String(text) => lines.push(format!("{name}={}\n", text.replace('\n', "\\n"))),
        Value::Bool(value) => lines.push(format!("{name}={value}\n")),
        Value::Number(number) => lines.push(format!("{name}={number}\n")),
    }
}
