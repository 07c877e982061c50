//! Small files written whole: with the right mode from the start, and never half.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file that only its owner reads.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    write(path, content, 0o600)
}

/// Writes a file that everybody reads.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> Result<()> {
    write(path, content, 0o644)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    let partial = path.with_extension("partial");
    if partial.exists() {
        fs::remove_file(&partial).with_context(failed)?;
    }
    let mut file: File =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial).with_context(failed)?;
    file.write_all(content).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    fs::rename(&partial, path).with_context(failed)
}

/// Makes a directory and those above it.
pub(crate) fn make_directory(path: &Path, mode: u32) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("the directory {} cannot be made", path.display()))
}

/// Reads a file of text.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
