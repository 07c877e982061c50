//! Encrypts and decrypts in place: values and comments are replaced, everything else stays.

use std::ops::Range;

use sha2::{Digest, Sha256, Sha512};

use super::cipher::{self, DataKey, Fault, Stash};
use super::scalar::Scalar;
use super::scan::{Piece, Place, Scan};
use super::selection::Selection;
use super::{Format, dotenv, scan, write};
use crate::error::{Error, Result};

/// Values with their paths, in the order of the text.
pub(super) type Values = Vec<(Vec<String>, Scalar)>;

/// How a text is encrypted.
#[derive(Debug)]
pub(super) struct Scheme<'a> {
    pub(super) subject: &'a str,
    pub(super) format: Format,
    pub(super) key: &'a DataKey,
    pub(super) selection: &'a Selection,
    pub(super) mac_only_encrypted: bool,
}

/// A text after replacing, and the digest of its values.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) text: String,
    pub(super) mac: String,
    pub(super) values: Values,
}

/// Scans a text of any format.
pub(super) fn scan_any(subject: &str, format: Format, text: &str) -> Result<Scan> {
    match format {
        Format::Yaml | Format::Json => scan::scan(subject, format, text),
        Format::Dotenv => dotenv::scan(subject, text),
    }
}

/// The values of a text.
pub(super) fn values(subject: &str, format: Format, text: &str) -> Result<Values> {
    let scan = scan_any(subject, format, text)?;
    Ok(scan
        .pieces
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Value { path, scalar, .. } => Some((path, scalar)),
            Piece::Comment { .. } => None,
        })
        .collect())
}

/// Whether two lists of values are the same, also where a number equals no number.
pub(super) fn are_same(left: &Values, right: &Values) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|((path, value), (other_path, other))| {
            path == other_path && value.kind() == other.kind() && value.plain() == other.plain()
        })
}

