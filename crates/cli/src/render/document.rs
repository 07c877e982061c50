//! Objects as documents: our words, in a fixed order, readable again. Pure.

use serde_json::Value;
use serde_norway::{Mapping, Value as Ordered};

use crate::error::{Error, Failure, Result};
use crate::kind::{Kind, Shape};
use crate::object::Object;

/// An object as a document: kind, name and id, then its fields in their order, then what the controller
/// sent beyond them. Secrets are left out unless asked for.
pub fn to_document(kind: &'static Kind, object: &Object, secrets: bool) -> Ordered {
    let mut document = Mapping::new();
    let mut put = |key: &str, value: &Value| {
        if let Ok(value) = serde_norway::to_value(value) {
            nest(&mut document, key, value);
        }
    };
    put("kind", &kind.name.into());
    if kind.field("name").is_some() {
        put("name", object.at("name"));
    }
    put("id", object.at("id"));
    for field in kind.fields.iter().filter(|field| field.key != "name") {
        let value = object.at(field.wire);
        if !value.is_null() && (secrets || field.shape != Shape::Secret) {
            put(field.key, &field.shape.document(value));
        }
    }
    let known = |name: &str| {
        name == "id" || kind.fields.iter().any(|field| field.wire.split('.').next() == Some(name))
    };
    for (name, value) in object.0.iter().filter(|(name, _)| !known(name)) {
        put(name, value);
    }
    Ordered::Mapping(document)
}

fn nest(document: &mut Mapping, key: &str, value: Ordered) {
    match key.split_once('.') {
        Some((outer, inner)) => {
            let nested = document.entry(outer.into()).or_insert_with(|| Ordered::Mapping(Mapping::new()));
            if let Ordered::Mapping(nested) = nested {
                nested.insert(inner.into(), value);
            }
        }
        None => {
            document.insert(key.into(), value);
        }
    }
}

/// Documents as YAML, one after the other.
///
/// # Errors
/// When a value has no YAML form.
pub fn yaml(documents: &[Ordered]) -> Result<String> {
    let texts = documents.iter().map(serde_norway::to_string).collect::<Result<Vec<_>, _>>();
    texts.map(|texts| texts.join("---\n")).map_err(unprintable)
}

/// A value as JSON.
///
/// # Errors
/// When it has no JSON form.
pub fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(unprintable)
}

fn unprintable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Failure::General, "cannot print the answer").because(error)
}

/// JSON values as documents of the same content.
///
/// # Errors
/// When a value has no such form.
pub fn ordered(values: &[Value]) -> Result<Vec<Ordered>> {
    values.iter().map(serde_norway::to_value).collect::<Result<_, _>>().map_err(unprintable)
}
