//! The table of kinds against the public contract.
//!
//! `contract/kowabunga-0.58.json` holds the operations and models of the kinds that this command line
//! knows, taken from the contract. Every one of them must be reachable, and nothing may be made up.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use freehold_cli::kind::{Field, KINDS, Kind, Place, Shape, find};
use serde::Deserialize;

#[derive(Deserialize)]
struct Contract {
    operations: Vec<Operation>,
    models: BTreeMap<String, BTreeMap<String, Property>>,
}

#[derive(Deserialize)]
struct Operation {
    #[serde(rename = "operation")]
    verb: String,
    noun: String,
    path: String,
    #[serde(default)]
    query: BTreeSet<String>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(default)]
    required: bool,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    create_only: bool,
    #[serde(default, rename = "enum")]
    words: Vec<String>,
}

fn contract() -> Contract {
    serde_json::from_str(include_str!("contract/kowabunga-0.58.json")).unwrap()
}

/// A path with its placeholders named after kinds, however the two sides call them.
fn plain(path: &str) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some("id") => "{id}".to_owned(),
        Some(word) => format!("{{{}}}", find(word).unwrap().name),
        None => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn paths_of(kind: &'static Kind, operation: &str) -> Vec<String> {
    match operation {
        "list" => {
            let all = kind.listed.then_some(&kind.path);
            all.into_iter().chain(kind.within).map(|path| plain(path)).collect()
        }
        "create" => kind.creates.iter().map(|path| plain(path)).collect(),
        _ => vec![format!("{}/{{{}}}", plain(kind.path), kind.name)],
    }
}

fn field_for(kind: &'static Kind, property: &str) -> Option<&'static Field> {
    kind.fields.iter().find(|field| field.wire.split('.').next() == Some(property))
}

#[test]
fn every_operation_is_reachable() {
    for operation in contract().operations {
        let kind = find(&operation.noun).unwrap();
        let paths = paths_of(kind, &operation.verb);
        assert!(paths.contains(&plain(&operation.path)), "{} {}", operation.verb, operation.path);
        for parameter in operation.query {
            // A filter of a list has a list of its own.
            let known =
                kind.fields.iter().any(|field| field.place == Place::Query && field.wire == parameter);
            assert!(known, "{}: query {parameter}", operation.path);
        }
    }
}

#[test]
fn no_path_is_made_up() {
    let operations = contract().operations;
    for kind in KINDS {
        for operation in ["list", "read", "create", "update", "delete"] {
            for path in paths_of(kind, operation) {
                let known = |known: &&Operation| known.verb == operation && plain(&known.path) == path;
                // A sub-collection of machines is listed under the noun of its parent in the contract.
                let listed = operation == "list" && path == "/kaktus/{hypervisor}/instances";
                assert!(listed || operations.iter().any(|o| known(&o)), "{operation} {path}");
            }
        }
    }
}

#[test]
fn every_property_can_be_given() {
    let contract = contract();
    for operation in &contract.operations {
        let kind = find(&operation.noun).unwrap();
        let Some(body) = &operation.body else { continue };
        for (name, property) in contract.models[body].iter().filter(|(name, _)| *name != "id") {
            let field = field_for(kind, name).unwrap_or_else(|| panic!("{body}.{name}"));
            let presence = field.presence;
            match operation.verb.as_str() {
                "create" => {
                    assert_eq!(presence.at_creation(), !property.read_only, "{body}.{name}");
                    assert_eq!(
                        presence.at_creation() && !presence.in_updates(),
                        property.create_only,
                        "{body}.{name}"
                    );
                    // An empty list is sent where the contract demands a list that may be empty.
                    let list = matches!(field.shape, Shape::References(_));
                    assert!(presence.required() == property.required || list, "{body}.{name}");
                }
                _ => assert!(presence.in_updates(), "{body}.{name}"),
            }
            if let Shape::Choice(words) = field.shape {
                let ours: BTreeSet<_> = words.iter().map(|(_, wire)| *wire).collect();
                assert!(property.words.iter().all(|word| ours.contains(word.as_str())), "{body}.{name}");
            }
        }
    }
}

#[test]
fn no_field_is_made_up() {
    let contract = contract();
    for kind in KINDS {
        let of_kind =
            |operation: &&Operation| find(&operation.noun).is_ok_and(|found| found.name == kind.name);
        let bodies: Vec<_> = contract
            .operations
            .iter()
            .filter(of_kind)
            .filter_map(|operation| operation.body.as_ref())
            .collect();
        for field in kind.fields.iter().filter(|field| field.place == Place::Body) {
            let name = field.wire.split('.').next().unwrap();
            let known = bodies.iter().any(|body| contract.models[*body].contains_key(name));
            assert!(known, "{}: {}", kind.name, field.wire);
        }
    }
}
