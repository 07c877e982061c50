//! Secrets that stand in the clear, and what must not be shown of a file.

use crate::fault::Fault;
use crate::shape::Shape;
use crate::source::{Origin, Sources};
use crate::tree::{Data, Node};

/// Warns of each secret whose value stands in a file that is not one of secrets.
pub(crate) fn clear(root: &Node, shape: &Shape, sources: &Sources) -> Vec<Fault> {
    let mut faults = Vec::new();
    walk(root, shape, root.origin, sources, &mut faults);
    faults
}

fn walk(node: &Node, shape: &Shape, key: Origin, sources: &Sources, faults: &mut Vec<Fault>) {
    match (shape, &node.data) {
        (Shape::Record(record), Data::Map(map)) => {
            for (name, entry) in map {
                if let Some(field) = record.fields.get(name) {
                    walk(&entry.node, &field.shape, entry.key, sources, faults);
                }
            }
        }
        (Shape::Table { value, .. }, Data::Map(map)) => {
            for entry in map.values() {
                walk(&entry.node, value, entry.key, sources, faults);
            }
        }
        (Shape::List { item, .. }, Data::List(items)) => {
            for one in items {
                walk(one, item, one.origin, sources, faults);
            }
        }
        (Shape::Secret, Data::Scalar(scalar)) if !scalar.is_expanded && !sources.is_secret(node.origin) => {
            faults.push(
                // The same words for all machines of a group, so that they are told once.
                Fault::at(key, "this secret stands here in the clear")
                    .hint("move it into a secrets file that mirrors this one, or take it from a variable: ${NAME}")
                    .warning(),
            );
        }
        _ => {}
    }
}

/// Places of all values that must not be seen, by the names of their keys: also where a key is misspelt or stands in
/// the wrong place.
pub(crate) fn hidden(node: &Node, places: &mut Vec<Origin>) {
    match &node.data {
        Data::Null => {}
        Data::Scalar(scalar) => {
            // A private key in the place of a public one.
            if scalar.text.contains("PRIVATE KEY") || scalar.text.contains("AGE-SECRET-KEY") {
                places.push(node.origin);
            }
        }
        Data::List(items) => items.iter().for_each(|item| hidden(item, places)),
        Data::Map(map) => {
            for (name, entry) in map {
                if is_secret(name) && matches!(entry.node.data, Data::Scalar(_)) {
                    places.push(entry.node.origin);
                }
                hidden(&entry.node, places);
            }
        }
    }
}

/// Whether a key of this name may hold a secret.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let parts = ["pass", "token", "credential", "private"];
    if key.contains("public") {
        return false;
    }
    key.ends_with("key")
        || (key.contains("secret") && key != "secret")
        || parts.iter().any(|part| key.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape;

    fn names(shape: &Shape, found: &mut Vec<String>) {
        match shape {
            Shape::Record(record) => {
                for (name, field) in &record.fields {
                    if matches!(*field.shape, Shape::Secret) {
                        found.push(name.clone());
                    }
                    names(&field.shape, found);
                }
            }
            Shape::Table { value, .. } => names(value, found),
            Shape::List { item, .. } => names(item, found),
            Shape::Text(_)
            | Shape::Integer { .. }
            | Shape::Number { .. }
            | Shape::Boolean
            | Shape::Choice(_)
            | Shape::Secret
            | Shape::Overlay => {}
        }
    }

    #[test]
    fn every_secret_of_the_model_is_hidden_by_its_name() {
        let mut found = Vec::new();
        names(&shape::platform(), &mut found);
        assert!(found.len() > 10, "{found:?}");
        for name in found {
            assert!(is_secret(&name), "{name}");
        }
        assert!(
            !is_secret("keys")
                && !is_secret("public_key")
                && !is_secret("key_file")
                && !is_secret("host_keys")
        );
    }
}
