//! Finds the places of values and comments in YAML and JSON, with the path of each.

use std::collections::BTreeSet;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::Format;
use super::scalar::Scalar;
use crate::error::{Error, Result};

/// The key of the metadata.
pub(super) const METADATA: &str = "sops";

/// The deepest nesting.
const DEEPEST: usize = 64;

/// What surrounds a value, and so how it may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A line of YAML; its parent starts at this column.
    Block { column: usize },
    /// Within brackets of YAML.
    Flow,
    /// JSON.
    Json,
    /// The rest of a line of dotenv.
    Line,
}

/// A value or a comment in a text.
#[derive(Debug)]
pub(super) enum Piece {
    Value {
        path: Vec<String>,
        span: Range<usize>,
        scalar: Scalar,
        place: Place,
    },
    /// The span is what follows `#`; `paths` are those it may be bound to, the likeliest first.
    Comment {
        paths: Vec<Vec<String>>,
        span: Range<usize>,
        column: usize,
    },
}

/// A key at the top of a document.
#[derive(Debug)]
pub(super) struct TopLevel {
    pub(super) key: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A scanned text.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) pieces: Vec<Piece>,
    pub(super) top: Vec<TopLevel>,
    /// Where the first `{` of JSON ends.
    pub(super) inside: usize,
}

/// Where something starts within its parent.
struct Entry {
    at: usize,
    column: usize,
    container: Vec<String>,
}

enum Frame {
    Map { column: usize, is_flow: bool, key: Option<String>, keys: BTreeSet<String> },
    List { column: usize, is_flow: bool },
}

struct Scanner<'a> {
    subject: &'a str,
    text: &'a str,
    format: Format,
    /// Byte of each character.
    bytes: Vec<usize>,
    frames: Vec<Frame>,
    path: Vec<String>,
    entries: Vec<Entry>,
    /// What is no comment: scalars, in order.
    covered: Vec<Range<usize>>,
    scan: Scan,
}

/// Scans a text of YAML or JSON.
pub(super) fn scan(subject: &str, format: Format, text: &str) -> Result<Scan> {
    let replaced;
    let parsed = if format == Format::Json {
        let document = serde_json::from_str::<serde_json::Value>(text);
        let document = document.map_err(|fault| {
            let place = format!("{subject}, line {}, column {}", fault.line(), fault.column());
            Error::document(place, "this is no valid JSON")
        })?;
        if !document.is_object() {
            return Err(Error::document(subject, "the top of a file of secrets is an object, `{...}`"));
        }
        replaced = as_yaml(text);
        &replaced
    } else {
        text
    };
    let bytes = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    let mut scanner = Scanner {
        subject,
        text,
        format,
        bytes,
        frames: Vec::new(),
        path: Vec::new(),
        entries: Vec::new(),
        covered: Vec::new(),
        scan: Scan::default(),
    };
    for event in Parser::new_from_str(parsed) {
        let (event, span) = event.map_err(|fault| {
            let place = fault.marker();
            Error::document(
                format!("{subject}, line {}, column {}", place.line(), place.col() + 1),
                format!("this is no valid YAML: {}", fault.info()),
            )
        })?;
        scanner.event(&event, span)?;
    }
    if format == Format::Yaml {
        scanner.comments();
    }
    Ok(scanner.scan)
}

/// JSON with the same places of its tokens, such that it is YAML: no tabs, and no escapes that YAML does not know.
/// Texts are read from the original.
fn as_yaml(text: &str) -> String {
    let mut is_text = false;
    let mut is_escaped = false;
    let replace = |character: char| match character {
        '"' if !is_escaped => {
            is_text = !is_text;
            '"'
        }
        _ if is_text => {
            is_escaped = character == '\\' && !is_escaped;
            'a'
        }
        '\t' => ' ',
        other => other,
    };
    text.chars().map(replace).collect()
}

