//! A value that must not be seen, or the name under which it is kept.

use std::borrow::Cow;

use freehold_types::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::SecretName;

/// A secret: its value, or the name of an entry of `secrets.named` that is generated and kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SecretText {
    /// The value itself, from a secrets file or a variable.
    Value(Secret<String>),
    /// The name of a secret.
    Named(Named),
}

/// A secret by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    pub secret: SecretName,
}

impl JsonSchema for SecretText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-secret": true,
            "anyOf": [
                { "type": "string", "minLength": 1 },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["secret"],
                    "properties": { "secret": SecretName::json_schema(generator) }
                }
            ]
        })
    }
}
