//! Fills a file of secrets with what is missing. Pure but for chance.

use std::collections::BTreeSet;

use freehold_types::Secret;

use super::make::{Made, make};
use super::{Entry, Kind, Rotation, all, sets};
use crate::error::{Error, Result};
use crate::sops::{Scalar, edit};

/// What was done to a text.
#[derive(Debug)]
pub struct Filled {
    /// The text with everything.
    pub text: Secret<String>,
    /// Names that were added.
    pub added: Vec<String>,
    /// Names whose value is new.
    pub rotated: Vec<String>,
    /// Names that somebody has to put in.
    pub to_be_given: Vec<String>,
}

/// Adds to a decrypted YAML text what the catalogue asks for in these sets, and makes those in `rotate` anew.
///
/// Nothing that is there is changed unless it is named in `rotate`, or is a hash of one of those. Sets that the text
/// has already are filled without being named.
pub fn fill(subject: &str, plain: &Secret<String>, wanted: &[String], rotate: &[String]) -> Result<Filled> {
    let entries = all();
    let mut filled =
        Filled { text: plain.clone(), added: Vec::new(), rotated: Vec::new(), to_be_given: Vec::new() };
    let present = edit::top_level(subject, plain.expose())?;
    let mut chosen: BTreeSet<&str> = BTreeSet::new();
    for set in wanted {
        known_set(set)?;
        chosen.insert(set);
    }
    chosen.extend(present.iter().map(String::as_str));
    for name in rotate {
        check_rotation(&entries, name)?;
    }
    for entry in entries.iter().filter(|entry| chosen.contains(entry.set())) {
        let current = current(subject, &filled.text, entry)?;
        let is_source_new = entry.kind.hash_of().is_some_and(|of| {
            let of = format!("{}.{of}", entry.set());
            filled.rotated.contains(&of) || filled.added.contains(&of)
        });
        let is_rotated = rotate.contains(&entry.name) || is_source_new;
        match (&current, is_rotated, entry.kind) {
            (None, _, Kind::Given) => {
                filled.to_be_given.push(entry.name.clone());
                continue;
            }
            (Some(_), false, _) => continue,
            (None, _, _) => filled.added.push(entry.name.clone()),
            (Some(_), true, _) => filled.rotated.push(entry.name.clone()),
        }
        filled.text = put(subject, &filled.text, entry)?;
    }
    if let Some(missing) =
        rotate.iter().find(|name| !filled.rotated.contains(name) && !filled.added.contains(name))
    {
        return Err(Error::Catalogue(format!("{missing} is not in {subject}; `--for` its set adds it")));
    }
    Ok(filled)
}

fn known_set(set: &str) -> Result<()> {
    let sets = sets();
    if sets.iter().any(|known| known == set) {
        return Ok(());
    }
    let nearest = nearest(set, sets.iter().map(String::as_str));
    Err(Error::Catalogue(format!("there is no set `{set}`{nearest}; there are: {}", sets.join(", "))))
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map_or_else(String::new, |(_, known)| format!(" (did you mean `{known}`?)"))
}

fn check_rotation(entries: &[Entry], name: &str) -> Result<()> {
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        let nearest = nearest(name, entries.iter().map(|entry| entry.name.as_str()));
        return Err(Error::Catalogue(format!(
            "the catalogue has no secret `{name}`{nearest}; see docs/secrets.md"
        )));
    };
    match (entry.rotation, entry.kind.hash_of()) {
        (_, Some(of)) => Err(Error::Catalogue(format!(
            "{name} is a hash; renew what it is of: `--rotate {}.{of}`",
            entry.set()
        ))),
        (Rotation::Never, _) => Err(Error::Catalogue(format!(
            "{name} is never renewed: {} would lose what it names or encrypts. To do it all the same, remove it with \
             `freehold secrets edit`",
            entry.used_by
        ))),
        (Rotation::Outside, _) => Err(Error::Catalogue(format!(
            "{name} comes from outside; put the new one in with `freehold secrets edit`"
        ))),
        (Rotation::Apply | Rotation::Restart | Rotation::Stepwise(_), _) => Ok(()),
    }
}

/// The value that is there, when it is not empty.
fn current(subject: &str, text: &Secret<String>, entry: &Entry) -> Result<Option<Secret<String>>> {
    let leaf =
        if entry.kind == Kind::SshKey { format!("{}.private_key", entry.name) } else { entry.name.clone() };
    Ok(edit::find(subject, text.expose(), &leaf)?.filter(|value| !value.expose().is_empty()))
}

fn put(subject: &str, text: &Secret<String>, entry: &Entry) -> Result<Secret<String>> {
    let source = match entry.kind.hash_of() {
        Some(of) => edit::find(subject, text.expose(), &format!("{}.{of}", entry.set()))?,
        None => None,
    };
    let put = |text: &Secret<String>, keys: &[&str], value: String| {
        edit::put(subject, text.expose(), keys, &Scalar::Text(value)).map(Secret::new)
    };
    match make(&entry.name, entry.kind, source.as_ref())? {
        Made::One(value) => put(text, &[entry.set(), entry.key()], value.into_inner()),
        Made::Pair { private, public } => {
            let text = put(text, &[entry.set(), entry.key(), "private_key"], private.into_inner())?;
            put(&text, &[entry.set(), entry.key(), "public_key"], public)
        }
    }
}
