//! Whether a tree has the shape of a platform. It finds every fault, and makes of the rest what the types read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::fault::{Fault, Place};
use crate::near;
use crate::path::Path;
use crate::shape::{Choice, Record, Shape, Text};
use crate::source::{Origin, Sources};
use crate::tree::{Data, Entry, Node, Scalar};

/// Reads a tree by a shape.
pub(crate) struct Reader<'a> {
    root: &'a Node,
    shape: &'a Shape,
    sources: &'a Sources,
    /// Whether what is required may be missing, and what is referred to as well: a part of a platform.
    is_partial: bool,
    faults: Vec<Fault>,
    /// Places of values that may be secrets.
    hidden: Vec<Origin>,
    /// Lists of which something was left out, with what was not.
    kept: Kept,
}

/// For each list of which something was left out, the positions of what was not.
pub(crate) type Kept = BTreeMap<Path, Vec<usize>>;

/// What was read.
pub(crate) struct Reading {
    /// What the types read, without what is wrong; nothing when what is wrong is required.
    pub(crate) value: Option<Value>,
    pub(crate) faults: Vec<Fault>,
    /// Places of values that may be secrets.
    pub(crate) hidden: Vec<Origin>,
    pub(crate) kept: Kept,
}

impl<'a> Reader<'a> {
    /// A reader of a whole platform.
    pub(crate) fn new(root: &'a Node, shape: &'a Shape, sources: &'a Sources) -> Self {
        Self {
            root,
            shape,
            sources,
            is_partial: false,
            faults: Vec::new(),
            hidden: Vec::new(),
            kept: Kept::new(),
        }
    }

    /// Reads everything.
    pub(crate) fn read(mut self) -> Reading {
        let value = self.value(self.root, self.shape, &Path::default(), self.root.origin);
        Reading { value, faults: self.faults, hidden: self.hidden, kept: self.kept }
    }

    fn value(&mut self, node: &Node, shape: &Shape, path: &Path, key: Origin) -> Option<Value> {
        match (shape, &node.data) {
            (_, Data::Scalar(scalar)) if scalar.is_wrong => None,
            (Shape::Record(record), Data::Map(map)) => self.record(map, record, path, key),
            // A thing of a table that says nothing has nothing but defaults.
            (Shape::Record(record), Data::Null) => self.record(&BTreeMap::new(), record, path, key),
            (Shape::Table { key, value }, Data::Map(map)) => Some(self.table(map, key, value, path)),
            (Shape::Table { .. } | Shape::Overlay, Data::Null) => Some(Value::Object(Map::new())),
            (Shape::List { item, least }, Data::List(items)) => self.list(node, items, item, *least, path),
            (Shape::Overlay, Data::Map(_)) => {
                let mut partial = Reader {
                    root: node,
                    shape: self.shape,
                    sources: self.sources,
                    is_partial: true,
                    faults: Vec::new(),
                    hidden: Vec::new(),
                    kept: Kept::new(),
                };
                let value = partial.value(node, self.shape, path, key);
                self.faults.append(&mut partial.faults);
                self.hidden.append(&mut partial.hidden);
                value
            }
            (Shape::Secret, Data::Map(_)) => self.named_secret(node, path),
            (Shape::Secret, Data::Scalar(scalar)) => Some(Value::String(scalar.text.clone())),
            (Shape::Text(text), Data::Scalar(scalar)) => self.text(node.origin, scalar, text),
            (Shape::Choice(choice), Data::Scalar(scalar)) => self.choice(node.origin, scalar, choice),
            (Shape::Integer { least, most }, Data::Scalar(scalar)) => {
                let number =
                    scalar.text.parse::<i64>().ok().filter(|_| scalar.is_plain || scalar.is_expanded);
                match number {
                    Some(number) if (*least..=*most).contains(&number) => Some(Value::from(number)),
                    Some(number) => self.out_of_range(
                        node.origin,
                        &number.to_string(),
                        &least.to_string(),
                        &most.to_string(),
                    ),
                    None => self.mismatch(node, shape),
                }
            }
            (Shape::Number { least, most }, Data::Scalar(scalar)) => {
                let number = scalar.text.parse::<f64>().ok().filter(|number| number.is_finite());
                match number.filter(|_| scalar.is_plain || scalar.is_expanded) {
                    Some(number) if (*least..=*most).contains(&number) => Some(Value::from(number)),
                    Some(number) => self.out_of_range(
                        node.origin,
                        &number.to_string(),
                        &least.to_string(),
                        &most.to_string(),
                    ),
                    None => self.mismatch(node, shape),
                }
            }
            (Shape::Boolean, Data::Scalar(scalar)) if scalar.is_plain || scalar.is_expanded => {
                match scalar.text.as_str() {
                    "true" => Some(Value::Bool(true)),
                    "false" => Some(Value::Bool(false)),
                    _ => self.mismatch(node, shape),
                }
            }
            _ => self.mismatch(node, shape),
        }
    }

