//! The file of contexts.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Context;
use crate::error::{Error, Result};
use crate::near::nearest;

/// All contexts of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one that is used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

impl Contexts {
    /// The context with a name.
    ///
    /// # Errors
    /// Not found, with the nearest names as a hint.
    pub fn named(&self, name: &str) -> Result<&Context> {
        self.contexts.get(name).ok_or_else(|| {
            let error = Error::new(crate::error::Failure::NotFound, format!("there is no context `{name}`"));
            match nearest(name, self.contexts.keys().map(String::as_str)).first() {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("see the contexts with `freehold context list`"),
            }
        })
    }
}

/// Where the contexts are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOfContexts(PathBuf);

impl FileOfContexts {
    /// Kept at a path, which need not exist.
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads it; no file is no contexts.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn load(&self) -> Result<Contexts> {
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Contexts::default()),
            Err(error) => return Err(Error::io(format!("cannot read {}", self.0.display()), error)),
        };
        serde_json::from_str(&text).map_err(|error| {
            // The parser quotes what it met, which may be a secret: only its position is told.
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::usage(format!("{} is damaged at {place}", self.0.display()))
                .hint("repair or remove it, then add the contexts again")
        })
    }

    /// Replaces it in one step, readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be written; the former file then stays.
    pub fn save(&self, contexts: &Contexts) -> Result<()> {
        let fail = |error| Error::io(format!("cannot write {}", self.0.display()), error);
        let folder =
            self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(fail)?;
        // A temporary file of this crate is born with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
        serde_json::to_writer_pretty(&mut file, contexts).map_err(|error| fail(error.into()))?;
        file.write_all(b"\n").and_then(|()| file.as_file().sync_all()).map_err(fail)?;
        file.persist(&self.0).map_err(|error| fail(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::context::{Authority, Credential};

    #[test]
    fn what_is_saved_is_loaded_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = FileOfContexts::at(folder.path().join("deep/config.json"));
        assert_eq!(file.load().unwrap(), Contexts::default());
        let context = Context {
            url: "https://cloud".into(),
            authority: Some(Authority::Pem("PEM".into())),
            credential: Some(Credential::Session { email: "a@b.c".into(), token: "jwt".to_owned().into() }),
            ..Context::default()
        };
        let contexts =
            Contexts { current: Some("home".into()), contexts: [("home".to_owned(), context)].into() };
        file.save(&contexts).unwrap();
        file.save(&contexts).unwrap();
        assert_eq!(file.load().unwrap(), contexts);
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_told_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = FileOfContexts::at(folder.path().join("config.json"));
        std::fs::write(file.path(), r#"{"contexts": {"a": {"url": "x", "secret-word": 1}}}"#).unwrap();
        let told = file.load().unwrap_err().to_string();
        assert!(told.contains("damaged at line 1") && !told.contains("secret-word"), "{told}");
    }

    #[test]
    fn an_unknown_context_is_told_with_its_neighbour() {
        let contexts = Contexts { contexts: [("home".to_owned(), Context::default())].into(), current: None };
        let mut told = Vec::new();
        contexts.named("hom").unwrap_err().tell(&mut anstream::StripStream::new(&mut told)).unwrap();
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "error: there is no context `hom`\nhint: did you mean `home`?\n"
        );
    }
}
