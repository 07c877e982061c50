//! Reads documents: YAML or JSON, one or several, each an object with its `kind`. Pure.
//!
//! Promises: every fault of every document is told at once; whatever this crate prints as YAML or JSON is
//! read back; fields that only the controller sets are skipped.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Draft;
use crate::error::{Error, Result};
use crate::kind::{self, Field, Kind};
use crate::near::nearest;

/// Reads all documents of a text; `source` names it in messages.
///
/// # Errors
/// Usage, with every fault.
pub fn read_documents(source: &str, text: &str) -> Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    let mut faults = Vec::new();
    for (index, document) in values(source, text)?.iter().enumerate() {
        match read_document(document) {
            Ok(draft) => drafts.push(draft),
            Err(found) => {
                let name = document.get("name").and_then(Value::as_str).unwrap_or_default();
                let place = format!("{source}, document {} {name}", index + 1);
                faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", place.trim_end())));
            }
        }
    }
    match (faults.is_empty(), drafts.is_empty()) {
        (false, _) => {
            Err(Error::usage(faults.join("\n")).hint("see the fields with `freehold explain KIND`"))
        }
        (true, true) => Err(Error::usage(format!("{source} holds no document"))),
        (true, false) => Ok(drafts),
    }
}

/// The documents of a text; a list is as many documents as it has items.
fn values(source: &str, text: &str) -> Result<Vec<Value>> {
    let fail = |error: serde_norway::Error| {
        Error::usage(format!("{source} is neither YAML nor JSON")).because(error)
    };
    let mut values = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(fail)?;
        if let Value::Array(items) = value {
            values.extend(items);
        } else if !value.is_null() {
            values.push(value);
        }
    }
    Ok(values)
}

fn read_document(document: &Value) -> Result<Draft, Vec<String>> {
    let Value::Object(map) = document else {
        return Err(vec!["a document is a mapping with a `kind`".to_owned()]);
    };
    let Some(word) = map.get("kind").and_then(Value::as_str) else {
        return Err(vec!["`kind` is missing".to_owned()]);
    };
    let kind = kind::find(word).map_err(|error| {
        let near = nearest(word, kind::KINDS.iter().map(|kind| kind.name));
        vec![
            near.first().map_or_else(|| error.to_string(), |near| format!("{error}; did you mean `{near}`?")),
        ]
    })?;
    let mut draft = Draft::new(kind);
    let mut faults = Vec::new();
    for (key, value) in map.iter().filter(|(key, _)| *key != "kind") {
        if let Err(found) = read_entry(&mut draft, key, value) {
            faults.extend(found);
        }
    }
    if faults.is_empty() { Ok(draft) } else { Err(faults) }
}

fn read_entry(draft: &mut Draft, key: &str, value: &Value) -> Result<(), Vec<String>> {
    let kind = draft.kind;
    if key == "id" {
        draft.id = value.as_str().map(str::to_owned);
        return Ok(());
    }
    if kind.field(key).is_some() {
        return read_field(draft, key, value).map_err(|fault| vec![fault]);
    }
    if let Some(parent) = parent_named(kind, key) {
        let text = value.as_str().ok_or_else(|| vec![format!("`{key}`: a name or id is expected")])?;
        draft.parents.insert(parent, text.to_owned());
        return Ok(());
    }
    let outer = |path: &str| path.split_once('.').is_some_and(|(outer, _)| outer == key);
    let nested = kind.fields.iter().any(|field| outer(field.key) || outer(field.wire));
    match (nested, value.as_object()) {
        (true, Some(inner)) => read_nested(draft, key, inner),
        (true, None) => Err(vec![format!("`{key}`: a mapping is expected")]),
        (false, _) => Err(vec![unknown(kind, key)]),
    }
}