    fn record(
        &mut self,
        map: &BTreeMap<String, Entry>,
        record: &Record,
        path: &Path,
        key: Origin,
    ) -> Option<Value> {
        let mut value = Map::new();
        let mut is_whole = true;
        for (name, entry) in map {
            let Some(field) = record.fields.get(name) else {
                let hint = near::hint(name, record.fields.keys().map(String::as_str));
                let message = match path.0.last() {
                    Some(_) => format!("`{path}` has no key `{name}`"),
                    None => format!("a platform has no key `{name}`"),
                };
                self.faults.push(Fault::at(entry.key, message).label("unknown key").maybe_hint(hint));
                // A misspelt key may be that of a secret.
                if record.fields.values().any(|field| matches!(*field.shape, Shape::Secret)) {
                    self.hidden.push(entry.node.origin);
                }
                continue;
            };
            if matches!(entry.node.data, Data::Null) {
                continue;
            }
            match self.value(&entry.node, &field.shape, &path.then(name), entry.key) {
                Some(read) => {
                    value.insert(name.clone(), read);
                }
                None if field.is_required => match stand_in(&field.shape) {
                    Some(stand_in) => {
                        value.insert(name.clone(), stand_in.into());
                    }
                    None => is_whole = false,
                },
                None => {}
            }
        }
        if self.is_partial {
            return Some(Value::Object(value));
        }
        for (name, field) in &record.fields {
            let is_absent = map.get(name).is_none_or(|entry| matches!(entry.node.data, Data::Null));
            if field.is_required && is_absent {
                is_whole = false;
                let whole = path.0.last().map_or_else(|| "the platform".to_owned(), |_| format!("`{path}`"));
                let origin = map.get(name).map_or(key, |entry| entry.key);
                let about = field.about.trim_end_matches('.');
                let hint = format!("`{name}` is {}: {}", field.shape.with_article(), lower(about));
                self.faults.push(Fault::at(origin, format!("{whole} lacks `{name}`")).hint(hint).absence());
            }
        }
        is_whole.then_some(Value::Object(value))
    }

    fn table(&mut self, map: &BTreeMap<String, Entry>, key: &Shape, value: &Shape, path: &Path) -> Value {
        let mut read = Map::new();
        for (name, entry) in map {
            let scalar = Scalar { text: name.clone(), is_plain: true, is_expanded: false, is_wrong: false };
            let is_key = if let Shape::Text(text) = key {
                self.text(entry.key, &scalar, text).is_some()
            } else if let Shape::Choice(choice) = key {
                self.choice(entry.key, &scalar, choice).is_some()
            } else {
                true
            };
            let below = self.value(&entry.node, value, &path.then(name), entry.key);
            if let (true, Some(below)) = (is_key, below) {
                read.insert(name.clone(), below);
            }
        }
        Value::Object(read)
    }

