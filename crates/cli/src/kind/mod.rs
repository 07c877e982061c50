//! Kinds as data: what the command line knows of each kind of object.
//!
//! A kind is one [`Kind`] value: its names inside and on the wire, its paths, its fields and its columns.
//! Flags, documents, tables, requests and help are made from it, so that a new kind is one entry in one
//! of the tables beside this file, and a line in [`KINDS`] below. Nothing here does I/O.

mod balancer;
mod compute;
mod edge;
mod field;
mod gateway;
mod identity;
mod location;
mod network;
mod notation;
mod project;
mod shape;
mod share;
mod storage;

pub use field::{Field, Place, Presence};
pub use notation::Notation;
pub use project::AMOUNTS;
pub use shape::Shape;

use crate::error::{Error, Result};

/// Every kind, in the order of the help.
pub static KINDS: &[&Kind] = &[
    &location::REGION,
    &location::ZONE,
    &location::HYPERVISOR,
    &edge::EDGE,
    &network::NETWORK,
    &network::SUBNET,
    &network::ADAPTER,
    &storage::STORAGE_POOL,
    &storage::IMAGE,
    &storage::VOLUME,
    &share::FILE_BACKEND,
    &project::PROJECT,
    &compute::COMPUTE,
    &compute::INSTANCE,
    &compute::ANTI_AFFINITY_GROUP,
    &gateway::GATEWAY,
    &gateway::IPSEC_CONNECTION,
    &balancer::LOAD_BALANCER,
    &share::FILE_SHARE,
    &edge::DNS_RECORD,
    &identity::USER,
    &identity::TEAM,
    &identity::TOKEN,
    &identity::AGENT,
];

/// What is known of one kind of object.
#[derive(Debug)]
pub struct Kind {
    /// The field's term, as it is written in commands and documents.
    pub name: &'static str,
    /// Several of them.
    pub plural: &'static str,
    /// Other words that are accepted: short forms and the nouns of the wire.
    pub aliases: &'static [&'static str],
    /// One line on what it is.
    pub about: &'static str,
    /// One object is read, updated and deleted at `path/{id}`. A placeholder is that of a parent, which
    /// only the lists tell.
    pub path: &'static str,
    /// Whether `path` is the collection of all; else there is none beside `within`.
    pub listed: bool,
    /// Sub-collections. Each `{placeholder}` is the name or alias of a kind.
    pub within: &'static [&'static str],
    /// Where it is created, the preferred path first; none when it cannot be created by itself.
    pub creates: &'static [&'static str],
    /// What to do instead when `creates` is empty.
    pub made_by: &'static str,
    /// The fields, in the order of documents and help.
    pub fields: &'static [Field],
    /// The columns of its table.
    pub columns: &'static [Column],
    /// What it is doing, where it does something.
    pub activity: Activity,
    /// Where one is made the default of its parent, `{id}` being the object.
    pub default: Option<&'static str>,
    /// What `describe` reads beside the object.
    pub details: &'static [Detail],
}

/// What a kind has unless it says otherwise.
const BASE: Kind = Kind {
    name: "",
    plural: "",
    aliases: &[],
    about: "",
    path: "",
    listed: true,
    within: &[],
    creates: &[],
    made_by: "",
    fields: &[],
    columns: &[],
    activity: Activity::None,
    default: None,
    details: &[],
};

/// What objects of a kind do, beside being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    None,
    /// They run: they have `path/{id}/state` and the power verbs.
    Machine,
    /// They are fetched: `path/{id}/status`, which is beyond the public contract, says how far that is.
    Fetched,
}

impl Activity {
    /// The state that a new object is to reach.
    pub const fn goal(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Machine => Some("Running"),
            Self::Fetched => Some("Ready"),
        }
    }
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Its head, in capitals.
    pub title: &'static str,
    /// What stands in it.
    pub cell: Cell,
    /// Shown with `-o wide` only.
    pub wide: bool,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The field with this key.
    Field(&'static str),
    /// The field with this key, as short as can be.
    Brief(&'static str),
    /// How many values the field with this key has.
    Count(&'static str),
    /// How many values the fields with these keys have together.
    Sum(&'static [&'static str]),
    /// What it is doing.
    State,
    /// How long ago it was made.
    Age,
    /// Its id.
    Id,
}

impl Column {
    const fn new(title: &'static str, cell: Cell) -> Self {
        Self { title, cell, wide: false }
    }

    const fn field(title: &'static str, key: &'static str) -> Self {
        Self::new(title, Cell::Field(key))
    }

    const fn brief(title: &'static str, key: &'static str) -> Self {
        Self::new(title, Cell::Brief(key))
    }

    const fn sum(title: &'static str, keys: &'static [&'static str]) -> Self {
        Self::new(title, Cell::Sum(keys))
    }

    const fn count(title: &'static str, key: &'static str) -> Self {
        Self::new(title, Cell::Count(key))
    }

    const fn wide(mut self) -> Self {
        self.wide = true;
        self
    }
}

const NAME: Column = Column::field("NAME", "name");
const STATE: Column = Column::new("STATE", Cell::State);
const AGE: Column = Column::new("AGE", Cell::Age);
const ID: Column = Column::new("ID", Cell::Id).wide();

/// Something that `describe` reads beside the object.
#[derive(Debug)]
pub struct Detail {
    /// What it is called.
    pub title: &'static str,
    /// Where it is read; `{id}` is the object.
    pub path: &'static str,
    /// What is read there.
    pub content: Content,
}

/// What is read beside an object.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// One value.
    One(Shape),
    /// An object with these fields.
    Fields(&'static [Field]),
    /// Ids of objects of a kind.
    Ids(&'static str),
}

impl Content {
    /// The kinds that it refers to.
    pub fn targets(self) -> Vec<&'static str> {
        match self {
            Self::One(shape) => shape.target().into_iter().collect(),
            Self::Fields(fields) => fields.iter().filter_map(|field| field.shape.target()).collect(),
            Self::Ids(kind) => vec![kind],
        }
    }
}

impl Kind {
    /// The field with a key, as written in documents, or its noun on the wire.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key || field.wire == key)
    }

    /// Whether only a parent leads to an object of it.
    pub fn is_nested(&self) -> bool {
        self.path.contains('{')
    }

    /// Whether it may be made without a name.
    pub fn may_be_nameless(&self) -> bool {
        self.field("name").is_some_and(|name| !name.presence.required())
    }

    /// Whether it runs.
    pub fn is_machine(&self) -> bool {
        self.activity == Activity::Machine
    }

    /// The placeholders of all paths under which it is created, without repetition.
    pub fn parents(&self) -> Vec<&'static str> {
        distinct(self.creates)
    }

    /// The placeholders of all its sub-collections, without repetition.
    pub fn scopes(&self) -> Vec<&'static str> {
        distinct(self.within)
    }
}

