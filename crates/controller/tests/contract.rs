//! The OpenAPI document against the public contract: what clients of the contract call and read is served
//! under its names, with its types, bounds and defaults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use std::collections::{BTreeMap, BTreeSet};

use freehold_kinds::registry;
use freehold_testkit::Cluster;
use serde_json::{Map, Value, json};

const CONTRACT: &str = include_str!("kowabunga-api-0.58.json");
/// Query parameters of lists, beyond the contract.
const PAGING: [&str; 3] = ["after", "expand", "limit"];

/// Faults, so that one run tells all of them.
#[derive(Debug, Default)]
struct Faults(Vec<String>);

impl Faults {
    fn compare(&mut self, what: &str, found: &Value, wanted: &Value) {
        if found != wanted {
            self.0.push(format!("{what}: {found} instead of {wanted}"));
        }
    }
}

/// Our document, by operation.
struct Document {
    operations: BTreeMap<String, Value>,
    models: Map<String, Value>,
}

impl Document {
    async fn read() -> Self {
        let cluster = Cluster::start().await;
        let document = cluster.anonymous().get("/openapi.json").await.expect(200);
        cluster.stop().await;
        let mut operations = BTreeMap::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let mut operation = operation.clone();
                operation["method"] = json!(method.to_uppercase());
                operation["path"] = json!(path);
                operations.insert(operation["operationId"].as_str().expect("a name").to_owned(), operation);
            }
        }
        let models = document["components"]["schemas"].as_object().expect("models").clone();
        Self { operations, models }
    }

    /// The type of a schema in the words of the contract.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|link| link.rsplit('/').next()) {
            // Ids and words are strings on the wire, whatever they are called here.
            let target = &self.models[name];
            return if target["type"] == "object" { name.to_owned() } else { self.kind(target) };
        }
        if let Some(only) =
            schema["allOf"].as_array().or(schema["anyOf"].as_array()).and_then(|all| all.first())
        {
            return self.kind(only);
        }
        match schema["type"].as_str() {
            Some("array") => format!("[{}]", self.kind(&schema["items"])),
            Some("number") => "number|integer".to_owned(),
            Some("string") if schema["format"] == "date" => "date".to_owned(),
            Some(kind) => kind.to_owned(),
            None if schema["oneOf"].is_array() || schema["enum"].is_array() => "string".to_owned(),
            None => format!("?{schema}"),
        }
    }

    /// The words that a field may hold, in order.
    fn words(&self, schema: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|link| link.rsplit('/').next()) {
            return self.words(&self.models[name]);
        }
        if let Some(all) = schema["allOf"].as_array().or(schema["anyOf"].as_array()) {
            return all.first().map_or(Value::Null, |only| self.words(only));
        }
        // Of a list, those that its items may be.
        if schema["items"]["enum"].is_array() {
            return self.words(&schema["items"]);
        }
        let mut words: BTreeSet<String> = BTreeSet::new();
        let lists = schema["oneOf"].as_array().into_iter().flatten().map(|choice| &choice["enum"]);
        for list in lists.chain([&schema["enum"]]) {
            words.extend(list.as_array().into_iter().flatten().filter(|word| !word.is_null()).map(word));
        }
        if words.is_empty() { Value::Null } else { json!(words) }
    }

    fn content(&self, part: &Value) -> Value {
        let schema = &part["content"]["application/json"]["schema"];
        if schema.is_null() { Value::Null } else { json!(self.kind(schema)) }
    }

    fn compare(&self, wanted: &Value, faults: &mut Faults) {
        let name = wanted["op"].as_str().expect("a name");
        let Some(found) = self.operations.get(name) else {
            faults.0.push(format!("{name} is not served"));
            return;
        };
        faults.compare(&format!("{name}: method"), &found["method"], &wanted["method"]);
        faults.compare(&format!("{name}: path"), &found["path"], &wanted["path"]);
        faults.compare(&format!("{name}: body"), &self.content(&found["requestBody"]), &wanted["body"]);
        for (status, model) in wanted["ok"].as_object().expect("statuses") {
            let response = &found["responses"][status];
            assert!(response.is_object(), "{name} does not answer {status}");
            faults.compare(&format!("{name}: answer {status}"), &self.content(response), model);
        }
        let parameters = found["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query");
        let parameters: Map<String, Value> = parameters
            .map(|p| (p["name"].as_str().expect("a name").to_owned(), json!(self.kind(&p["schema"]))))
            .filter(|(name, _)| !PAGING.contains(&name.as_str()))
            .collect();
        let query = wanted["query"].as_object().cloned().unwrap_or_default();
        faults.compare(&format!("{name}: query"), &json!(parameters), &json!(query));
    }

    fn compare_model(&self, name: &str, wanted: &Map<String, Value>, faults: &mut Faults) {
        let Some(found) = self.models.get(name) else {
            faults.0.push(format!("{name} is no model"));
            return;
        };
        let (empty, required) = (Map::new(), found["required"].as_array().cloned().unwrap_or_default());
        let fields = found["properties"].as_object().unwrap_or(&empty);
        let names = |fields: &Map<String, Value>| json!(fields.keys().collect::<BTreeSet<_>>());
        faults.compare(&format!("{name}: fields"), &names(fields), &names(wanted));
        for (field, wanted) in wanted {
            let Some(found) = fields.get(field) else { continue };
            let what = |part: &str| format!("{name}.{field}: {part}");
            faults.compare(&what("type"), &json!(self.kind(found)), &wanted["type"]);
            let is = |flag: &Value| json!(flag.as_bool().unwrap_or(false));
            faults.compare(
                &what("required"),
                &json!(required.contains(&json!(field))),
                &is(&wanted["required"]),
            );
            faults.compare(&what("read-only"), &is(&found["readOnly"]), &is(&wanted["read_only"]));
            if !wanted["default"].is_null() {
                faults.compare(&what("default"), &found["default"], &wanted["default"]);
            }
            let bound = |bound: &Value| bound.as_f64().map_or(Value::Null, |bound| json!(bound));
            if !wanted["ge"].is_null() {
                faults.compare(&what("minimum"), &bound(&found["minimum"]), &bound(&wanted["ge"]));
            }
            if !wanted["le"].is_null() {
                faults.compare(&what("maximum"), &bound(&found["maximum"]), &bound(&wanted["le"]));
            }
            let words = wanted["enum"].as_array();
            let words: Option<BTreeSet<String>> = words.map(|words| words.iter().map(word).collect());
            faults.compare(&what("words"), &self.words(found), &json!(words));
        }
    }
}

