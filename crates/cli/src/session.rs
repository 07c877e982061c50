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
use crate::kind::{self, Kind};
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
                kind::Cell::Field(key) => kind.field(key)?.shape.target(),
                kind::Cell::Count(_) | kind::Cell::State | kind::Cell::Age | kind::Cell::Id => None,
            })
            .collect();
        let names = if objects.is_empty() { Names::default() } else { self.directory.names(&named)? };
        Ok(Surroundings { names, states: self.states(kind, objects), now: Timestamp::now() })
    }

    /// What machines are doing; those whose state cannot be read are left out.
    fn states(&self, kind: &'static Kind, objects: &[Object]) -> BTreeMap<String, String> {
        if !kind.machine {
            return BTreeMap::new();
        }
        let states = parallel(objects, |object| self.state(kind, object.id()).ok());
        let known = objects.iter().zip(states);
        known.filter_map(|(object, state)| Some((object.id().to_owned(), state?.0))).collect()
    }

    /// State and reason of a machine.
    pub(crate) fn state(&self, kind: &'static Kind, id: &str) -> Result<(String, String)> {
        let answer = self.client.get(format!("{}/{id}/state", kind.path))?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok((text("state"), text("reason")))
    }

    /// Finds a machine: `NAME`, an id, or `KIND/NAME`. A compute and its inner instance share a name, and
    /// the compute is meant.
    pub(crate) fn machine(&self, text: &str) -> Result<(&'static Kind, Object)> {
        if let Some((word, name)) = text.split_once('/') {
            let kind = kind::find(word)?;
            if !kind.machine {
                return Err(Error::usage(format!("a {} is not a machine", kind.name)));
            }
            return self.directory.find(kind, name, &Scope::EMPTY).map(|object| (kind, object));
        }
        let mut first = None;
        for kind in kind::KINDS.iter().filter(|kind| kind.machine) {
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

    /// Watches a machine until it is in a state.
    pub(crate) fn await_state(
        &self,
        kind: &'static Kind,
        object: &Object,
        goal: &[&str],
        limit: Duration,
    ) -> Result<()> {
        let subject = format!("{} {}", kind.name, object.name());
        let mut last = String::new();
        let outcome = self.poll(format!("{subject}: waiting for {}", goal[0]), limit, |spinner| {
            let (state, reason) = self.state(kind, object.id())?;
            let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
            spinner.say(format!("{subject}: {state}{reason}, waiting for {}", goal[0]));
            if state == "Crashed" {
                return Err(Error::new(Failure::General, format!("{subject} has crashed{reason}"))
                    .hint(format!("see its screen with `freehold console {}`", object.name())));
            }
            let reached = goal.contains(&state.as_str());
            last = format!("{state}{reason}");
            Ok(reached.then_some(()))
        })?;
        outcome.ok_or_else(|| {
            let message = format!("{subject} is {last}, not {} after {}", goal[0], render::age(limit));
            Error::new(Failure::TimedOut, message)
                .hint(format!("watch it with `freehold state {}`", object.name()))
        })
    }

    /// Asks again and again, a little more patiently each time, until there is an answer or the limit.
    pub(crate) fn poll<T>(
        &self,
        text: String,
        limit: Duration,
        mut ask: impl FnMut(&crate::terminal::Spinner) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        const LONGEST: Duration = Duration::from_secs(2);
        let spinner = self.terminal.spinner(text);
        let started = Instant::now();
        let mut pause = Duration::from_millis(200);
        loop {
            if let Some(answer) = ask(&spinner)? {
                return Ok(Some(answer));
            }
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 3 / 2).min(LONGEST);
        }
    }
}

/// How objects are to be printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub format: Format,
    pub secrets: bool,
}

/// Reads a secret from a file, without the end of its last line; `-` is standard input.
pub(crate) fn read_secret(path: &Path) -> Result<Secret<String>> {
    let text = read_text(path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.contains('\n') {
        return Err(Error::usage(format!("{} does not hold one line", source_name(path))));
    }
    Ok(Secret::new(secret.to_owned()))
}

/// Reads a text from a file; `-` is standard input.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
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