fn read_nested(draft: &mut Draft, outer: &str, inner: &Map<String, Value>) -> Result<(), Vec<String>> {
    let faults: Vec<String> = inner
        .iter()
        .filter_map(|(key, value)| {
            let path = format!("{outer}.{key}");
            match draft.kind.field(&path) {
                Some(_) => read_field(draft, &path, value).err(),
                None => Some(unknown(draft.kind, &path)),
            }
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn read_field(draft: &mut Draft, key: &str, value: &Value) -> Result<(), String> {
    let Some(field) = draft.kind.field(key) else { return Err(unknown(draft.kind, key)) };
    if !field.presence.at_creation() && !field.presence.in_updates() {
        return Ok(());
    }
    if value.is_null() && !field.shape.several() {
        return Ok(());
    }
    let read = field.shape.read(value).map_err(|fault| format!("`{key}`: {fault}"))?;
    draft.values.insert(field.key, read);
    Ok(())
}

/// The placeholder that a word of a document fills: the placeholder itself, or any name of its kind.
fn parent_named(kind: &'static Kind, word: &str) -> Option<&'static str> {
    let meant = kind::find(word).ok()?;
    kind.parents().into_iter().find(|name| kind::find(name).is_ok_and(|parent| parent.name == meant.name))
}

fn unknown(kind: &'static Kind, key: &str) -> String {
    let known: Vec<&str> = match key.split_once('.') {
        None => kind.fields.iter().map(|field| field.key).chain(kind.parents()).collect(),
        Some((outer, _)) => {
            let within = |field: &&'static Field| field.key.split_once('.').is_some_and(|(o, _)| o == outer);
            kind.fields.iter().filter(within).map(|field| field.key).collect()
        }
    };
    let told = format!("`{key}` is not a field of {}", kind.name);
    match (nearest(key, known.iter().copied()).first(), key.contains('.')) {
        (_, true) => format!("{told}; there are `{}`", known.join("`, `")),
        (Some(near), false) => format!("{told}; did you mean `{near}`?"),
        (None, false) => told,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_with_several_documents_is_read() {
        let text = "
kind: network
name: lan
interface: br0
region: paris
---
kind: kompute
name: web
project: shop
zone: paris-1
vcpus: 2
memory: 4G
disk: 20 GiB
image: debian
kwarantines: [front]
ip: 10.0.0.7
id: 000000000000000000000001
";
        let drafts = read_documents("a.yaml", text).unwrap();
        assert_eq!(drafts[0].parents.get("region"), Some("paris"));
        let compute = &drafts[1];
        assert_eq!((compute.kind.name, compute.parents.get("zone")), ("compute", Some("paris-1")));
        assert_eq!(compute.values["memory"], json!(4_u64 << 30));
        assert_eq!(compute.values["anti_affinity_groups"], json!(["front"]));
        assert!(!compute.values.contains_key("ip"));
        assert_eq!(compute.id.as_deref(), Some("000000000000000000000001"));
    }

    #[test]
    fn json_lists_and_nested_fields_are_read() {
        let text = r#"[{"kind": "project", "name": "shop", "regions": "paris",
            "quotas": {"memory": "16G"}, "metadata": {"tier": "gold"}}]"#;
        let drafts = read_documents("-", text).unwrap();
        assert_eq!(drafts[0].values["quotas.memory"], json!(16_u64 << 30));
        assert_eq!(drafts[0].values["metadata"], json!([{ "key": "tier", "value": "gold" }]));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let text = "
kind: compute
name: web
memry: 4G
vcpus: none
---
kind: computr
---
name: lost
---
kind: project
name: shop
quotas: { memory: much, disk: 1 }
tags: { a: b }
---
- just
";
        let error = read_documents("a.yaml", text).unwrap_err();
        insta::assert_snapshot!(error.to_string());
    }

    #[test]
    fn what_is_no_document_is_told() {
        for text in ["", "---\n", "a: [", "kind: !tag x"] {
            assert!(read_documents("a.yaml", text).is_err(), "{text}");
        }
    }
}