/// A word as a text; groups of algorithms are known by numbers.
fn word(word: &Value) -> String {
    word.as_str().map_or_else(|| word.to_string(), str::to_owned)
}

#[tokio::test]
async fn the_document_is_the_contract() {
    let contract: Value = serde_json::from_str(CONTRACT).expect("the contract is JSON");
    let document = Document::read().await;
    let mut faults = Faults::default();
    let operations = contract["operations"].as_array().expect("operations");
    let mut models = BTreeSet::new();
    for operation in operations {
        document.compare(operation, &mut faults);
        models.extend(operation["body"].as_str());
        models.extend(
            operation["ok"].as_object().into_iter().flatten().filter_map(|(_, model)| model.as_str()),
        );
    }
    let known = contract["models"].as_object().expect("models");
    // With the models that these are made of.
    let mut pending: Vec<&str> = models.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = pending.pop() {
        let name = name.trim_matches(['[', ']']);
        let Some(fields) = known.get(name).and_then(Value::as_object).filter(|_| seen.insert(name)) else {
            continue;
        };
        document.compare_model(name, fields, &mut faults);
        pending.extend(fields.values().filter_map(|field| field["type"].as_str()));
    }
    assert!(seen.len() > 20, "{seen:?}");
    assert!(faults.0.is_empty(), "{} faults:\n{}", faults.0.len(), faults.0.join("\n"));
}

#[test]
fn what_is_beyond_the_contract_is_marked() {
    let contract: Value = serde_json::from_str(CONTRACT).expect("the contract is JSON");
    let operations = contract["operations"].as_array().expect("operations");
    let known: BTreeSet<&str> = operations.iter().filter_map(|operation| operation["op"].as_str()).collect();
    for (_, row) in registry::rows() {
        assert_eq!(row.extension, !known.contains(row.operation), "{}", row.operation);
    }
}
