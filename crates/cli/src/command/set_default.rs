//! `set-default`: what a parent gives when nothing is named.

use clap::Args;

use super::arguments::{ScopeArgs, kind_parser};
use crate::client::{Method, Request};
use crate::error::{Error, Result};
use crate::kind::{Kind, fill, placeholders};
use crate::session::Session;

#[derive(Debug, Args)]
pub struct SetDefaultArgs {
    /// Kind of object
    #[arg(value_parser = kind_parser(|kind| kind.default.is_some()))]
    kind: &'static Kind,
    /// Name or id
    name: String,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &SetDefaultArgs, session: &Session<'_>) -> Result<()> {
    let kind = args.kind;
    let Some(template) = kind.default else {
        return Err(Error::usage(format!("a {} is never a default", kind.name)));
    };
    let object = session.directory.find(kind, &args.name, &args.scope.0)?;
    let subject = format!("{} {}", kind.name, object.name());
    let mut parents = std::collections::BTreeMap::new();
    for parent in placeholders(template).filter(|name| *name != "id") {
        parents.insert(parent, session.directory.parent_of(kind, object.id(), parent)?);
    }
    parents.insert("id", object.id().to_owned());
    let path = fill(template, |name| parents.get(name).cloned())
        .map_err(|name| Error::usage(format!("the {name} of {subject} is not known")))?;
    session.send(&format!("make {subject} the default"), &Request::new(Method::Patch, path))?;
    session.terminal.note(&format!("{} is the default.", object.name()));
    Ok(())
}
