//! `set-default`: what a parent gives when nothing is named.

use clap::Args;

use super::arguments::kind_parser;
use crate::client::{Method, Request};
use crate::directory::Scope;
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
    /// The region of the storage pool or file backend
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// The network of the subnet
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// The storage pool of the image
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
}

pub(super) fn run(args: &SetDefaultArgs, session: &Session<'_>) -> Result<()> {
    let kind = args.kind;
    let Some(template) = kind.default else {
        return Err(Error::usage(format!("a {} is never a default", kind.name)));
    };
    let given = [("region", &args.region), ("network", &args.network), ("pool", &args.pool)];
    let scope = Scope::of(given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
    let object = session.directory.find(kind, &args.name, &scope)?;
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
