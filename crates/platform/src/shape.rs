//! The model's shape: what may stand where, compiled from the JSON schema of its types.
//!
//! The types are the only source: the schema is derived from them, this from the schema, and the structural check,
//! the reference and `explain` from this.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::model::Platform;
use crate::words::{Form, form_of};

/// What may stand in a place.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A mapping with known keys.
    Record(Record),
    /// A mapping from names to things of one kind.
    Table {
        key: Arc<Shape>,
        value: Arc<Shape>,
    },
    /// A list of things of one kind.
    List {
        item: Arc<Shape>,
        least: usize,
    },
    Text(Text),
    Integer {
        least: i64,
        most: i64,
    },
    Number {
        least: f64,
        most: f64,
    },
    Boolean,
    /// One of some words.
    Choice(Choice),
    /// A text that must not be seen, or `{secret: NAME}`.
    Secret,
    /// A part of a platform.
    Overlay,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) about: String,
    pub(crate) fields: BTreeMap<String, Field>,
    /// The fields in the order of the type.
    pub(crate) order: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) shape: Arc<Shape>,
    pub(crate) about: String,
    pub(crate) is_required: bool,
    pub(crate) default: Option<Value>,
}

#[derive(Debug, Default)]
pub(crate) struct Text {
    /// The word's name in the schema, and its form.
    pub(crate) form: Option<(String, Form)>,
    pub(crate) least: usize,
    pub(crate) most: usize,
    /// Tables in one of which the text must be a key.
    pub(crate) refers: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Each with what it means.
    pub(crate) values: Vec<(String, String)>,
    /// Words that others use for one of ours.
    pub(crate) instead: BTreeMap<String, String>,
}

/// The shape of a platform.
pub(crate) fn platform() -> Arc<Shape> {
    static PLATFORM: LazyLock<Arc<Shape>> = LazyLock::new(|| {
        let schema = schema();
        let definitions = schema.get("$defs").cloned().unwrap_or_default();
        Compiler { definitions, known: BTreeMap::new() }.compile(&schema)
    });
    Arc::clone(&PLATFORM)
}

/// The JSON Schema of a platform, with our own keywords.
pub(crate) fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<Platform>().to_value()
}

struct Compiler {
    definitions: Value,
    known: BTreeMap<String, Arc<Shape>>,
}

impl Compiler {
    fn compile(&mut self, schema: &Value) -> Arc<Shape> {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            if let Some(known) = self.known.get(name) {
                return Arc::clone(known);
            }
            let definition = self.definitions[name].clone();
            let shape = self.compile(&definition);
            self.known.insert(name.to_owned(), Arc::clone(&shape));
            return shape;
        }
        if schema["x-secret"] == true {
            return Arc::new(Shape::Secret);
        }
        if schema["x-overlay"] == true {
            return Arc::new(Shape::Overlay);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            // What may be absent is written as a choice between it and nothing.
            let present: Vec<&Value> = choices.iter().filter(|choice| choice["type"] != "null").collect();
            if let [one] = present.as_slice() {
                return self.compile(one);
            }
        }
        if let Some(choice) = choice(schema) {
            return Arc::new(Shape::Choice(choice));
        }
        let mut kinds = schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let kind = schema["type"].as_str().or_else(|| kinds.find(|kind| *kind != "null")).unwrap_or("");
        Arc::new(match kind {
            "object" => return self.object(schema),
            "array" => Shape::List {
                item: self.compile(&schema["items"]),
                least: usize::try_from(schema["minItems"].as_u64().unwrap_or(0)).unwrap_or(0),
            },
            "integer" => Shape::Integer {
                least: schema["minimum"].as_i64().unwrap_or(i64::MIN),
                most: schema["maximum"].as_i64().unwrap_or_else(|| largest(&schema["format"])),
            },
            "number" => Shape::Number {
                least: schema["minimum"].as_f64().unwrap_or(f64::MIN),
                most: schema["maximum"].as_f64().unwrap_or(f64::MAX),
            },
            "boolean" => Shape::Boolean,
            _ => Shape::Text(text(schema)),
        })
    }

    fn object(&mut self, schema: &Value) -> Arc<Shape> {
        if schema["additionalProperties"].is_object() {
            return Arc::new(Shape::Table {
                key: self.compile(&schema["propertyNames"]),
                value: self.compile(&schema["additionalProperties"]),
            });
        }
        let mut record = Record { about: about(schema), ..Record::default() };
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let shape = self.compile(field);
            record.order.push(name.clone());
            record.fields.insert(
                name.clone(),
                Field {
                    shape,
                    about: about(field),
                    is_required: required.contains(&name.as_str()),
                    default: field.get("default").cloned(),
                },
            );
        }
        Arc::new(Shape::Record(record))
    }
}

