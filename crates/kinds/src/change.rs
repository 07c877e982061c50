//! Strict reading of changes from clients that send the whole object back.
//!
//! An update has only the fields that can change. Clients of older contracts send all of them, and read-only
//! ones too: what is read-only is passed over, what is fixed at creation must be as it is. Anything else that
//! the update does not know is refused, as everywhere.

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
pub fn read<U>(call: &Call<'_>, noun: &str, read_only: &[&str], view: &impl Serialize) -> Result<U, ApiError>
where
    U: DeserializeOwned + JsonSchema,
{
    let Ok(Value::Object(body)) = call.body::<Value>() else { return call.body() };
    let known = fields_of::<U>();
    if body.keys().all(|field| known.contains_key(field)) {
        // The usual case; read from the text, so that a field given twice is refused too.
        return call.body();
    }
    let current = serde_json::to_value(view)
        .map_err(|error| ApiError::internal(format!("the {noun} has no JSON form: {error}")))?;
    let mut change = Map::new();
    for (field, value) in body {
        if known.contains_key(&field) {
            change.insert(field, value);
        } else if !read_only.contains(&field.as_str()) && !is_same(noun, &field, &value, &current)? {
            return Err(ApiError::invalid(format!(
                "`{field}` of a {noun} is fixed at creation; leave it as it is, or make a new {noun} instead"
            )));
        }
    }
    freehold_web::json::read(Value::Object(change).to_string().as_bytes())
}

/// Whether a field that no update has is as it is; an empty value is the same as none.
fn is_same(noun: &str, field: &str, value: &Value, current: &Value) -> Result<bool, ApiError> {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    match current.get(field) {
        Some(current) => Ok(current == value || (empty(current) && empty(value))),
        None if empty(value) => Ok(true),
        None => Err(ApiError::malformed(format!("the body cannot be read: a {noun} has no field `{field}`"))),
    }
}

/// The fields of a model, as its schema names them.
fn fields_of<U: JsonSchema>() -> Map<String, Value> {
    let schema = SchemaSettings::openapi3().into_generator().into_root_schema_for::<U>();
    match schema.get("properties") {
        Some(Value::Object(fields)) => fields.clone(),
        _ => Map::new(),
    }
}
