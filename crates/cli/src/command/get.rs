//! `get`: objects of a kind.

use clap::Args;

use super::arguments::{OutputArgs, ScopeArgs, any_kind};
use crate::error::Result;
use crate::kind::Kind;
use crate::render::Format;
use crate::session::{Session, Shown};

#[derive(Debug, Args)]
pub struct GetArgs {
    /// Kind of object; see `freehold explain`
    #[arg(value_parser = any_kind(), hide_possible_values = true)]
    kind: &'static Kind,
    /// Names or ids; all when none is given
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
    /// Print secrets in JSON and YAML
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &GetArgs, session: &Session<'_>) -> Result<()> {
    let kind = args.kind;
    let objects = if args.names.is_empty() {
        session.directory.list(kind, &args.scope.0)?
    } else {
        args.names
            .iter()
            .map(|name| session.directory.find(kind, name, &args.scope.0))
            .collect::<Result<Vec<_>>>()?
    };
    if objects.is_empty() && matches!(args.output.output, Format::Table | Format::Wide) {
        session.terminal.note(&format!("There are no {}.", kind.plural));
    }
    let shown = Shown { format: args.output.output, secrets: args.show_secrets };
    session.print(kind, &objects, shown, args.names.len() == 1)
}
