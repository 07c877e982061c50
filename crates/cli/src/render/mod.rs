//! How objects look: tables, documents, descriptions. Pure: everything they need is passed in.

mod describe;
mod document;
mod fields;
mod table;
mod time;

use std::collections::BTreeMap;

use freehold_types::Timestamp;

use crate::directory::Names;

pub use describe::{describe, label_of};
pub use document::{json, ordered, to_document, yaml};
pub use fields::{Line, block, lines};
pub use table::{Style, Table, TableCell, columns_of, objects_table};
pub use time::{age, duration};

/// The ways to print objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table that fits a terminal
    Table,
    /// A table with ids and more columns
    Wide,
    /// JSON, sizes in bytes
    Json,
    /// YAML, sizes in bytes; `create -f` reads it
    Yaml,
    /// Names, one per line
    Name,
    /// Ids, one per line
    Id,
}

/// What tables and descriptions know beside the objects themselves.
#[derive(Debug)]
pub struct Surroundings {
    /// Names for ids.
    pub names: Names,
    /// What objects are doing, by id.
    pub states: BTreeMap<String, String>,
    /// The present, for ages.
    pub now: Timestamp,
}