    fn list(
        &mut self,
        node: &Node,
        items: &[Node],
        item: &Shape,
        least: usize,
        path: &Path,
    ) -> Option<Value> {
        if items.len() < least && !self.is_partial {
            self.faults.push(Fault::at(node.origin, format!("`{path}` needs at least {least} value")));
            return None;
        }
        let (mut read, mut kept) = (Vec::with_capacity(items.len()), Vec::new());
        for (at, one) in items.iter().enumerate() {
            if matches!(one.data, Data::Null) {
                self.faults.push(Fault::at(one.origin, format!("an item of `{path}` is empty")));
            } else if let Some(value) = self.value(one, item, &path.then(at), one.origin) {
                read.push(value);
                kept.push(at);
            }
        }
        if kept.len() < items.len() {
            self.kept.insert(path.clone(), kept);
        }
        Some(Value::Array(read))
    }

    fn named_secret(&mut self, node: &Node, path: &Path) -> Option<Value> {
        let name = node.get("secret");
        let only = node.map().is_some_and(|map| map.len() == 1);
        let Some(Node { data: Data::Scalar(scalar), origin, .. }) = name.filter(|_| only) else {
            self.faults.push(
                Fault::at(node.origin, format!("`{path}` is a secret: a text, or `secret: NAME` alone"))
                    .hint("put the text into a secrets file, or name an entry of `secrets.named`"),
            );
            return None;
        };
        let text = Text { refers: vec!["secrets.named".to_owned()], most: 63, ..Text::default() };
        let name = self.text(*origin, scalar, &text)?;
        Some(serde_json::json!({ "secret": name }))
    }

    fn text(&mut self, origin: Origin, scalar: &Scalar, shape: &Text) -> Option<Value> {
        let text = scalar.text.as_str();
        let length = text.chars().count();
        let wrong = if let Some((_, form)) = &shape.form {
            form(text).err()
        } else if length < shape.least {
            Some(if length == 0 { "this is empty".to_owned() } else { format!("`{text}` is too short") })
        } else if length > shape.most {
            Some(format!("this has {length} characters; at most {} are allowed", shape.most))
        } else {
            None
        };
        if let Some(mut wrong) = wrong {
            if self.sources.is_secret(origin) {
                let form = shape.form.as_ref().map_or("text of the right length", |(form, _)| form.as_str());
                wrong = format!("this value, which is not shown, is not a {form}");
            }
            self.faults.push(Fault::at(origin, wrong));
            return None;
        }
        if let Some(fault) = self.dangling(origin, text, shape) {
            self.faults.push(fault);
            return None;
        }
        Some(Value::String(text.to_owned()))
    }

    /// A text as it is told; those of secrets files are not.
    fn quoted(&self, origin: Origin, text: &str) -> String {
        if self.sources.is_secret(origin) { "this value".to_owned() } else { format!("`{text}`") }
    }

    /// The fault of a name that nothing has.
    fn dangling(&self, origin: Origin, text: &str, shape: &Text) -> Option<Fault> {
        if shape.refers.is_empty() || self.is_partial {
            return None;
        }
        let tables: Vec<&BTreeMap<String, Entry>> =
            shape.refers.iter().filter_map(|table| self.root.at(table.split('.'))?.map()).collect();
        if tables.iter().any(|table| table.contains_key(text)) {
            return None;
        }
        let places: Vec<String> = shape.refers.iter().map(|table| format!("`{table}`")).collect();
        let names = tables.iter().flat_map(|table| table.keys().map(String::as_str));
        let hint = near::hint(text, names).unwrap_or_else(|| format!("add it to {}", places.join(" or ")));
        let fault = Fault::at(
            origin,
            format!("there is no {} in {}", self.quoted(origin, text), places.join(" or ")),
        );
        Some(fault.label("unknown name").hint(hint).absence())
    }

