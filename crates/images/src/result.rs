//! A finished image under its final name, and the note beside it that says what it was made from.
//!
//! The note (`IMAGE.json`) lets the next call see that nothing has changed and return at once.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Built, ImageError, files};

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    #[serde(flatten)]
    inputs: Inputs,
    built: Built,
}

/// What an image depends on, as digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// Recipe and options.
    pub recipe: String,
    /// Versions of the packages; empty where those are not known beforehand.
    pub packages: String,
}

/// Digest of the texts that an image depends on.
pub(crate) fn digest<'a>(inputs: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for input in inputs {
        hasher.update((input.len() as u64).to_le_bytes());
        hasher.update(input);
    }
    format!("{:x}", hasher.finalize())
}

/// The image that is there already, if it was made by this recipe, of these packages when they are given,
/// and is still whole in size.
pub(crate) fn existing(out: &Path, recipe: &str, packages: Option<&str>) -> Option<Built> {
    let note: Note = serde_json::from_slice(&std::fs::read(note_path(out)).ok()?).ok()?;
    let same =
        note.inputs.recipe == recipe && packages.is_none_or(|packages| packages == note.inputs.packages);
    let whole = || std::fs::metadata(out).is_ok_and(|found| found.len() == note.built.bytes);
    (same && whole()).then(|| Built { path: out.to_owned(), ..note.built })
}

/// Moves a finished file to its final name and writes the note.
pub(crate) fn publish(
    finished: &Path,
    out: &Path,
    inputs: Inputs,
    virtual_size: u64,
) -> Result<Built, ImageError> {
    let (sha256, bytes) = sum(finished)?;
    let built = Built { path: out.to_owned(), sha256, bytes, virtual_size };
    // Without a note the image counts as unknown: a note must never describe another file.
    let note = note_path(out);
    match std::fs::remove_file(&note) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(ImageError::file("cannot remove", &note)(error));
        }
        Ok(()) | Err(_) => {}
    }
    std::fs::rename(finished, out).map_err(ImageError::file("cannot move the image to", out))?;
    let text = serde_json::to_vec_pretty(&Note { inputs, built: built.clone() })
        .map_err(|error| ImageError::Content(format!("{}: {error}", note.display())))?;
    files::write(&note, text, 0o644)?;
    Ok(built)
}

/// Hexadecimal SHA-256 and size of a file.
fn sum(path: &Path) -> Result<(String, u64), ImageError> {
    let cannot_read = || ImageError::file("cannot read", path);
    let mut file = File::open(path).map_err(cannot_read())?;
    file.sync_all().map_err(cannot_read())?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer).map_err(cannot_read())?;
        if count == 0 {
            return Ok((format!("{:x}", hasher.finalize()), bytes));
        }
        hasher.update(&buffer[..count]);
        bytes += count as u64;
    }
}

fn note_path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_again_until_inputs_or_file_change() {
        let directory = tempfile::tempdir().unwrap();
        let (finished, out) = (directory.path().join("new"), directory.path().join("image.qcow2"));
        std::fs::write(&finished, b"disk").unwrap();
        let inputs = Inputs { recipe: digest(["a", "b"]), packages: digest(["c"]) };
        let built = publish(&finished, &out, inputs.clone(), 1 << 28).unwrap();
        assert_eq!(built.bytes, 4);
        assert_eq!(existing(&out, &inputs.recipe, Some(&inputs.packages)), Some(built.clone()));
        assert_eq!(existing(&out, &inputs.recipe, None), Some(built));
        assert_eq!(existing(&out, &inputs.recipe, Some("newer")), None);
        assert_eq!(existing(&out, &digest(["ab"]), None), None);
        std::fs::write(&out, b"cut").unwrap();
        assert_eq!(existing(&out, &inputs.recipe, None), None);
    }
}
