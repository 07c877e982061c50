//! File calls that name their path when they fail.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::ImageError;

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    fs::read(path).map_err(ImageError::file("cannot read", path))
}

pub(crate) fn make_directory(path: &Path) -> Result<(), ImageError> {
    fs::create_dir_all(path).map_err(ImageError::file("cannot make directory", path))
}

/// Writes a file with these permissions, and the directories above it.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), ImageError> {
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    fs::write(path, content).map_err(ImageError::file("cannot write", path))?;
    set_mode(path, mode)
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), ImageError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(ImageError::file("cannot set permissions of", path))
}

pub(crate) fn link(target: &str, path: &Path) -> Result<(), ImageError> {
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    symlink(target, path).map_err(ImageError::file("cannot make link", path))
}

/// All regular files below a directory, in a stable order; links are not followed.
pub(crate) fn walk(directory: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(current) = pending.pop() {
        let entries = fs::read_dir(&current).map_err(ImageError::file("cannot list", &current))?;
        for entry in entries {
            let entry = entry.map_err(ImageError::file("cannot list", &current))?;
            let kind = entry.file_type().map_err(ImageError::file("cannot look at", &entry.path()))?;
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
