//! `audit`: who changed what, and when.

use clap::Args;
use freehold_types::{Id, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::arguments::OutputArgs;
use super::outbox::moment;
use crate::client::Request;
use crate::error::{Error, Failure, Result};
use crate::kind;
use crate::render::{Format, Table, duration, json, lines, ordered, yaml};
use crate::session::Session;

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Where to begin: a span as 2h, a day, or an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Only what happened to the object with this id
    #[arg(long, value_name = "ID")]
    id: Option<Id>,
    /// At most so many lines [100, or all since TIME]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Also what nodes only observed
    #[arg(long)]
    observed: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Ago(std::time::Duration),
    At(jiff::Timestamp),
}

fn since(text: &str) -> std::result::Result<Since, String> {
    if let Ok(at) = text.parse() {
        return Ok(Since::At(at));
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
        return Ok(Since::At(start.timestamp()));
    }
    duration(text)
        .map(Since::Ago)
        .map_err(|_| format!("`{text}` is no time: write it as 2h, 2027-01-31 or 2027-01-31T12:00:00Z"))
}

impl Since {
    fn instant(self, now: Timestamp) -> Timestamp {
        let millis = |number: i64| u64::try_from(number).unwrap_or_default();
        match self {
            Self::At(at) => Timestamp::from_millis(millis(at.as_millisecond())),
            Self::Ago(span) => {
                let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                Timestamp::from_millis(now.as_millis().saturating_sub(span))
            }
        }
    }
}

/// One object in one change.
#[derive(Debug, Deserialize)]
struct Event {
    revision: u64,
    at: Value,
    #[serde(default)]
    who: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    action: String,
}

/// How many lines are asked for at once.
const PAGE: usize = 1_000;

pub(super) fn run(args: &AuditArgs, session: &Session<'_>) -> Result<()> {
    let since = args.since.map(|since| since.instant(Timestamp::now()));
    let limit = args.limit.unwrap_or(if since.is_some() { usize::MAX } else { 100 });
    let lines = read(args, since, limit, session)?;
    if lines.is_empty() && matches!(args.output.output, Format::Table | Format::Wide) {
        session.terminal.note("Nothing was changed.");
    }
    let text = match args.output.output {
        Format::Json => json(&lines)?,
        Format::Yaml => yaml(&ordered(&[Value::Array(lines)])?)?,
        format @ (Format::Table | Format::Wide | Format::Name | Format::Id) => {
            let events = lines.into_iter().map(understand).collect::<Result<Vec<_>>>()?;
            render(&events, format)
        }
    };
    session.terminal.print(&text)
}

fn understand<T: DeserializeOwned>(answer: Value) -> Result<T> {
    serde_json::from_value(answer)
        .map_err(|error| Error::new(Failure::General, "the audit log cannot be understood").because(error))
}

/// Reads pages, newest first, until there are enough lines or they are too old.
fn read(
    args: &AuditArgs,
    since: Option<Timestamp>,
    limit: usize,
    session: &Session<'_>,
) -> Result<Vec<Value>> {
    let mut lines: Vec<Value> = Vec::new();
    let mut before = None;
    loop {
        let mut request = Request::get("/events").query("limit", limit.clamp(1, PAGE).to_string());
        let id = args.id.map(|id| id.to_string());
        let status = args.observed.then(|| "true".to_owned());
        for (name, value) in [("id", id), ("before", before), ("status", status)] {
            if let Some(value) = value {
                request = request.query(name, value);
            }
        }
        let page: Vec<Value> = understand(session.send("read the audit log", &request)?.body)?;
        let Some(last) = page.last() else { return Ok(lines) };
        before = Some(understand::<Event>(last.clone())?.revision.to_string());
        for line in page {
            let at = moment(&understand::<Event>(line.clone())?.at);
            if lines.len() >= limit || since.is_some_and(|since| at.is_some_and(|at| at < since)) {
                return Ok(lines);
            }
            lines.push(line);
        }
    }
}

fn render(events: &[Event], format: Format) -> String {
    match format {
        Format::Name => return lines(events.iter().map(subject)),
        Format::Id => return lines(events.iter().map(|event| &event.id)),
        Format::Table | Format::Wide | Format::Json | Format::Yaml => {}
    }
    let wide = format == Format::Wide;
    let extra: &[&str] = if wide { &["ID", "FROM", "WHY"] } else { &[] };
    let mut table = Table::new(["TIME", "WHO", "ACTION", "OBJECT"].iter().chain(extra).copied());
    for event in events {
        let at = moment(&event.at).map(|at| at.to_string()).unwrap_or_default();
        // Whole seconds are enough for a reader.
        let at = at.split_once('.').map_or(at.clone(), |(seconds, _)| format!("{seconds}Z"));
        let mut row = vec![at, event.who.clone(), event.action.clone(), subject(event)];
        if wide {
            row.extend([event.id.clone(), event.from.clone(), event.why.clone()]);
        }
        table.row(row);
    }
    table.render()
}

fn subject(event: &Event) -> String {
    let kind = kind::find(&event.kind).map_or(event.kind.as_str(), |kind| kind.name);
    let name = if event.label.is_empty() { &event.id } else { &event.label };
    format!("{kind} {name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read() {
        let now = Timestamp::from_millis(10 * 3_600_000);
        for (text, instant) in [
            ("2h", "1970-01-01T08:00:00.000Z"),
            ("2027-01-31", "2027-01-31T00:00:00.000Z"),
            ("2027-01-31T12:00:00+01:00", "2027-01-31T11:00:00.000Z"),
        ] {
            assert_eq!(since(text).unwrap().instant(now).to_string(), instant);
        }
        assert!(since("soon").is_err());
    }

    #[test]
    fn events_are_told() {
        let events: Vec<Event> = serde_json::from_value(json!([
            { "revision": 7, "at": 1_700_000_000_123_u64, "who": "user alice", "from": "10.0.0.9", "why": "r1 POST",
              "kind": "kompute", "id": "0123456789abcdef01234567", "label": "web", "action": "create" },
            { "revision": 6, "at": "2027-01-31T12:00:00Z", "who": "controller", "kind": "mail", "id": "0123", "action": "status" },
        ]))
        .unwrap();
        let text = [Format::Table, Format::Wide].map(|format| render(&events, format)).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
