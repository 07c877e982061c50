//! Changes of one value in a decrypted YAML text; the rest of the text stays as it is.

use std::collections::BTreeMap;

use freehold_types::Secret;

use super::replace::scan_any;
use super::scalar::{Scalar, check_length};
use super::scan::{Piece, Place, Scan};
use super::{Format, write};
use crate::error::{Error, Result};

const STEP: usize = 4;

/// The keys at the top of a text.
pub fn top_level(subject: &str, text: &str) -> Result<Vec<String>> {
    Ok(scan(subject, text)?.top.into_iter().map(|top| top.key).collect())
}

/// The value at a path such as `ceph.fsid`, as text.
pub fn find(subject: &str, text: &str, path: &str) -> Result<Option<Secret<String>>> {
    Ok(scan(subject, text)?.pieces.into_iter().find_map(|piece| match piece {
        Piece::Value { path: keys, scalar, .. } if keys.join(".") == path => scalar.plain().map(Secret::new),
        Piece::Value { .. } | Piece::Comment { .. } => None,
    }))
}

/// Puts a value at a path: replaces it when there is one, else adds it at the end of the deepest part that exists.
pub fn put(subject: &str, text: &str, path: &[&str], value: &Scalar) -> Result<String> {
    let name = path.join(".");
    let cannot = |why: &str| Error::document(subject, format!("`{name}` cannot be put in: {why}"));
    let scan = scan(subject, text)?;
    let mut changed = text.to_owned();
    let place = scan.pieces.iter().find_map(|piece| match piece {
        Piece::Value { path: keys, span, place, .. } if keys == path => Some((span.clone(), *place)),
        Piece::Value { .. } | Piece::Comment { .. } => None,
    });
    if let Some((span, place)) = place {
        let is_last = text[span.end..].split('\n').next().unwrap_or_default().trim().is_empty();
        let written = write::scalar(value, place, is_last).map_err(|why| cannot(&why))?;
        let space = if text[..span.start].ends_with(':') { " " } else { "" };
        changed.replace_range(span, &format!("{space}{written}"));
    } else {
        let (lines, depth) = (line_places(text), existing(&scan, text, path));
        let (at, column) = match depth {
            0 => (text.len(), 0),
            _ => section_end(&lines, &path[..depth])
                .ok_or_else(|| cannot("its part is not written as lines"))?,
        };
        let mut entry = String::new();
        for (index, key) in path[depth..].iter().enumerate() {
            entry.push_str(&" ".repeat(column + index * STEP));
            entry.push_str(key);
            entry.push(':');
            if depth + index + 1 < path.len() {
                entry.push('\n');
            }
        }
        let place = Place::Block { column: column + (path.len() - depth - 1) * STEP };
        entry.push(' ');
        entry.push_str(&write::scalar(value, place, true).map_err(|why| cannot(&why))?);
        entry.push('\n');
        if !text[..at].is_empty() && !text[..at].ends_with('\n') {
            entry.insert(0, '\n');
        }
        changed.insert_str(at, &entry);
    }
    let found = find(subject, &changed, &name).ok().flatten();
    if found.map(Secret::into_inner) != value.plain() {
        return Err(cannot(
            "the file is laid out in a way that is not understood; put it in with `freehold secrets edit`",
        ));
    }
    Ok(changed)
}

fn scan(subject: &str, text: &str) -> Result<Scan> {
    check_length(subject, text)?;
    scan_any(subject, Format::Yaml, text)
}

/// A line with a key: where it starts and ends, its column and its key.
struct Line<'a> {
    end: usize,
    column: usize,
    key: Option<&'a str>,
    is_blank: bool,
}

fn line_places(text: &str) -> Vec<Line<'_>> {
    let mut at = 0;
    text.split_inclusive('\n')
        .map(|line| {
            at += line.len();
            let trimmed = line.trim();
            let is_blank = trimmed.is_empty() || trimmed.starts_with('#');
            Line {
                end: at,
                column: line.len() - line.trim_start().len(),
                key: trimmed.split_once(':').map(|(key, _)| key).filter(|_| !is_blank),
                is_blank,
            }
        })
        .collect()
}

/// How many keys of a path are there already.
fn existing(scan: &Scan, text: &str, path: &[&str]) -> usize {
    let lines = line_places(text);
    let is_top = scan.top.iter().any(|top| top.key == path[0]);
    if !is_top {
        return 0;
    }
    (1..path.len()).take_while(|depth| section_end(&lines, &path[..*depth]).is_some()).last().unwrap_or(0)
}

/// Where a part ends, and the column of its entries.
fn section_end(lines: &[Line<'_>], path: &[&str]) -> Option<(usize, usize)> {
    let (mut from, mut until, mut column) = (0, lines.len(), 0);
    let mut end = 0;
    for key in path {
        let start =
            (from..until).find(|index| lines[*index].key == Some(key) && lines[*index].column == column)?;
        let inner = lines[start + 1..until].iter().position(|line| !line.is_blank && line.column <= column);
        until = inner.map_or(until, |count| start + 1 + count);
        from = start + 1;
        let content =
            lines[from..until].iter().rposition(|line| !line.is_blank).map_or(start, |at| from + at);
        end = lines[content].end;
        let first = lines[from..until].iter().find(|line| !line.is_blank);
        column = first.map_or(column + STEP, |line| line.column);
    }
    Some((end, column))
}

/// The entries of a part, each with its values.
pub fn section(
    subject: &str,
    text: &str,
    key: &str,
) -> Result<BTreeMap<String, BTreeMap<String, Secret<String>>>> {
    let mut section: BTreeMap<String, BTreeMap<String, Secret<String>>> = BTreeMap::new();
    for piece in scan(subject, text)?.pieces {
        let Piece::Value { path, scalar, .. } = piece else { continue };
        if let ([top, name, part], Some(plain)) = (path.as_slice(), scalar.plain())
            && top == key
        {
            section.entry(name.clone()).or_default().insert(part.clone(), Secret::new(plain));
        }
    }
    Ok(section)
}

/// Puts a whole part, given with its key and a line break at its end, in the place of what is there, or at the end.
pub fn replace_section(subject: &str, text: &str, key: &str, section: &str) -> Result<String> {
    let top = scan(subject, text)?.top;
    let mut changed = text.to_owned();
    if let Some(index) = top.iter().position(|entry| entry.key == key) {
        let end = top.get(index + 1).map_or(text.len(), |next| next.start);
        changed.replace_range(top[index].start..end, section);
    } else {
        if !changed.is_empty() && !changed.ends_with('\n') {
            changed.push('\n');
        }
        changed.push_str(section);
    }
    scan(subject, &changed)?;
    Ok(changed)
}
