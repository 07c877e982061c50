//! What every command that talks to a controller has: the client, the directory, the terminal, the
//! defaults; and what several commands do with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use freehold_types::{Secret, Timestamp};
use serde_json::Value;

use crate::client::{Answer, Client, Request};
use crate::context::Defaults;
use crate::directory::{Directory, Names, Scope, parallel};
use crate::error::{Error, Failure, Result};
use crate::kind::{self, Activity, Kind};
use crate::object::Object;
use crate::render::{self, Format, Surroundings};
use crate::terminal::Terminal;

/// One command's way to a controller.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub terminal: &'a Terminal,
    pub client: &'a Client<'a>,
    pub directory: Directory<'a>,
    pub defaults: Defaults,
}

impl Session<'_> {
    /// Sends a request, and says in a failure what was being done.
    pub(crate) fn send(&self, what: &str, request: &Request) -> Result<Answer> {
        self.client.send(request).map_err(|error| error.during(format!("cannot {what}")))
    }

    /// Prints objects of a kind. `single` prints a JSON object, not a list of one.
    pub(crate) fn print(
        &self,
        kind: &'static Kind,
        objects: &[Object],
        shown: Shown,
        single: bool,
    ) -> Result<()> {
        let documents =
            || objects.iter().map(|object| render::to_document(kind, object, shown.secrets)).collect();
        let text = match shown.format {
            Format::Table | Format::Wide => {
                let wide = shown.format == Format::Wide;
                let around = self.surroundings(kind, objects, wide)?;
                render::objects_table(kind, objects, wide, &around)
            }
            Format::Json => {
                let documents: Vec<_> = documents();
                match documents.as_slice() {
                    [document] if single => render::json(document)?,
                    documents => render::json(&documents)?,
                }
            }
            Format::Yaml => {
                let documents: Vec<_> = documents();
                render::yaml(&documents)?
            }
            Format::Name => render::lines(objects.iter().map(Object::name)),
            Format::Id => render::lines(objects.iter().map(Object::id)),
        };
        self.terminal.print(&text)
    }

    /// What a table of these objects needs beside them.
    fn surroundings(&self, kind: &'static Kind, objects: &[Object], wide: bool) -> Result<Surroundings> {
        let named: Vec<_> = render::columns_of(kind, wide)
            .filter_map(|column| match column.cell {
                kind::Cell::Field(key) | kind::Cell::Brief(key) => kind.field(key)?.shape.target(),
                kind::Cell::Count(_)
                | kind::Cell::Sum(_)
                | kind::Cell::State
                | kind::Cell::Age
                | kind::Cell::Id => None,
            })
            .collect();
        let names = if objects.is_empty() { Names::default() } else { self.directory.names(&named)? };
        Ok(Surroundings { names, states: self.states(kind, objects), now: Timestamp::now() })
    }

    /// What objects are doing; those whose state cannot be read are left out.
    fn states(&self, kind: &'static Kind, objects: &[Object]) -> BTreeMap<String, String> {
        if kind.activity == Activity::None {
            return BTreeMap::new();
        }
        let states = parallel(objects, |object| self.observe(kind, object.id()).ok());
        let known = objects.iter().zip(states);
        known.filter_map(|(object, observed)| Some((object.id().to_owned(), observed?.state))).collect()
    }

    /// What an object is doing now.
    pub(crate) fn observe(&self, kind: &'static Kind, id: &str) -> Result<Observed> {
        let read = |what: &str| self.client.get(format!("{}/{id}/{what}", kind.path));
        match kind.activity {
            Activity::None => Ok(Observed::default()),
            Activity::Machine => read("state").map(|answer| Observed::of_machine(&answer)),
            Activity::Fetched => read("status").map(|answer| Observed::of_fetched(&answer)),
        }
    }

    /// Finds a machine: `NAME`, an id, or `KIND/NAME`. A compute and its inner instance share a name, and
    /// the compute is meant.
    pub(crate) fn machine(&self, text: &str) -> Result<(&'static Kind, Object)> {
        if let Some((word, name)) = text.split_once('/') {
            let kind = kind::find(word)?;
            if !kind.is_machine() {
                return Err(Error::usage(format!("a {} is not a machine", kind.name)));
            }
            return self.directory.find(kind, name, &Scope::EMPTY).map(|object| (kind, object));
        }
        let mut first = None;
        for kind in kind::KINDS.iter().filter(|kind| kind.is_machine()) {
            match self.directory.find(kind, text, &Scope::EMPTY) {
                Ok(object) => return Ok((kind, object)),
                Err(error) if matches!(error.failure(), Failure::NotFound | Failure::Denied) => {
                    first.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or_else(|| Error::new(Failure::NotFound, format!("there is no machine `{text}`"))))
    }

    /// Watches an object until it is in one of some states.
    pub(crate) fn await_state(
        &self,
        kind: &'static Kind,
        object: &Object,
        goal: &[&str],
        waiting: Waiting,
    ) -> Result<()> {
        let subject = format!("{} {}", kind.name, object.name());
        let awaited = format!("waiting for {}", goal.join(" or "));
        let mut last = Observed::default();
        let outcome = self.poll(format!("{subject}: {awaited}"), waiting, |spinner| {
            last = self.observe(kind, object.id())?;
            spinner.say(format!("{subject}: {last}, {awaited}"));
            if matches!(last.state.as_str(), "Crashed" | "Failed") {
                return Err(Error::new(Failure::General, format!("{subject}: {last}")).hint(format!(
                    "see more with `freehold describe {} {}`",
                    kind.name,
                    object.name()
                )));
            }
            Ok(goal.contains(&last.state.as_str()).then_some(()))
        })?;
        outcome.ok_or_else(|| {
            let message = format!(
                "{subject} is {last}, not {}, after {}",
                goal.join(" or "),
                render::age(waiting.limit)
            );
            Error::new(Failure::TimedOut, message).hint(format!(
                "see more with `freehold describe {} {}`",
                kind.name,
                object.name()
            ))
        })
    }

    /// Asks again and again, a little more patiently each time, until there is an answer or the limit.
    pub(crate) fn poll<T>(
        &self,
        text: String,
        waiting: Waiting,
        mut ask: impl FnMut(&crate::terminal::Spinner) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        const LONGEST: Duration = Duration::from_secs(2);
        let spinner = self.terminal.spinner(text);
        let mut pause = Duration::from_millis(200);
        loop {
            if let Some(answer) = ask(&spinner)? {
                return Ok(Some(answer));
            }
            let left = waiting.left();
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 3 / 2).min(LONGEST);
        }
    }
}

