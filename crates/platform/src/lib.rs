//! The platform file: one declaration of machines, networks, roles and services.
//!
//! Purpose: read it with the place of every value, find everything that is wrong with it at once, say where a value
//! comes from, and give renderers one typed [`model::Platform`].
//!
//! Promises: pure but for [`load::read`]; the same files, profiles and variables give the same platform; no input
//! makes it panic; no secret is printed.
//!
//! It must not: touch a machine, decrypt anything itself, or know how something is rendered.

pub mod examples;
pub mod explain;
pub mod load;
pub mod model;
pub mod reference;
pub mod words;

mod check;
mod expand;
mod fault;
mod merge;
mod near;
mod parse;
mod path;
mod shape;
mod source;
mod structure;
mod tree;

pub use expand::Variables;
pub use fault::{Faults, Look, Report, Severity};
pub use source::{Input, Kind, Sources};

/// The JSON Schema of a platform, for editors. Keywords that begin with `x-` are ours, and editors pass over them.
///
/// A file may hold a part of a platform, so that nothing is required at the top: that is for `validate` to say.
pub fn schema() -> serde_json::Value {
    let mut schema = shape::schema();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("required");
    }
    schema
}
