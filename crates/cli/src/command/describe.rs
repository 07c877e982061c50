//! `describe`: everything about one object.

use clap::Args;
use freehold_types::Timestamp;
use serde_json::Value;

use super::arguments::{ScopeArgs, any_kind};
use crate::directory::parallel;
use crate::error::{Failure, Result};
use crate::kind::{Activity, Detail, Kind};
use crate::render::{Surroundings, describe};
use crate::session::Session;

#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Kind of object; see `freehold explain`
    #[arg(value_parser = any_kind(), hide_possible_values = true)]
    kind: &'static Kind,
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &DescribeArgs, session: &Session<'_>) -> Result<()> {
    let kind = args.kind;
    let mut text = String::new();
    for name in &args.names {
        let object = session.directory.find(kind, name, &args.scope.0)?;
        let read = parallel(kind.details, |detail| read_detail(detail, object.id(), session));
        let details = kind.details.iter().zip(read).map(|(detail, read)| Ok((detail, read?)));
        let details = details.collect::<Result<Vec<(&'static Detail, Option<Value>)>>>()?;
        let fields = kind.fields.iter().filter(|field| !object.at(field.wire).is_null());
        let named = fields.filter_map(|field| field.shape.target());
        let beside = kind.details.iter().flat_map(|detail| detail.content.targets());
        let names = session.directory.names(&named.chain(beside).collect::<Vec<_>>())?;
        let observed =
            if kind.activity == Activity::None { None } else { session.observe(kind, object.id()).ok() };
        let states = observed.map(|observed| (object.id().to_owned(), observed.to_string()));
        let around = Surroundings { names, states: states.into_iter().collect(), now: Timestamp::now() };
        if !text.is_empty() {
            text.push('\n');
        }
        text += &describe(kind, &object, &details, &around);
    }
    session.terminal.print(&text)
}

/// Reads a detail; `None` when it is not for us, or not known.
fn read_detail(detail: &Detail, id: &str, session: &Session<'_>) -> Result<Option<Value>> {
    match session.client.get(detail.path.replace("{id}", id)) {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.failure() {
            Failure::Denied | Failure::NotFound | Failure::Invalid => Ok(None),
            Failure::Closed
            | Failure::General
            | Failure::Usage
            | Failure::Conflict
            | Failure::TimedOut
            | Failure::NoRoom
            | Failure::Unreachable => Err(error),
        },
    }
}
