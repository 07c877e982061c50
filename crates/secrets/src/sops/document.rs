//! Whole files: made, opened, changed and given a new key.

use freehold_types::{Secret, Timestamp};

use super::cipher::{DataKey, Stash};
use super::metadata::Metadata;
use super::replace::{self, Scheme, Values};
use super::scalar::{self, Scalar};
use super::scan::METADATA;
use super::selection::Selection;
use super::{Format, Policy, dotenv};
use crate::age::Recipient;
use crate::error::{Error, Result};
use crate::keys::Keyring;

/// A file that was opened: its text is authentic.
#[derive(Debug)]
pub struct Opened {
    subject: String,
    format: Format,
    original: String,
    plain: Secret<String>,
    values: Values,
    metadata: Metadata,
    selection: Selection,
    key: DataKey,
    stash: Stash,
}

/// Whether a text carries metadata of SOPS.
pub fn is_encrypted(subject: &str, format: Format, text: &str) -> Result<bool> {
    scalar::check_length(subject, text)?;
    let scan = replace::scan_any(subject, format, text)?;
    Ok(scan.top.iter().any(|top| is_metadata(format, &top.key)))
}

/// For whom a file is, without opening it.
pub fn recipients(subject: &str, format: Format, text: &str) -> Result<Vec<String>> {
    let (_, section) = split(subject, format, text)?;
    Ok(Metadata::parse(subject, format, &section)?.recipients())
}

/// Encrypts a plain text for the recipients of a policy.
pub fn encrypt(subject: &str, format: Format, plain: &Secret<String>, policy: &Policy) -> Result<String> {
    let plain = plain.expose();
    if is_encrypted(subject, format, plain)? {
        return Err(Error::document(subject, "it is encrypted already; `freehold secrets edit` changes it"));
    }
    if policy.recipients.is_empty() {
        return Err(Error::document(
            subject,
            "nobody is named to encrypt it for; add a rule with `age` to .sops.yaml (`freehold secrets init` makes one)",
        ));
    }
    let key = DataKey::generate();
    let metadata = Metadata::new(policy, &key)?;
    seal(subject, format, plain, metadata, &key, &Stash::default())
}

/// Opens a file.
///
/// # Errors
/// [`Error::NoKey`] names the file, its recipients and where keys were looked for; [`Error::Tampered`] when it is not
/// authentic: then nothing of it is handed out.
pub fn open(subject: &str, format: Format, text: &str, keys: &Keyring) -> Result<Opened> {
    scalar::check_length(subject, text)?;
    let (body, section) = split(subject, format, text)?;
    let metadata = Metadata::parse(subject, format, &section)?;
    let selection = Selection::of(&metadata).map_err(|fault| Error::document(subject, fault))?;
    let key = metadata
        .data_key(subject, keys.identities())?
        .ok_or_else(|| keys.none_opens(subject, &metadata.recipients()))?;
    let mut stash = Stash::default();
    let scheme = Scheme {
        subject,
        format,
        key: &key,
        selection: &selection,
        mac_only_encrypted: metadata.mac_only_encrypted,
    };
    let replaced = scheme.decrypt(&body, &mut stash)?;
    metadata.check_mac(subject, &key, &replaced.mac)?;
    let written = replace::values(subject, format, &replaced.text);
    if !written.is_ok_and(|written| replace::are_same(&written, &replaced.values)) {
        return Err(Error::document(
            subject,
            "its decrypted text would not mean the same; use `sops` for this file",
        ));
    }
    Ok(Opened {
        subject: subject.to_owned(),
        format,
        original: text.to_owned(),
        plain: Secret::new(replaced.text),
        values: replaced.values,
        metadata,
        selection,
        key,
        stash,
    })
}

impl Opened {
    /// The decrypted text, without metadata.
    pub const fn text(&self) -> &Secret<String> {
        &self.plain
    }

    /// All values with their paths; positions in lists are not part of a path.
    pub fn values(&self) -> impl Iterator<Item = (&[String], Secret<&Scalar>)> {
        self.values.iter().map(|(path, value)| (path.as_slice(), Secret::new(value)))
    }

    /// The value at a path like `etcd.token`, as text.
    pub fn find(&self, path: &str) -> Option<Secret<String>> {
        let (_, value) = self.values.iter().find(|(keys, _)| keys.join(".") == path)?;
        value.plain().map(Secret::new)
    }

    /// For whom the file is.
    pub fn recipients(&self) -> Vec<String> {
        self.metadata.recipients()
    }

    /// The file with a changed text. Values that did not change stay as they are in the file, and a text that did not
    /// change gives the file as it was.
    pub fn seal(&self, plain: &Secret<String>) -> Result<String> {
        if plain == &self.plain {
            return Ok(self.original.clone());
        }
        if is_encrypted(&self.subject, self.format, plain.expose())? {
            return Err(Error::document(
                &self.subject,
                "the text has an entry `sops`, which is where its metadata goes; name it otherwise",
            ));
        }
        seal(&self.subject, self.format, plain.expose(), self.metadata.clone(), &self.key, &self.stash)
    }

