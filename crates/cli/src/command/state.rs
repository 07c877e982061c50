//! `state`: what a machine is doing.

use clap::Args;
use serde_json::json;

use super::arguments::OutputArgs;
use crate::error::Result;
use crate::render::{Format, Style, Table, TableCell, json, lines, yaml};
use crate::session::{Observed, Session};

#[derive(Debug, Args)]
pub struct StateArgs {
    /// Computes or instances: NAME, an id, or KIND/NAME
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &StateArgs, session: &Session<'_>) -> Result<()> {
    let mut table = Table::new(["NAME", "STATE", "REASON"]);
    let mut documents = Vec::new();
    let mut words = Vec::new();
    for name in &args.names {
        let (kind, machine) = session.machine(name)?;
        let subject = format!("{} {}", kind.name, machine.name());
        let Observed { state, reason } = session
            .observe(kind, machine.id())
            .map_err(|error| error.during(format!("cannot read the state of {subject}")))?;
        let id = machine.id();
        documents.push(
            json!({ "kind": kind.name, "name": machine.name(), "id": id, "state": state, "reason": reason }),
        );
        words.push(state.clone());
        let style = Style::of_state(&state);
        table.row([machine.name().into(), TableCell { text: state, style }, reason.into()]);
    }
    session.terminal.print(&match (args.output.output, documents.as_slice()) {
        (Format::Table | Format::Wide, _) => table.render(),
        (Format::Json, [document]) => json(document)?,
        (Format::Json, documents) => json(&documents)?,
        (Format::Yaml, documents) => yaml(&crate::render::ordered(documents)?)?,
        (Format::Name | Format::Id, _) => lines(words),
    })
}
