//! The OpenAPI 3.0 document, made from the rows of the route table.

use std::collections::BTreeMap;

use freehold_types::error::ErrorBody;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Makes (or refers to) the schema of a model.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    /// JSON type: `string`, `integer`, `boolean`, or `date`.
    pub kind: &'static str,
    pub description: &'static str,
}

/// One operation as the document shows it.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub id: &'static str,
    pub tag: &'static str,
    /// Lower case.
    pub method: &'static str,
    /// With parameters in braces.
    pub path: &'static str,
    pub summary: &'static str,
    /// Whether it is open to everybody.
    pub public: bool,
    pub body: Option<SchemaOf>,
    pub query: &'static [Parameter],
    pub status: u16,
    pub answer: Option<SchemaOf>,
    /// The model of what a list of ids gives instead when asked to expand it.
    pub expanded: Option<SchemaOf>,
    /// Statuses of the failures that may occur.
    pub errors: &'static [u16],
}

/// The schema of a model, by reference.
pub fn schema_of<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Builds the document.
pub fn document(version: &str, base_path: &str, operations: impl IntoIterator<Item = Operation>) -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let error = schema_of::<ErrorBody>(&mut generator);
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let described = describe(&operation, &mut generator, &error);
        paths.entry(operation.path).or_default().insert(operation.method.to_owned(), described);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Freehold",
            "description": "Own a cloud instead of renting one.",
            "version": version,
            "license": { "name": "Apache-2.0" },
        },
        "servers": [{ "url": base_path }],
        "security": [{ "key": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
                "session": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator, error: &Schema) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters(operation),
        "responses": responses(operation, generator, error),
    });
    if let Some(body) = operation.body {
        described["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body(generator) } } });
    }
    if operation.public {
        described["security"] = json!([]);
    }
    described
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let in_path =
        operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
            json!({
                "name": name, "in": "path", "required": true,
                "schema": { "type": "string", "pattern": "^[0-9a-f]{24}$" },
            })
        });
    let in_query = operation.query.iter().map(|parameter| {
        let schema = match parameter.kind {
            "date" => json!({ "type": "string", "format": "date" }),
            kind => json!({ "type": kind }),
        };
        json!({
            "name": parameter.name, "in": "query", "required": false,
            "description": parameter.description, "schema": schema,
        })
    });
    in_path.chain(in_query).collect()
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator, error: &Schema) -> Map<String, Value> {
    let mut responses = Map::new();
    let success = match operation.answer {
        Some(answer) => json!({
            "description": "Done.",
            "content": { "application/json": { "schema": schema(answer, operation.expanded, generator) } },
        }),
        None => json!({ "description": "Done." }),
    };
    responses.insert(operation.status.to_string(), success);
    if operation.method == "delete" {
        responses.insert("202".to_owned(), json!({ "description": "The removal is still under way." }));
    }
    for status in operation.errors {
        responses.insert(
            status.to_string(),
            json!({ "description": "Refused.", "content": { "application/json": { "schema": error } } }),
        );
    }
    responses
}

/// The schema of an answer. An empty list is one of ids and one of objects alike, hence `anyOf`.
fn schema(answer: SchemaOf, expanded: Option<SchemaOf>, generator: &mut SchemaGenerator) -> Value {
    let plain = answer(generator).to_value();
    match expanded {
        Some(model) => json!({ "anyOf": [plain, { "type": "array", "items": model(generator) }] }),
        None => plain,
    }
}
