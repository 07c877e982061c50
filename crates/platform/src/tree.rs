//! What files say, before it means anything: scalars, lists and mappings, each with its place, and with what it
//! replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::source::Origin;

/// From which layer of the platform a value comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layer {
    /// A file as it stands.
    File,
    /// A profile that was chosen.
    Profile(Arc<str>),
    /// A secrets file.
    Secrets,
    /// `defaults`.
    Defaults,
    /// The settings of a group.
    Group(Arc<str>),
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) layer: Layer,
    pub(crate) data: Data,
    /// What it replaced, the strongest last.
    pub(crate) replaced: Vec<Replaced>,
}

/// A value that another one replaced.
#[derive(Debug, Clone)]
pub(crate) struct Replaced {
    pub(crate) origin: Origin,
    pub(crate) layer: Layer,
    /// How it was written, on one line.
    pub(crate) text: String,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Nothing: the key counts as absent.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(BTreeMap<String, Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Written without quotes.
    pub(crate) is_plain: bool,
    /// It holds the value of a variable.
    pub(crate) is_expanded: bool,
    /// Something is wrong with it, and has been told.
    pub(crate) is_wrong: bool,
}

/// A value with its key.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The place of the key.
    pub(crate) key: Origin,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn new(origin: Origin, data: Data) -> Self {
        Self { origin, layer: Layer::File, data, replaced: Vec::new() }
    }

    pub(crate) fn map(&self) -> Option<&BTreeMap<String, Entry>> {
        match &self.data {
            Data::Map(map) => Some(map),
            Data::Null | Data::Scalar(_) | Data::List(_) => None,
        }
    }

    pub(crate) fn map_mut(&mut self) -> Option<&mut BTreeMap<String, Entry>> {
        match &mut self.data {
            Data::Map(map) => Some(map),
            Data::Null | Data::Scalar(_) | Data::List(_) => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.get(key).map(|entry| &entry.node)
    }

    /// The value at a path of keys and positions in lists.
    pub(crate) fn at<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |node, step| match &node.data {
            Data::Map(map) => map.get(step).map(|entry| &entry.node),
            Data::List(items) => items.get(step.parse::<usize>().ok()?),
            Data::Null | Data::Scalar(_) => None,
        })
    }

    /// Texts of a list of scalars.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let items = match &self.data {
            Data::List(items) => items.as_slice(),
            Data::Null | Data::Scalar(_) | Data::Map(_) => &[],
        };
        items.iter().filter_map(|item| match &item.data {
            Data::Scalar(scalar) => Some(scalar.text.as_str()),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        })
    }

    /// Puts everything below into a layer.
    pub(crate) fn set_layer(&mut self, layer: &Layer) {
        self.layer = layer.clone();
        match &mut self.data {
            Data::Null | Data::Scalar(_) => {}
            Data::List(items) => items.iter_mut().for_each(|item| item.set_layer(layer)),
            Data::Map(map) => map.values_mut().for_each(|entry| entry.node.set_layer(layer)),
        }
    }

    /// How it is written, on one line.
    pub(crate) fn brief(&self) -> String {
        let mut text = String::new();
        self.write_brief(&mut text);
        if text.chars().count() > 100 {
            text = text.chars().take(97).collect::<String>() + "...";
        }
        text
    }

    fn write_brief(&self, text: &mut String) {
        // What is cut off later need not be written.
        if text.len() > 400 {
            return;
        }
        match &self.data {
            Data::Null => text.push_str("null"),
            Data::Scalar(scalar) => text.push_str(&scalar.text.replace('\n', " ")),
            Data::List(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    text.push_str(if at > 0 { ", " } else { "" });
                    item.write_brief(text);
                }
                text.push(']');
            }
            Data::Map(map) => {
                text.push('{');
                for (at, (key, entry)) in map.iter().enumerate() {
                    text.push_str(if at > 0 { ", " } else { "" });
                    text.push_str(key);
                    text.push_str(": ");
                    entry.node.write_brief(text);
                }
                text.push('}');
            }
        }
    }
}