impl Scanner<'_> {
    fn fault(&self, span: Span, fault: impl Into<String>) -> Error {
        Error::document(format!("{}, line {}", self.subject, span.start.line()), fault)
    }

    fn range(&self, span: Span) -> Range<usize> {
        let byte = |index: usize| self.bytes.get(index).copied().unwrap_or(self.text.len());
        byte(span.start.index())..byte(span.end.index())
    }

    fn event(&mut self, event: &Event<'_>, span: Span) -> Result<()> {
        match event {
            Event::Alias(_) => {
                Err(self.fault(span, "references with `*` are not supported; write the value out"))
            }
            Event::Scalar(value, style, anchor, tag) => {
                self.refuse_marks(span, *anchor, tag.is_some())?;
                self.scalar(value, *style, span)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_marks(span, *anchor, tag.is_some())?;
                self.begin(span, true)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_marks(span, *anchor, tag.is_some())?;
                if self.frames.is_empty() {
                    return Err(
                        self.fault(span, "the top of a file of secrets has keys (`name: value`), not a list")
                    );
                }
                self.begin(span, false)
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.frames.pop();
                let range = self.range(span);
                self.covered.push(range.clone());
                self.close_value(range.end);
                Ok(())
            }
            Event::DocumentStart(_) if self.scan.inside > 0 || !self.scan.top.is_empty() => {
                Err(self.fault(span, "several documents in one file are not supported; make a file of each"))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn refuse_marks(&self, span: Span, anchor: usize, has_tag: bool) -> Result<()> {
        if anchor != 0 {
            return Err(
                self.fault(span, "anchors with `&` are not supported; write the value out where it is used")
            );
        }
        if has_tag {
            return Err(self.fault(span, "tags with `!` are not supported; put text in quotes instead"));
        }
        Ok(())
    }

    /// A mapping or a list begins, as a value of what is around it.
    fn begin(&mut self, span: Span, is_map: bool) -> Result<()> {
        if self.frames.len() == DEEPEST {
            return Err(self.fault(span, format!("it is nested deeper than {DEEPEST} levels")));
        }
        let range = self.range(span);
        let is_flow = range.start < range.end;
        if matches!(self.frames.last(), Some(Frame::Map { key: None, .. })) {
            return Err(self.fault(span, "a key is text, not a list or mapping"));
        }
        if is_flow && self.frames.is_empty() && self.format == Format::Yaml {
            return Err(self.fault(span, "write the top as lines of `name: value`, without braces"));
        }
        self.enter_item(range.start);
        if self.scan.inside == 0 {
            self.scan.inside = range.end.max(1);
        }
        if is_flow {
            self.covered.push(range);
        }
        let column = span.start.col();
        self.frames.push(if is_map {
            Frame::Map { column, is_flow, key: None, keys: BTreeSet::new() }
        } else {
            Frame::List { column, is_flow }
        });
        Ok(())
    }

    /// Notes an item of a list, for comments near it.
    fn enter_item(&mut self, at: usize) {
        if let Some(Frame::List { column, .. }) = self.frames.last() {
            self.entries.push(Entry { at, column: *column, container: self.path.clone() });
        }
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, span: Span) -> Result<()> {
        let mut range = self.range(span);
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            range = self.block(&range);
        }
        if range.is_empty() {
            // Nothing stands right behind its key, wherever the parser noticed it.
            let key = self.covered.last().map_or(0, |key| key.end);
            let after = self.text.get(key..).unwrap_or_default();
            let space = after.len() - after.trim_start_matches(' ').len();
            let colon = after[space..].starts_with(':').then_some(space);
            if let (Some(colon), Some(Frame::Map { key: Some(_), .. })) = (colon, self.frames.last()) {
                range = key + colon + 1..key + colon + 1;
            }
        }
        self.covered.push(range.clone());
        let raw = &self.text[range.clone()];
        let scalar = match style {
            _ if self.format == Format::Json && raw.starts_with('"') => Scalar::Text(
                serde_json::from_str(raw).map_err(|_| self.fault(span, "this is no valid text of JSON"))?,
            ),
            ScalarStyle::Plain => Scalar::of_plain_word(value).map_err(|fault| self.fault(span, fault))?,
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => Scalar::Text(value.to_owned()),
        };
        let path = self.path.clone();
        let is_top = self.frames.len() == 1;
        let place = match self.frames.last_mut() {
            None if scalar == Scalar::Null => return Ok(()),
            None => return Err(self.fault(span, "the top of a file of secrets has keys (`name: value`)")),
            Some(Frame::Map { column, key: key @ None, keys, .. }) => {
                let Scalar::Text(name) = scalar else {
                    return Err(self.fault(span, "this key is no text; put it in quotes"));
                };
                if !keys.insert(name.clone()) {
                    return Err(self.fault(span, format!("the key `{name}` is there twice; remove one")));
                }
                self.entries.push(Entry { at: range.start, column: *column, container: path });
                if is_top {
                    self.scan.top.push(TopLevel { key: name.clone(), start: range.start, end: range.end });
                }
                *key = Some(name.clone());
                self.path.push(name);
                return Ok(());
            }
            Some(Frame::Map { column, is_flow, .. } | Frame::List { column, is_flow }) => {
                match (self.format, *is_flow) {
                    (Format::Json, _) => Place::Json,
                    (_, true) => Place::Flow,
                    (_, false) => Place::Block { column: *column },
                }
            }
        };
        self.enter_item(range.start);
        self.scan.pieces.push(Piece::Value { path, span: range.clone(), scalar, place });
        self.close_value(range.end);
        Ok(())
    }

    /// A value has ended: the next scalar of a mapping is a key.
    fn close_value(&mut self, end: usize) {
        let is_top = self.frames.len() == 1;
        if let Some(Frame::Map { key, .. }) = self.frames.last_mut() {
            if key.take().is_some() {
                self.path.pop();
            }
            if let (true, Some(top)) = (is_top, self.scan.top.last_mut()) {
                top.end = end;
            }
        }
    }

    /// A block of text from its `|` or `>` to the end of its last line.
    fn block(&self, content: &Range<usize>) -> Range<usize> {
        let before = self.text[..content.start].trim_end();
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        let from = line.max(self.covered.last().map_or(0, |range| range.end));
        let header = self
            .text
            .get(from..)
            .and_then(|rest| rest.find(['|', '>']))
            .map_or(content.start, |at| from + at);
        let length = self.text[content.clone()].trim_end_matches(['\n', '\r', ' ']).len();
        header..content.start + length
    }

    /// Comments stand between scalars, behind a space or at the start of a line.
    fn comments(&mut self) {
        let mut at = 0;
        let covered = std::mem::take(&mut self.covered);
        let end = self.text.len()..self.text.len();
        for range in covered.into_iter().chain(std::iter::once(end)) {
            if range.start >= at {
                self.comments_between(at..range.start);
                at = range.end.max(at);
            }
        }
        self.scan.pieces.sort_by_key(|piece| match piece {
            Piece::Value { span, .. } | Piece::Comment { span, .. } => span.start,
        });
    }

    fn comments_between(&mut self, gap: Range<usize>) {
        let mut from = gap.start;
        while let Some(found) = self.text[from..gap.end].find('#') {
            let at = from + found;
            let is_comment = at == 0 || self.text[..at].ends_with(char::is_whitespace);
            let end = self.text[at..].find('\n').map_or(self.text.len(), |length| at + length).min(gap.end);
            from = at + 1;
            if is_comment {
                let end = at + self.text[at..end].trim_end_matches('\r').len();
                self.comment(at, end);
                from = end;
            }
        }
    }

    fn comment(&mut self, at: usize, end: usize) {
        let line = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let is_alone = self.text[line..at].trim().is_empty();
        let column = self.text[line..at].chars().count();
        let split = self.entries.partition_point(|entry| entry.at < at);
        let (before, after) = self.entries.split_at(split);
        let next = after.first();
        let previous = before.iter().rev().find(|entry| entry.column <= column).or(before.last());
        let likeliest = match (is_alone, next, previous) {
            (false, _, Some(_)) => before.last(),
            (true, Some(next), Some(_)) if next.column >= column => Some(next),
            (true, Some(next), None) => Some(next),
            (_, _, previous) => previous,
        };
        let mut paths: Vec<Vec<String>> = Vec::new();
        let mut add = |path: &[String]| {
            if !paths.iter().any(|known| known == path) {
                paths.push(path.to_vec());
            }
        };
        for entry in likeliest.into_iter().chain(next).chain(before.last()) {
            add(&entry.container);
        }
        for entry in next.into_iter().chain(before.last()) {
            for length in (0..=entry.container.len()).rev() {
                add(&entry.container[..length]);
            }
        }
        // A comment of an entry may also belong to what the entry holds.
        if paths.is_empty() {
            paths.push(Vec::new());
        }
        self.scan.pieces.push(Piece::Comment { paths, span: at + 1..end, column });
    }
}