fn distinct(templates: &[&'static str]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in templates.iter().flat_map(|template| placeholders(template)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The names within braces of a path, in order.
pub fn placeholders(template: &'static str) -> impl Iterator<Item = &'static str> {
    template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Fills the placeholders of a path.
///
/// # Errors
/// The name of a placeholder that `value` does not know.
pub fn fill(
    template: &'static str,
    mut value: impl FnMut(&'static str) -> Option<String>,
) -> Result<String, &'static str> {
    let mut path = String::new();
    for part in template.split('/').skip(1) {
        path.push('/');
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => path.push_str(&value(name).ok_or(name)?),
            None => path.push_str(part),
        }
    }
    Ok(path)
}

/// Finds a kind by name, plural or alias; letter case, `-` and `_` do not matter.
///
/// # Errors
/// Usage, with the nearest kinds as a hint.
pub fn find(text: &str) -> Result<&'static Kind> {
    let wanted = plain(text);
    let found = KINDS.iter().copied().find(|kind| names(kind).any(|name| plain(name) == wanted));
    found.ok_or_else(|| {
        let near = crate::near::nearest(text, KINDS.iter().flat_map(|kind| names(kind)));
        let error = Error::usage(format!("there is no kind `{text}`"));
        match near.first() {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("see the kinds with `freehold explain`"),
        }
    })
}

fn names(kind: &'static Kind) -> impl Iterator<Item = &'static str> {
    [kind.name, kind.plural].into_iter().chain(kind.aliases.iter().copied())
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unambiguous() {
        let mut seen = BTreeSet::new();
        for name in KINDS.iter().flat_map(|kind| names(kind)) {
            assert!(seen.insert(plain(name)), "`{name}` names two kinds");
        }
    }

    #[test]
    fn every_word_of_a_table_is_known() {
        for kind in KINDS {
            for template in kind.within.iter().chain(kind.creates).chain([&kind.path]) {
                for name in placeholders(template) {
                    assert!(find(name).is_ok(), "{}: {template}", kind.name);
                }
            }
            for column in kind.columns {
                let keys = match &column.cell {
                    Cell::Field(key) | Cell::Brief(key) | Cell::Count(key) => std::slice::from_ref(key),
                    Cell::Sum(keys) => *keys,
                    Cell::State | Cell::Age | Cell::Id => &[],
                };
                for key in keys {
                    assert!(kind.field(key).is_some(), "{}: column {key}", kind.name);
                }
            }
            let of_fields = kind.fields.iter().filter_map(|field| field.shape.target());
            for target in of_fields.chain(kind.details.iter().flat_map(|detail| detail.content.targets())) {
                assert_eq!(find(target).unwrap().name, target, "{}", kind.name);
            }
            assert_eq!(kind.creates.is_empty(), !kind.made_by.is_empty(), "{}", kind.name);
        }
    }

    #[test]
    fn kinds_are_found_by_any_of_their_words() {
        for (text, name) in [
            ("Kompute", "compute"),
            ("antiAffinityGroups", "anti-affinity-group"),
            ("storage_pool", "storage-pool"),
            ("template", "image"),
            ("vnets", "network"),
            ("kiwis", "edge"),
            ("kawaii", "gateway"),
            ("ipsec", "ipsec-connection"),
            ("LB", "load-balancer"),
            ("record", "dns-record"),
            ("nfses", "file-backend"),
            ("kylos", "file-share"),
        ] {
            assert_eq!(find(text).unwrap().name, name);
        }
        assert_eq!(find("computr").unwrap_err().failure(), crate::error::Failure::Usage);
    }

    #[test]
    fn paths_are_filled_in_order() {
        let path = fill("/project/{project}/zone/{zone}/kompute", |name| Some(name.to_uppercase()));
        assert_eq!(path.unwrap(), "/project/PROJECT/zone/ZONE/kompute");
        assert_eq!(fill("/zone/{zone}/kaktus", |_| None), Err("zone"));
    }
}
