//! An object as the controller sent it.

use freehold_types::{Id, Timestamp};
use serde_json::{Map, Value};

use crate::error::{Error, Failure, Result};

/// An object as the controller sent it: its wire fields, of which only `id` is certain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object(pub Map<String, Value>);

impl Object {
    /// Takes a JSON object that has an id.
    ///
    /// # Errors
    /// When it is none: the controller speaks another language than ours.
    pub fn from_json(value: Value) -> Result<Self> {
        if let Value::Object(map) = value
            && map.get("id").is_some_and(Value::is_string)
        {
            return Ok(Self(map));
        }
        Err(Error::new(Failure::General, "the controller answered without an object")
            .hint("compare the versions with `freehold status` and `freehold --version`"))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.0.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its name, or its id when it has none.
    pub fn name(&self) -> &str {
        self.0
            .get("name")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| self.id())
    }

    /// The value at a wire path, one dot leading into a nested object.
    pub fn at(&self, path: &str) -> &Value {
        match path.split_once('.') {
            Some((outer, inner)) => self.0.get(outer).and_then(|value| value.get(inner)),
            None => self.0.get(path),
        }
        .unwrap_or(&Value::Null)
    }

    /// When it was made, as its id tells.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.id().parse::<Id>().ok().map(|id| id.created_at())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nameless_object_is_called_by_its_id() {
        let object = Object::from_json(json!({ "id": "1", "name": "", "a": { "b": 2 } })).unwrap();
        assert_eq!((object.name(), object.at("a.b")), ("1", &json!(2)));
        assert!(Object::from_json(json!(["1"])).is_err());
    }
}
