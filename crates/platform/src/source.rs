//! The files that a platform was read from, and places in them.

use std::ops::Range;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of the platform.
    Plain,
    /// Secrets: merged over everything else, and never shown.
    Secrets,
}

/// One file, as text.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name in reports.
    pub name: String,
    /// Its text; that of secrets decrypted.
    pub text: String,
    /// What it is for.
    pub kind: Kind,
}

/// A place: a file and a range of characters in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    /// Index of the file.
    pub(crate) file: usize,
    /// Index of the first character.
    pub(crate) start: usize,
    /// Index behind the last character.
    pub(crate) end: usize,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column, from 1.
    pub(crate) column: usize,
}

/// The files of a platform.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    inputs: Vec<Input>,
    /// Places of values that must not be seen.
    hidden: Vec<Origin>,
}

impl Sources {
    pub(crate) fn new(inputs: Vec<Input>) -> Self {
        Self { inputs, hidden: Vec::new() }
    }

    /// Hides values in all lines that are told from now on.
    pub(crate) fn hide(&mut self, places: Vec<Origin>) {
        self.hidden.extend(places);
    }

    /// The files in the order in which they were merged.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    pub(crate) fn is_secret(&self, origin: Origin) -> bool {
        self.inputs.get(origin.file).is_none_or(|input| input.kind == Kind::Secrets)
    }

    /// `file:line:column`, for people and their editors.
    pub(crate) fn place(&self, origin: Origin) -> String {
        let name = self.inputs.get(origin.file).map_or("", |input| input.name.as_str());
        format!("{name}:{}:{}", origin.line, origin.column)
    }

    /// The line that a place begins on, with stars for what must not be seen, and the bytes of the place in it. What
    /// spans several lines is cut at the end of its first.
    pub(crate) fn line(&self, origin: Origin) -> Option<(String, Range<usize>)> {
        let text = self.inputs.get(origin.file)?.text.as_str();
        let start = byte_of(text, origin.start);
        let begin = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(begin..)?.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let first = (start - begin).min(line.len());
        let last = byte_of(text, origin.end).saturating_sub(begin).clamp(first, line.len());
        let last = first + line.get(first..last)?.trim_end().len();
        let mut shown = line.to_owned();
        let first_character = origin.start.saturating_sub(origin.column.saturating_sub(1));
        let last_character = first_character + line.chars().count();
        let on_line = |place: &&Origin| {
            place.file == origin.file && place.start <= last_character && place.end >= first_character
        };
        for place in self.hidden.iter().filter(on_line) {
            let from = byte_of(text, place.start).saturating_sub(begin).min(line.len());
            let to = byte_of(text, place.end).saturating_sub(begin).min(line.len());
            if line.get(from..to).is_none_or(|part| part.trim().is_empty()) {
                // A text of several lines ends in the indentation of the next key.
                continue;
            }
            // A star is as long as one byte, so that places stay where they are.
            shown.replace_range(from..to, &"*".repeat(to - from));
        }
        Some((shown, first..last.max(first)))
    }
}

/// The byte at which a character begins; the end of the text behind its last.
fn byte_of(text: &str, character: usize) -> usize {
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}