fn about(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn largest(format: &Value) -> i64 {
    match format.as_str() {
        Some("uint8") => i64::from(u8::MAX),
        Some("uint16") => i64::from(u16::MAX),
        Some("uint32") => i64::from(u32::MAX),
        _ => i64::MAX,
    }
}

fn text(schema: &Value) -> Text {
    let length = |key: &str| schema[key].as_u64().and_then(|length| usize::try_from(length).ok());
    let format = schema["format"].as_str();
    Text {
        form: format.and_then(|format| Some((format.to_owned(), form_of(format)?))),
        least: length("minLength").unwrap_or(0),
        most: length("maxLength").unwrap_or(1 << 16),
        refers: schema["x-refers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|to| to.as_str().map(str::to_owned))
            .collect(),
    }
}

fn choice(schema: &Value) -> Option<Choice> {
    let mut values = Vec::new();
    let mut collect = |one: &Value, about: String| match (&one["const"], &one["enum"]) {
        (Value::String(word), _) => values.push((word.clone(), about)),
        (_, Value::Array(words)) => {
            values
                .extend(words.iter().filter_map(Value::as_str).map(|word| (word.to_owned(), about.clone())));
        }
        _ => {}
    };
    match schema["oneOf"].as_array() {
        Some(alternatives) => alternatives.iter().for_each(|one| collect(one, about(one))),
        None => collect(schema, String::new()),
    }
    if values.is_empty() {
        return None;
    }
    let instead = schema["x-instead"].as_object().into_iter().flatten();
    let instead = instead.filter_map(|(theirs, ours)| Some((theirs.clone(), ours.as_str()?.to_owned())));
    Some(Choice { values, instead: instead.collect() })
}

impl Shape {
    /// What it is, in a few words.
    pub(crate) fn noun(&self) -> String {
        match self {
            Self::Record(_) => "mapping".to_owned(),
            Self::Table { value, .. } => format!("mapping of names to {}", value.plural()),
            Self::List { item, .. } => format!("list of {}", item.plural()),
            Self::Text(text) => match &text.form {
                _ if !text.refers.is_empty() => format!("name in {}", ticked(&text.refers)),
                Some((form, _)) => form_noun(form).0,
                None => "text".to_owned(),
            },
            Self::Integer { least, most } if *most == i64::MAX || *least == i64::MIN => "number".to_owned(),
            Self::Integer { least, most } => format!("number from {least} to {most}"),
            Self::Number { .. } => "number".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Choice(choice) => {
                let words: Vec<String> = choice.values.iter().map(|(word, _)| word.clone()).collect();
                if words.len() > 8 { "word".to_owned() } else { ticked(&words) }
            }
            Self::Secret => "secret".to_owned(),
            Self::Overlay => "part of a platform".to_owned(),
        }
    }

    /// What it is, for the middle of a sentence.
    pub(crate) fn with_article(&self) -> String {
        let noun = self.noun();
        if matches!(self, Self::Boolean) {
            noun
        } else if matches!(self, Self::Choice(_)) {
            format!("one of {noun}")
        } else if noun.starts_with(['a', 'e', 'i', 'o']) {
            format!("an {noun}")
        } else {
            format!("a {noun}")
        }
    }

    fn plural(&self) -> String {
        match self {
            Self::Record(_) | Self::Table { .. } => "mappings".to_owned(),
            Self::List { .. } => "lists".to_owned(),
            Self::Text(text) => match &text.form {
                _ if !text.refers.is_empty() => format!("names in {}", ticked(&text.refers)),
                Some((form, _)) => form_noun(form).1,
                None => "texts".to_owned(),
            },
            Self::Integer { .. } | Self::Number { .. } => "numbers".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Choice(_) => "words".to_owned(),
            Self::Secret => "secrets".to_owned(),
            Self::Overlay => "parts of a platform".to_owned(),
        }
    }
}

/// What a form of texts is called, one and many.
fn form_noun(form: &str) -> (String, String) {
    let (one, many) = match form {
        "age-key" => ("public key of age", "public keys of age"),
        "address" | "interface-address" => ("address", "addresses"),
        "cidr" => ("network such as 10.0.0.0/24", "networks such as 10.0.0.0/24"),
        "disk-id" => ("name in /dev/disk/by-id", "names in /dev/disk/by-id"),
        "domain" => ("domain name", "domain names"),
        "http-url" => ("URL", "URLs"),
        "kafka-id" => ("text of 22 characters", "texts of 22 characters"),
        "link-name" => ("name of an interface", "names of interfaces"),
        "mac" => ("hardware address", "hardware addresses"),
        "ports" => ("port or range of ports", "ports and ranges of ports"),
        "ssh-key" => ("public key of SSH", "public keys of SSH"),
        "system-name" => ("name of an account", "names of accounts"),
        "uuid" => ("UUID in lower case", "UUIDs in lower case"),
        other => return (other.to_owned(), format!("{other}s")),
    };
    (one.to_owned(), many.to_owned())
}

fn ticked(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
