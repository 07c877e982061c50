//! Where a value comes from, and what it replaced.

use serde::Serialize;

use crate::check;
use crate::load::Loaded;
use crate::near;
use crate::path::Path;
use crate::shape::{self, Shape};
use crate::tree::{Data, Entry, Layer, Node};

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The key.
    pub key: String,
    /// What the model says about it.
    pub about: String,
    /// What may stand there.
    pub kind: String,
    /// The default, where nothing is said.
    pub default: Option<String>,
    /// What is said, of the key itself or of the keys below it.
    pub values: Vec<Value>,
}

/// A value and its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Value {
    /// Its key.
    pub key: String,
    /// The value; secrets are not shown.
    pub value: String,
    /// Where it stands, as `file:line:column`.
    pub place: String,
    /// The layer that it comes from.
    pub layer: String,
    /// What it replaced, the strongest first.
    pub replaced: Vec<Replaced>,
}

/// A value that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// The value; secrets are not shown.
    pub value: String,
    /// Where it stands.
    pub place: String,
    /// The layer that it comes from.
    pub layer: String,
}

/// Most values that one explanation lists.
const MOST: usize = 200;

/// Explains a key such as `machines.web-1.ssh.port`, of a platform that may have faults. Names with dots may stand in
/// quotes.
///
/// # Errors
/// A sentence with what was meant instead, when the model has no such key.
pub fn explain(loaded: &Loaded, key: &str) -> Result<Explanation, String> {
    let steps = split(key);
    let root = shape::platform();
    let mut about = String::new();
    let mut default = None;
    let (mut at, mut node) = (&*root, Some(&loaded.tree));
    let mut path = Path::default();
    let mut rest = steps.as_slice();
    while let Some((step, after)) = rest.split_first() {
        let mut step = step.clone();
        rest = after;
        match at {
            Shape::Record(record) => {
                let field =
                    record.fields.get(&step).ok_or_else(|| unknown(&path, &step, record.fields.keys()))?;
                about.clone_from(&field.about);
                default = field.default.as_ref().filter(|value| !is_whole(value)).map(plain);
                at = &field.shape;
            }
            Shape::Table { value, .. } => {
                // A name may hold dots: the longest one that exists is meant.
                let names = node.and_then(Node::map);
                for taken in (1..=rest.len()).rev() {
                    let joined =
                        std::iter::once(step.as_str()).chain(rest[..taken].iter().map(String::as_str));
                    let joined = joined.collect::<Vec<_>>().join(".");
                    if names.is_some_and(|names| names.contains_key(&joined)) {
                        step = joined;
                        rest = &rest[taken..];
                        break;
                    }
                }
                let exists = names.is_some_and(|names| names.contains_key(&step));
                // In the tables of a file that says nothing, every name can be explained.
                if !exists && names.is_some_and(|names| !names.is_empty()) && step != "NAME" {
                    return Err(unknown(&path, &step, names.into_iter().flat_map(|names| names.keys())));
                }
                default = None;
                if let Shape::Record(record) = &**value {
                    about.clone_from(&record.about);
                }
                at = value;
            }
            Shape::List { item, .. } => {
                step.parse::<usize>().map_err(|_| format!("`{path}` is a list: name a position from 0"))?;
                default = None;
                at = item;
            }
            Shape::Text(_)
            | Shape::Integer { .. }
            | Shape::Number { .. }
            | Shape::Boolean
            | Shape::Choice(_)
            | Shape::Secret
            | Shape::Overlay => return Err(format!("`{path}` is a {}, and has no keys", at.noun())),
        }
        path = path.then(&step);
        node = node.and_then(|node| node.at(std::iter::once(step.as_str())));
    }
    let mut values = Vec::new();
    if let Some(node) = node {
        let hides = steps.last().is_some_and(|step| check::is_secret(step)) || matches!(at, Shape::Secret);
        collect(loaded, node, &path, hides, &mut values);
    }
    Ok(Explanation { key: path.to_string(), about, kind: at.noun(), default, values })
}

/// Keys between dots; what stands in quotes is one.
fn split(key: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut is_quoted = false;
    for c in key.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => steps.push(String::new()),
            _ => steps.last_mut().into_iter().for_each(|step| step.push(c)),
        }
    }
    steps.retain(|step| !step.is_empty());
    steps
}

fn unknown<'a>(path: &Path, step: &str, names: impl Iterator<Item = &'a String> + Clone) -> String {
    let place = if path.0.is_empty() { "a platform".to_owned() } else { format!("`{path}`") };
    let hint = near::hint(step, names.map(String::as_str));
    let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
    format!("{place} has no `{step}`{hint}")
}

/// Whether it is a mapping or list, whose parts have defaults of their own.
fn is_whole(value: &serde_json::Value) -> bool {
    value.is_object() || value.is_array()
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn collect(loaded: &Loaded, node: &Node, path: &Path, hides: bool, values: &mut Vec<Value>) {
    if values.len() >= MOST {
        return;
    }
    if let Data::Map(map) = &node.data {
        for (name, Entry { node, .. }) in map {
            collect(loaded, node, &path.then(name), hides || check::is_secret(name), values);
        }
        return;
    }
    if matches!(node.data, Data::Null) && node.replaced.is_empty() {
        return;
    }
    let sources = loaded.sources();
    let show =
        |text: String, origin| if hides || sources.is_secret(origin) { "[secret]".to_owned() } else { text };
    let replaced = node.replaced.iter().rev().map(|one| Replaced {
        value: show(one.text.clone(), one.origin),
        place: sources.place(one.origin),
        layer: name(&one.layer),
    });
    values.push(Value {
        key: path.to_string(),
        value: show(node.brief(), node.origin),
        place: sources.place(node.origin),
        layer: name(&node.layer),
        replaced: replaced.collect(),
    });
}

fn name(layer: &Layer) -> String {
    match layer {
        Layer::File => "file".to_owned(),
        Layer::Profile(name) => format!("profile `{name}`"),
        Layer::Secrets => "secrets file".to_owned(),
        Layer::Defaults => "defaults".to_owned(),
        Layer::Group(name) => format!("group `{name}`"),
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.key, self.kind)?;
        if !self.about.is_empty() {
            writeln!(f, "  {}", self.about)?;
        }
        if let Some(default) = &self.default {
            writeln!(f, "  default: {default}")?;
        }
        if self.values.is_empty() {
            writeln!(f, "  nothing is said about it")?;
        }
        for value in &self.values {
            writeln!(f, "\n{} = {}", value.key, value.value)?;
            writeln!(f, "  from {} ({})", value.place, value.layer)?;
            for one in &value.replaced {
                writeln!(f, "  instead of {} from {} ({})", one.value, one.place, one.layer)?;
            }
        }
        if self.values.len() >= MOST {
            writeln!(f, "\nand more: name a longer key")?;
        }
        Ok(())
    }
}
