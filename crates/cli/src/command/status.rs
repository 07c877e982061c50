//! `status`: the controller's version, objects and nodes.

use clap::Args;
use freehold_types::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::arguments::OutputArgs;
use super::outbox::moment;
use crate::error::{Error, Failure, Result};
use crate::kind;
use crate::render::{Format, Line, Style, Table, TableCell, age, block, json, ordered, yaml};
use crate::session::Session;

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// What the controller says of itself.
#[derive(Debug, Deserialize)]
struct Status {
    version: String,
    revision: u64,
    #[serde(default)]
    counts: BTreeMap<String, u64>,
    #[serde(default)]
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    agent: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    connected: bool,
    /// When it came or went.
    #[serde(default)]
    since: Value,
    #[serde(default)]
    version: Option<String>,
}

pub(super) fn run(args: &StatusArgs, session: &Session<'_>) -> Result<()> {
    let answer = session.client.get("/status").map_err(|error| error.during("cannot read the status"))?;
    let text = match args.output.output {
        Format::Json => json(&answer)?,
        Format::Yaml => yaml(&ordered(&[answer])?)?,
        format @ (Format::Table | Format::Wide | Format::Name | Format::Id) => {
            let status: Status = serde_json::from_value(answer).map_err(|error| {
                Error::new(Failure::General, "the status cannot be understood").because(error)
            })?;
            render(&status, session.client.url(), format == Format::Wide, Timestamp::now())
        }
    };
    session.terminal.print(&text)
}

fn render(status: &Status, url: &str, wide: bool, now: Timestamp) -> String {
    let connected = status.nodes.iter().filter(|node| node.connected).count();
    let text = block(
        &[
            Line::new("Controller", url),
            Line::new("Version", status.version.clone()),
            Line::new("Revision", status.revision.to_string()),
            Line::several("Objects", ordered_counts(&status.counts)),
            Line::new("Nodes", format!("{connected} of {} connected", status.nodes.len())),
        ],
        0,
    );
    let agent: &[&str] = if wide { &["AGENT"] } else { &[] };
    let mut table = Table::new(["NODE", "ROLE", "STATE", "SINCE", "VERSION"].iter().chain(agent).copied());
    for node in &status.nodes {
        let (state, style) =
            if node.connected { ("connected", Style::Good) } else { ("disconnected", Style::Bad) };
        let since = moment(&node.since).map(|at| age(now.since(at))).unwrap_or_default();
        let role = kind::find("agent")
            .ok()
            .and_then(|kind| Some(kind.field("type")?.shape.show(&node.role.clone().into(), &|_, _| None)));
        let mut row = vec![
            node.name.clone().into(),
            role.unwrap_or_default().into(),
            TableCell { text: state.to_owned(), style },
            since.into(),
            node.version.clone().unwrap_or_default().into(),
        ];
        if wide {
            row.push(node.agent.clone().into());
        }
        table.row(row);
    }
    let table = table.render();
    if table.is_empty() { text } else { format!("{text}\n{table}") }
}

/// The kinds that we know in our order, then the others.
fn ordered_counts(counts: &BTreeMap<String, u64>) -> Vec<String> {
    let place = |name: &str| {
        let found = kind::find(name).ok();
        let index = found.and_then(|found| kind::KINDS.iter().position(|kind| kind.name == found.name));
        index.unwrap_or(kind::KINDS.len())
    };
    let some = counts.iter().filter(|(_, number)| **number > 0);
    let mut counts: Vec<_> = some.map(|(name, number)| (place(name), name, *number)).collect();
    counts.sort();
    counts
        .into_iter()
        .map(|(place, name, number)| match kind::KINDS.get(place) {
            Some(kind) => format!("{number} {}", if number == 1 { kind.name } else { kind.plural }),
            None => format!("{number} {name}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_told() {
        let status = serde_json::from_value(json!({
            "version": "0.1.0", "revision": 42, "counts": { "compute": 1, "region": 2, "mail": 3 },
            "nodes": [
                { "agent": "0123456789abcdef01234567", "name": "rack-1", "role": "Kaktus", "connected": true, "since": 1_000 },
                { "agent": "0123456789abcdef01234568", "name": "rack-2", "connected": false },
            ],
        }));
        let text = render(&status.unwrap(), "https://cloud", true, Timestamp::from_millis(300_000));
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