impl Scheme<'_> {
    fn digest(&self) -> Sha512 {
        let digest = Sha512::new();
        if self.mac_only_encrypted {
            return digest.chain_update(Sha256::digest(b"sops"));
        }
        digest
    }

    fn fault(&self, path: &[String], fault: &str) -> Error {
        Error::document(self.subject, format!("`{}`: {fault}", path.join(".")))
    }

    /// Encrypts what is selected; what the stash knows stays as it was.
    pub(super) fn encrypt(&self, text: &str, stash: &Stash) -> Result<Replaced> {
        let scan = scan_any(self.subject, self.format, text)?;
        let mut digest = self.digest();
        let mut edits = Vec::new();
        let mut values = Values::new();
        for piece in scan.pieces {
            match piece {
                Piece::Value { path, span, scalar, place } => {
                    let is_selected = self.selection.covers(&path);
                    if let Some(plain) = scalar.plain() {
                        if is_selected || !self.mac_only_encrypted {
                            digest.update(plain.as_bytes());
                        }
                        if is_selected && !plain.is_empty() {
                            let sealed = self.seal(&path, scalar.kind(), &plain, stash)?;
                            edits.push((
                                span,
                                if needs_quotes(place) { write::quoted(&sealed) } else { sealed },
                            ));
                        }
                    }
                    values.push((path, scalar));
                }
                Piece::Comment { paths, span, .. } => {
                    let plain = &text[span.clone()];
                    if paths.first().is_some_and(|path| self.selection.covers(path)) && !plain.is_empty() {
                        edits.push((span.clone(), self.seal_comment(&paths, plain, stash)?));
                    }
                }
            }
        }
        Ok(Replaced { text: apply(text, edits), mac: format!("{:X}", digest.finalize()), values })
    }

    fn seal(&self, path: &[String], kind: &'static str, plain: &str, stash: &Stash) -> Result<String> {
        if cipher::is_encrypted(plain) {
            return Err(self.fault(path, "it is already encrypted; put its plain value there, or remove it"));
        }
        let binding = cipher::binding(path);
        if let Some(known) = stash.find(&binding, kind, plain) {
            return Ok(known.clone());
        }
        cipher::seal(self.key, &binding, kind, plain).map_err(|fault| self.fault(path, &fault))
    }

    fn seal_comment(&self, paths: &[Vec<String>], plain: &str, stash: &Stash) -> Result<String> {
        let known = paths.iter().find_map(|path| stash.find(&cipher::binding(path), "comment", plain));
        match (known, paths.first()) {
            (Some(known), _) => Ok(known.clone()),
            // A comment that could not be decrypted is left alone.
            (None, _) if cipher::is_encrypted(plain) => Ok(plain.to_owned()),
            (None, path) => {
                let path = path.map(Vec::as_slice).unwrap_or_default();
                cipher::seal(self.key, &cipher::binding(path), "comment", plain)
                    .map_err(|fault| self.fault(path, &fault))
            }
        }
    }

    /// Decrypts what is selected, and keeps the ciphertexts.
    pub(super) fn decrypt(&self, text: &str, stash: &mut Stash) -> Result<Replaced> {
        let scan = scan_any(self.subject, self.format, text)?;
        let mut digest = self.digest();
        let mut edits = Vec::new();
        let mut values = Values::new();
        for (index, piece) in scan.pieces.iter().enumerate() {
            match piece {
                Piece::Value { path, span, scalar, place } => {
                    let is_selected = self.selection.covers(path);
                    if let Some(edit) = self.open_comment_item(path, span, scalar, text, stash) {
                        edits.push(edit);
                        continue;
                    }
                    let opened = if is_selected { self.open(path, scalar, stash)? } else { None };
                    let scalar = opened.as_ref().unwrap_or(scalar);
                    if let (true, Some(plain)) = (is_selected || !self.mac_only_encrypted, scalar.plain()) {
                        digest.update(plain.as_bytes());
                    }
                    if opened.is_some() {
                        let may_span = may_span_lines(text, &scan.pieces[index + 1..], span, *place);
                        let written = write::scalar(scalar, *place, may_span);
                        edits.push((span.clone(), written.map_err(|fault| self.fault(path, &fault))?));
                    }
                    values.push((path.clone(), scalar.clone()));
                }
                Piece::Comment { paths, span, .. } => {
                    if let Some(plain) = self.open_comment(paths, &text[span.clone()], stash) {
                        edits.push((span.clone(), plain));
                    }
                }
            }
        }
        Ok(Replaced { text: apply(text, edits), mac: format!("{:X}", digest.finalize()), values })
    }

    fn open(&self, path: &[String], scalar: &Scalar, stash: &mut Stash) -> Result<Option<Scalar>> {
        let encrypted = match scalar {
            Scalar::Null => return Ok(None),
            Scalar::Text(text) if text.is_empty() => return Ok(None),
            Scalar::Text(text) => text,
            Scalar::Integer(_) | Scalar::Float(_) | Scalar::Boolean(_) | Scalar::Time(_) => {
                return Err(self.fault(
                    path,
                    "it is not encrypted, though it should be; change files with `freehold secrets edit`",
                ));
            }
        };
        let binding = cipher::binding(path);
        match cipher::open(self.key, &binding, encrypted) {
            Ok((scalar, _)) => {
                if let Some(plain) = scalar.plain() {
                    stash.keep(binding, scalar.kind(), plain, encrypted.clone());
                }
                Ok(Some(scalar))
            }
            Err(Fault::Form(fault)) => {
                Err(self.fault(path, &format!("{fault}; change files with `freehold secrets edit`")))
            }
            Err(Fault::Content(fault)) => Err(self.fault(path, &fault)),
            Err(Fault::Authenticity) => Err(Error::Tampered {
                subject: self.subject.to_owned(),
                fault: format!(
                    "the value of `{}` was changed, or comes from another place or file",
                    path.join(".")
                ),
            }),
        }
    }

    /// SOPS 3.13 writes a comment in a list as an item of it, does not count it, and then cannot read the file any
    /// more. Here it becomes a comment again.
    fn open_comment_item(
        &self,
        path: &[String],
        span: &Range<usize>,
        scalar: &Scalar,
        text: &str,
        stash: &mut Stash,
    ) -> Option<(Range<usize>, String)> {
        let Scalar::Text(encrypted) = scalar else { return None };
        let plain = self.open_comment(&[path.to_vec()], encrypted, stash)?;
        let dash = text[..span.start].trim_end().strip_suffix('-')?.len();
        Some((dash..span.end, format!("#{plain}")))
    }

    fn open_comment(&self, paths: &[Vec<String>], text: &str, stash: &mut Stash) -> Option<String> {
        if !cipher::is_encrypted(text) {
            return None;
        }
        for path in paths {
            let binding = cipher::binding(path);
            if let Ok((Scalar::Text(plain), true)) = cipher::open(self.key, &binding, text) {
                // A comment of several lines would turn into content.
                if plain.contains(['\n', '\r']) {
                    return None;
                }
                stash.keep(binding, "comment", plain.clone(), text.to_owned());
                return Some(plain);
            }
        }
        None
    }
}

fn needs_quotes(place: Place) -> bool {
    match place {
        Place::Flow | Place::Json => true,
        Place::Block { .. } | Place::Line => false,
    }
}

/// Whether a block of lines can stand here: nothing follows on the line, and no comment would become part of it.
fn may_span_lines(text: &str, following: &[Piece], span: &Range<usize>, place: Place) -> bool {
    let Place::Block { column } = place else { return false };
    let rest = text[span.end..].split('\n').next().unwrap_or_default();
    let is_swallowed = |piece: &Piece| match piece {
        Piece::Comment { column: other, .. } => *other > column,
        Piece::Value { .. } => false,
    };
    rest.trim().is_empty()
        && !following.iter().take_while(|piece| matches!(piece, Piece::Comment { .. })).any(is_swallowed)
}

fn apply(text: &str, edits: Vec<(Range<usize>, String)>) -> String {
    let mut result = String::with_capacity(text.len() * 2);
    let mut at = 0;
    for (span, replacement) in edits {
        result.push_str(&text[at..span.start]);
        result.push_str(&replacement);
        at = span.end;
    }
    result.push_str(&text[at..]);
    result
}