    fn choice(&mut self, origin: Origin, scalar: &Scalar, choice: &Choice) -> Option<Value> {
        let text = scalar.text.as_str();
        let mut words = choice.values.iter().map(|(word, _)| word.as_str());
        if words.any(|word| word == text) {
            return Some(Value::String(text.to_owned()));
        }
        let hint = match choice.instead.get(&text.to_lowercase()) {
            Some(ours) => Some(format!("it is called `{ours}` here")),
            None => near::hint(text, choice.values.iter().map(|(word, _)| word.as_str())),
        };
        self.faults.push(
            Fault::at(origin, format!("{} is not one of the known words", self.quoted(origin, text)))
                .maybe_hint(hint),
        );
        None
    }

    fn out_of_range(&mut self, origin: Origin, number: &str, least: &str, most: &str) -> Option<Value> {
        let number = if self.sources.is_secret(origin) { "this number" } else { number };
        self.faults.push(Fault::at(origin, format!("{number} is not in the range {least} to {most}")));
        None
    }

    fn mismatch(&mut self, node: &Node, shape: &Shape) -> Option<Value> {
        let expected = shape.with_article();
        let (found, hint) = match &node.data {
            Data::Null => ("nothing", None),
            Data::List(_) => ("a list", None),
            Data::Map(_) => ("a mapping", None),
            Data::Scalar(scalar) => ("a text", scalar_hint(scalar, shape)),
        };
        let is_list = matches!(shape, Shape::List { .. });
        let hint = hint.or_else(|| is_list.then(|| "put values into brackets: [one, two]".to_owned()));
        let fault = Fault::at(node.origin, format!("expected {expected}, found {found}"));
        self.faults.push(fault.maybe_hint(hint));
        None
    }
}

/// What stands in for a wrong value, so that what does not depend on it is checked all the same.
fn stand_in(shape: &Shape) -> Option<&'static str> {
    let Shape::Text(text) = shape else { return None };
    let is_name = text.form.as_ref().is_some_and(|(form, _)| form == "name");
    (is_name && text.refers.is_empty()).then_some("unnamed")
}

fn scalar_hint(scalar: &Scalar, shape: &Shape) -> Option<String> {
    let is_number = scalar.text.parse::<f64>().is_ok();
    if matches!(shape, Shape::Integer { .. } | Shape::Number { .. }) && is_number && !scalar.is_plain {
        return Some("write the number without quotes".to_owned());
    }
    if !matches!(shape, Shape::Boolean) {
        return None;
    }
    match scalar.text.to_lowercase().as_str() {
        "yes" | "on" | "true" | "y" => Some("write `true`".to_owned()),
        "no" | "off" | "false" | "n" => Some("write `false`".to_owned()),
        _ => None,
    }
}

/// A sentence that goes on after a colon.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// Finds a place in a tree: the value or key of the path, or what comes nearest above it. Positions in lists are those
/// of what was read.
pub(crate) fn find(root: &Node, place: &Place, kept: &Kept) -> Option<Origin> {
    let (path, wants_key) = match place {
        Place::Nowhere => return None,
        Place::At(origin) => return Some(*origin),
        Place::Value(path) => (path, false),
        Place::Key(path) => (path, true),
    };
    let (mut node, mut key) = (root, None);
    let mut complete = true;
    let mut above = Path::default();
    for step in path.steps() {
        let next = match &node.data {
            Data::Map(map) => map.get(step).map(|entry| (&entry.node, Some(entry.key), step.to_owned())),
            Data::List(items) => step.parse::<usize>().ok().and_then(|at| {
                let at = kept.get(&above).map_or(Some(at), |kept| kept.get(at).copied())?;
                Some((items.get(at)?, None, at.to_string()))
            }),
            Data::Null | Data::Scalar(_) => None,
        };
        let Some((next, at, step)) = next else {
            complete = false;
            break;
        };
        (node, key) = (next, at);
        above = above.then(step);
    }
    let is_block = matches!(node.data, Data::Map(_) | Data::Null);
    match key {
        Some(key) if wants_key || !complete || is_block => Some(key),
        _ => Some(node.origin),
    }
}
