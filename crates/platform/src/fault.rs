//! What is wrong with a platform, and how it is told.
//!
//! Promises: a report has the file, line and column, the offending text underlined, and a hint where there is one
//! to give. Nothing from a secrets file is ever printed but keys' paths.

use std::fmt::{self, Write};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use crate::path::Path;
use crate::source::{Origin, Sources};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The platform cannot be used.
    Error,
    /// The platform can be used, and something about it is unwise.
    Warning,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the files as a whole.
    Nowhere,
    /// Here.
    At(Origin),
    /// At the value of this path.
    Value(Path),
    /// At the key of this path.
    Key(Path),
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) severity: Severity,
    pub(crate) place: Place,
    pub(crate) message: String,
    /// What stands under the underlined text.
    pub(crate) label: String,
    pub(crate) hint: Option<String>,
    /// Other places that have to do with it.
    pub(crate) also: Vec<(Place, String)>,
    /// It says that something is missing, which may only follow from another fault.
    pub(crate) is_absence: bool,
    /// What follows in the file was not read.
    pub(crate) breaks_off: bool,
}

impl Fault {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place,
            message: message.into(),
            label: String::new(),
            hint: None,
            also: Vec::new(),
            is_absence: false,
            breaks_off: false,
        }
    }

    pub(crate) fn at(origin: Origin, message: impl Into<String>) -> Self {
        Self::new(Place::At(origin), message)
    }

    pub(crate) fn value(path: Path, message: impl Into<String>) -> Self {
        Self::new(Place::Value(path), message)
    }

    pub(crate) fn key(path: Path, message: impl Into<String>) -> Self {
        Self::new(Place::Key(path), message)
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(crate) fn also(mut self, path: Path, label: impl Into<String>) -> Self {
        self.also.push((Place::Value(path), label.into()));
        self
    }

    pub(crate) fn also_at(mut self, origin: Origin, label: impl Into<String>) -> Self {
        self.also.push((Place::At(origin), label.into()));
        self
    }

    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    pub(crate) fn breaking_off(mut self) -> Self {
        self.breaks_off = true;
        self
    }

    pub(crate) fn absence(mut self) -> Self {
        self.is_absence = true;
        self
    }
}

/// Something that is wrong, with its place, for programs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Report {
    /// The file; empty for what concerns all of them.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All that is wrong, each once, in the order of files and lines.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    found: Vec<Located>,
}

#[derive(Debug, Clone)]
struct Located {
    at: Option<Origin>,
    also: Vec<(Origin, String)>,
    fault: Fault,
    report: Report,
}

impl Faults {
    /// Puts faults at their places in the files.
    pub(crate) fn locate(
        faults: Vec<Fault>,
        find: impl Fn(&Place) -> Option<Origin>,
        sources: &Sources,
    ) -> Self {
        let locate = |fault: Fault| {
            let at = find(&fault.place);
            let also =
                fault.also.iter().filter_map(|(place, label)| Some((find(place)?, label.clone()))).collect();
            let file = at.and_then(|origin| sources.inputs().get(origin.file));
            let report = Report {
                file: file.map_or_else(String::new, |input| input.name.clone()),
                line: at.map_or(0, |origin| origin.line),
                column: at.map_or(0, |origin| origin.column),
                severity: fault.severity,
                message: fault.message.clone(),
                hint: fault.hint.clone(),
            };
            Located { at, also, fault, report }
        };
        let mut found: Vec<Located> = faults.into_iter().map(locate).collect();
        found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.report.cmp(&b.report)));
        found.dedup_by(|a, b| a.at == b.at && a.report == b.report);
        Self { found }
    }

    /// Whether the platform cannot be used.
    pub fn is_fatal(&self) -> bool {
        self.errors() > 0
    }

    /// How many make the platform unusable.
    pub fn errors(&self) -> usize {
        self.found.iter().filter(|one| one.fault.severity == Severity::Error).count()
    }

    /// How many do not.
    pub fn warnings(&self) -> usize {
        self.found.len() - self.errors()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// For programs.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.found.iter().map(|one| &one.report)
    }

    /// For people, with the offending text underlined.
    pub fn render(&self, sources: &Sources, look: Look) -> String {
        let renderer = if look.colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.term_width(look.width);
        let mut text = String::new();
        for one in self.found.iter().take(MOST) {
            text.push_str(&renderer.render(&[group(one, sources)]));
            text.push_str("\n\n");
        }
        if self.found.len() > MOST {
            // Writing to a string cannot fail.
            let _ = write!(text, "and {} more\n\n", self.found.len() - MOST);
        }
        text
    }
}

/// Most faults that are told to people; whoever has more has one cause for many of them.
const MOST: usize = 100;

/// How reports look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// With colours.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
}

fn group<'a>(one: &'a Located, sources: &'a Sources) -> Group<'a> {
    let level = match one.fault.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(one.fault.message.as_str()));
    let places = one.at.iter().map(|origin| (*origin, one.fault.label.as_str(), true));
    let others = one.also.iter().map(|(origin, label)| (*origin, label.as_str(), false));
    for (origin, label, is_primary) in places.chain(others) {
        group = element(group, sources, origin, label, is_primary);
    }
    if let Some(hint) = &one.fault.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    group
}

fn element<'a>(
    group: Group<'a>,
    sources: &'a Sources,
    origin: Origin,
    label: &'a str,
    is_primary: bool,
) -> Group<'a> {
    let name = sources.inputs().get(origin.file).map_or("", |input| input.name.as_str());
    let Some((line, span)) = sources.line(origin).filter(|_| !sources.is_secret(origin)) else {
        let mut place = annotate_snippets::Origin::path(name).line(origin.line);
        place = place.char_column(origin.column);
        let group = group.element(place);
        return if label.is_empty() { group } else { group.element(Level::NOTE.message(label)) };
    };
    let kind = if is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
    let mut annotation = kind.span(span);
    if !label.is_empty() {
        annotation = annotation.label(label);
    }
    group.element(Snippet::source(line).path(name).line_start(origin.line).annotation(annotation))
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}