    /// The file with a new data key and all values encrypted anew, for the recipients it has, and changed by those
    /// to add and to remove.
    pub fn rotate(&self, add: &[Recipient], remove: &[Recipient]) -> Result<String> {
        if self.metadata.has_other_keys() {
            return Err(Error::document(
                &self.subject,
                "it is also encrypted with keys of other kinds than age, which cannot be renewed here; use `sops rotate`",
            ));
        }
        let mut recipients = Vec::new();
        for key in &self.metadata.age {
            recipients.push(key.recipient.parse::<Recipient>()?);
        }
        for gone in remove {
            let Some(at) = recipients.iter().position(|recipient| recipient == gone) else {
                return Err(Error::document(&self.subject, format!("it is not encrypted for {gone}")));
            };
            recipients.remove(at);
        }
        recipients.extend(add.iter().cloned());
        let mut kept: Vec<Recipient> = Vec::new();
        for recipient in recipients {
            if !kept.contains(&recipient) {
                kept.push(recipient);
            }
        }
        if kept.is_empty() {
            return Err(Error::document(&self.subject, "nobody would be left to open it; add a recipient"));
        }
        let key = DataKey::generate();
        let mut metadata = self.metadata.clone();
        metadata.encrypt_key(&kept, &key)?;
        seal(&self.subject, self.format, self.plain.expose(), metadata, &key, &Stash::default())
    }

    /// The rule that says what is encrypted, for tests of a text before it is written.
    pub fn is_selected(&self, path: &[String]) -> bool {
        self.selection.covers(path)
    }
}

/// Encrypts, writes and reads again.
fn seal(
    subject: &str,
    format: Format,
    plain: &str,
    mut metadata: Metadata,
    key: &DataKey,
    stash: &Stash,
) -> Result<String> {
    let selection = Selection::of(&metadata).map_err(|fault| Error::document(subject, fault))?;
    let mac_only_encrypted = metadata.mac_only_encrypted;
    let scheme = Scheme { subject, format, key, selection: &selection, mac_only_encrypted };
    let replaced = scheme.encrypt(plain, stash)?;
    metadata.set_mac(key, &replaced.mac, &now()).map_err(|fault| Error::document(subject, fault))?;
    let text = join(subject, format, replaced.text, &metadata.write(subject, format)?)?;
    let unlike =
        || Error::document(subject, "its encrypted text would not mean the same; use `sops` for this file");
    let (body, section) = split(subject, format, &text).map_err(|_| unlike())?;
    let again = scheme.decrypt(&body, &mut Stash::default()).map_err(|_| unlike())?;
    let metadata = Metadata::parse(subject, format, &section).map_err(|_| unlike())?;
    metadata.check_mac(subject, key, &again.mac).map_err(|_| unlike())?;
    if !replace::are_same(&again.values, &replaced.values) {
        return Err(unlike());
    }
    Ok(text)
}

fn now() -> String {
    let seconds = i64::try_from(Timestamp::now().as_seconds()).unwrap_or_default();
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

fn is_metadata(format: Format, key: &str) -> bool {
    match format {
        Format::Yaml | Format::Json => key == METADATA,
        Format::Dotenv => key.starts_with(dotenv::PREFIX),
    }
}

/// Parts a file into its content and its metadata.
fn split(subject: &str, format: Format, text: &str) -> Result<(String, String)> {
    scalar::check_length(subject, text)?;
    let top = replace::scan_any(subject, format, text)?.top;
    let Some(index) = top.iter().position(|entry| is_metadata(format, &entry.key)) else {
        return Err(Error::document(
            subject,
            "it is not encrypted: there is no metadata (`sops`) in it; `freehold secrets encrypt` encrypts it",
        ));
    };
    let entry = &top[index];
    let (previous, next) = (index.checked_sub(1).and_then(|before| top.get(before)), top.get(index + 1));
    Ok(match format {
        Format::Yaml => {
            let end = next.map_or(text.len(), |next| next.start);
            (format!("{}{}", &text[..entry.start], &text[end..]), text[entry.start..end].to_owned())
        }
        Format::Json => {
            let section = &text[entry.start..entry.end];
            let section = section.split_once(':').map_or(section, |(_, value)| value).to_owned();
            let gone = match (previous, next) {
                (Some(previous), _) => previous.end..entry.end,
                (None, Some(next)) => entry.start..next.start,
                (None, None) => entry.start..entry.end,
            };
            (format!("{}{}", &text[..gone.start], &text[gone.end..]), section)
        }
        Format::Dotenv => {
            let (section, body): (Vec<&str>, Vec<&str>) =
                text.split_inclusive('\n').partition(|line| line.starts_with(dotenv::PREFIX));
            (body.concat(), section.concat())
        }
    })
}

/// Puts the metadata behind the content.
fn join(subject: &str, format: Format, mut body: String, section: &str) -> Result<String> {
    Ok(match format {
        Format::Yaml | Format::Dotenv => {
            if !body.is_empty() && !body.ends_with('\n') {
                body.push('\n');
            }
            body + section
        }
        Format::Json => {
            let scan = replace::scan_any(subject, format, &body)?;
            let (at, start, end) = match scan.top.last() {
                Some(last) => (last.end, ",\n\t", ""),
                None => (scan.inside, "\n\t", "\n"),
            };
            body.insert_str(at, &format!("{start}\"{METADATA}\": {section}{end}"));
            body
        }
    })
}
