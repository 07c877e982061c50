//! Strict reading of changes from clients that send the whole object back.
//!
//! An update has only the fields that can change. Clients of older contracts send all of them, and read-only
//! ones too: what is read-only is passed over, what is fixed at creation must be as it is. Anything else that
//! the update does not know is refused, as everywhere.

use std::collections::BTreeSet;

use freehold_types::ApiError;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::route::Call;

/// Reads a change to the object whose public form is `view`.
///
/// # Errors
/// 400 for a bad body, 422 for a real change of what is fixed at creation.
pub fn read<U, V>(call: &Call<'_>, noun: &str, read_only: &[&str], view: &V) -> Result<U, ApiError>
where
    U: DeserializeOwned + JsonSchema,
    V: Serialize + JsonSchema,
{
    let Value::Object(body) = call.body::<Value>()? else {
        return Err(ApiError::malformed(format!(
            "the body must be a JSON object with the fields of a {noun}"
        )));
    };
    let changeable = fields_of::<U>();
    if body.keys().all(|field| changeable.contains(field)) {
        // The usual case; read from the text, so that a field given twice is refused too.
        return call.body();
    }
    let known = fields_of::<V>();
    let current = serde_json::to_value(view)
        .map_err(|error| ApiError::internal(format!("the {noun} has no JSON form: {error}")))?;
    let mut change = Map::new();
    for (field, value) in body {
        if changeable.contains(&field) {
            change.insert(field, value);
        } else if !known.contains(&field) {
            return Err(ApiError::malformed(format!(
                "the body cannot be read: a {noun} has no field `{field}`"
            )));
        } else if !read_only.contains(&field.as_str()) && !is_same(&value, &current[&field]) {
            return Err(ApiError::invalid(format!(
                "`{field}` of a {noun} is fixed at creation; leave it as it is, or make a new {noun} instead"
            )));
        }
    }
    freehold_web::json::read(Value::Object(change).to_string().as_bytes())
}

/// Whether a value is what is there already; an empty one is the same as none.
fn is_same(value: &Value, current: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    value == current || (is_empty(value) && is_empty(current))
}

/// The names of the fields of a model, from its schema.
fn fields_of<M: JsonSchema>() -> BTreeSet<String> {
    let schema = SchemaSettings::openapi3().into_generator().into_root_schema_for::<M>();
    match schema.get("properties") {
        Some(Value::Object(fields)) => fields.keys().cloned().collect(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use freehold_types::{ErrorKind, Id};
    use serde_json::{Value, json};

    use crate::testing::World;

    /// A network, whose `private` is fixed at creation, after a change.
    fn changed(change: &Value) -> Result<Value, (ErrorKind, String)> {
        let world = World::new();
        let region = world.call("create_region").body(json!({ "name": "eu", "domain": "example.org" })).id();
        let body = json!({ "name": "lan", "interface": "br0", "vlan": 7, "private": false });
        let network = world.call("create_region_v_net").to([region]).body(body).id();
        let answer = world.call("update_v_net").to([network]).body(change.clone()).send();
        answer.map(|answer| answer.body).map_err(|error| (error.kind, error.reason))
    }

    #[test]
    fn a_whole_object_sent_back_is_a_change() {
        let whole = json!({
            "id": Id::from_u64(9), "name": "lan2", "description": "", "interface": "br0", "vlan": 7, "private": false,
        });
        let answer = changed(&whole).unwrap();
        assert_eq!(
            (&answer["name"], &answer["vlan"], &answer["private"]),
            (&json!("lan2"), &json!(7), &json!(false))
        );
    }

    #[test]
    fn what_is_fixed_at_creation_cannot_change() {
        let (kind, reason) = changed(&json!({ "name": "lan2", "private": true })).unwrap_err();
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(reason.contains("`private` of a network is fixed at creation"), "{reason}");
    }

    #[test]
    fn what_no_network_has_is_refused() {
        for value in [json!("red"), json!(""), json!(null)] {
            let (kind, reason) = changed(&json!({ "colour": value })).unwrap_err();
            assert_eq!(kind, ErrorKind::Malformed);
            assert!(reason.contains("colour"), "{reason}");
        }
        for bad in [json!([]), json!(7), json!({ "vlan": "x" }), json!({ "vlan": "x", "private": false })] {
            assert_eq!(changed(&bad).unwrap_err().0, ErrorKind::Malformed, "{bad}");
        }
    }
}