/// A wait, from its beginning: what the controller waited for counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub limit: Duration,
    since: Instant,
}

impl Waiting {
    /// A wait that begins now.
    pub(crate) fn up_to(limit: Duration) -> Self {
        Self { limit, since: Instant::now() }
    }

    fn left(self) -> Duration {
        self.limit.saturating_sub(self.since.elapsed())
    }
}

/// What an object is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub state: String,
    /// Why, or how far; may be empty.
    pub reason: String,
}

impl Observed {
    fn of_machine(answer: &Value) -> Self {
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { state: text("state"), reason: text("reason") }
    }

    fn of_fetched(answer: &Value) -> Self {
        let nodes = answer.get("nodes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let failed = nodes.iter().find(|node| node.get("phase").and_then(Value::as_str) == Some("failed"));
        let sum = |name: &str| nodes.iter().filter_map(|node| node.get(name)?.as_u64()).sum::<u64>();
        let (state, reason) = match (answer.get("ready").and_then(Value::as_bool), failed) {
            (Some(true), _) => ("Ready", String::new()),
            (_, Some(node)) => {
                ("Failed", node.get("message").and_then(Value::as_str).unwrap_or_default().to_owned())
            }
            (_, None) => {
                let share = (u128::from(sum("fetched")) * 100).checked_div(u128::from(sum("total")));
                ("Fetching", share.map(|share| format!("{share}%")).unwrap_or_default())
            }
        };
        Self { state: state.to_owned(), reason }
    }
}

impl std::fmt::Display for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.state.is_empty() { "unknown" } else { &self.state })?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, " ({})", self.reason) }
    }
}

/// How objects are to be printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub format: Format,
    pub secrets: bool,
}

/// Reads a secret from a file, without the end of its last line; `-` is standard input.
pub(crate) fn read_secret(path: &Path, terminal: &Terminal) -> Result<Secret<String>> {
    let text = read_text(path, terminal)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.contains('\n') {
        return Err(Error::usage(format!("{} does not hold one line", source_name(path))));
    }
    Ok(Secret::new(secret.to_owned()))
}

/// Reads a text from a file; `-` is standard input.
pub(crate) fn read_text(path: &Path, terminal: &Terminal) -> Result<String> {
    let text = if path == Path::new("-") { terminal.read_input() } else { std::fs::read_to_string(path) };
    text.map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let told = Error::io(format!("cannot read {}", source_name(path)), error);
        if missing { told.hint("check the path") } else { told }
    })
}

/// What a path is called in messages.
pub(crate) fn source_name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fetch_is_told_by_its_progress() {
        let told =
            |nodes: Value| Observed::of_fetched(&json!({ "ready": false, "nodes": nodes })).to_string();
        let working = json!({ "phase": "working", "fetched": 30, "total": 60 });
        let failed = json!({ "phase": "failed", "message": "the source answers 404", "fetched": 0 });
        assert_eq!(told(json!([])), "Fetching");
        assert_eq!(told(json!([working])), "Fetching (50%)");
        assert_eq!(told(json!([working, failed])), "Failed (the source answers 404)");
        assert_eq!(Observed::of_fetched(&json!({ "ready": true })).to_string(), "Ready");
        let machine = json!({ "state": "Running", "reason": "Booted" });
        assert_eq!(Observed::of_machine(&machine).to_string(), "Running (Booted)");
        assert_eq!(Observed::default().to_string(), "unknown");
    }
}
