//! Files on disk: read within bounds, replaced whole, and private ones that go away.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use freehold_types::Secret;
use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::sops::LONGEST;

fn fault(path: &Path, action: &'static str) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { path: path.clone(), action, source }
}

/// Reads a text; it may be secret.
pub fn read(path: &Path) -> Result<Secret<String>> {
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let mut text = String::new();
    let file = File::open(path).map_err(fault(path, "read"))?;
    file.take(limit + 1).read_to_string(&mut text).map_err(fault(path, "read"))?;
    if text.len() > LONGEST {
        return Err(Error::document(path.display().to_string(), format!("it has more than {LONGEST} bytes")));
    }
    Ok(Secret::new(text))
}

/// Replaces a file, or makes it with a mode: whoever reads sees the old or the new content, also after a crash.
/// What is there keeps its mode; a link stays one, and what it leads to is replaced.
pub fn write(path: &Path, content: &str, mode: u32) -> Result<()> {
    let target = if path.is_symlink() {
        fs::canonicalize(path).map_err(fault(path, "resolved"))?
    } else {
        path.to_path_buf()
    };
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let failed = fault(path, "written");
    let mut file = tempfile::Builder::new().prefix(".freehold-").tempfile_in(directory).map_err(&failed)?;
    file.write_all(content.as_bytes()).map_err(&failed)?;
    set_mode(file.as_file(), &target, mode).map_err(&failed)?;
    file.as_file().sync_all().map_err(&failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    // The name is durable once its directory is.
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(&failed)
}

/// Makes a file that must not be there.
pub fn create(path: &Path, content: &str, mode: u32) -> Result<()> {
    if path.exists() {
        let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(fault(path, "made")(source));
    }
    write(path, content, mode)
}

#[cfg(unix)]
fn set_mode(file: &File, target: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(target).map_or(mode, |metadata| metadata.permissions().mode() & 0o777);
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}

/// A file in a directory of its own that only its owner enters; both go away with this value, and with them whatever
/// an editor left beside.
#[derive(Debug)]
pub struct Private {
    directory: TempDir,
    path: PathBuf,
    is_in_memory: bool,
}

impl Private {
    /// Makes one, in memory where the system has a place for that: `runtime` (`XDG_RUNTIME_DIR`) or `/dev/shm`.
    pub fn create(name: &str, content: &Secret<String>, runtime: Option<&Path>) -> Result<Self> {
        let in_memory = runtime.into_iter().chain([Path::new("/dev/shm")]).find(|place| place.is_dir());
        let base = in_memory.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let mut builder = tempfile::Builder::new();
        builder.prefix("freehold-secrets-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let directory = builder.tempdir_in(&base).map_err(fault(&base, "used for a private file"))?;
        let path = directory.path().join(name);
        write(&path, content.expose(), 0o600)?;
        Ok(Self { directory, path, is_in_memory: in_memory.is_some() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it never reaches a disk.
    pub const fn is_in_memory(&self) -> bool {
        self.is_in_memory
    }

    /// Removes it, and tells when that fails.
    pub fn remove(self) -> Result<()> {
        let path = self.path;
        self.directory.close().map_err(fault(&path, "removed"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn replacing_keeps_mode_and_link_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("a.yaml"), directory.path().join("link"));
        create(&file, "one", 0o600).unwrap();
        assert_eq!(mode(&file), 0o600);
        assert!(create(&file, "two", 0o600).unwrap_err().to_string().contains("a.yaml"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, "three", 0o600).unwrap();
        assert_eq!((read(&file).unwrap().expose().as_str(), mode(&file)), ("three", 0o640));
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        assert!(write(&directory.path().join("no/such"), "x", 0o600).is_err());
    }

    #[test]
    fn a_private_file_is_private_and_goes_away() {
        let runtime = tempfile::tempdir().unwrap();
        let file =
            Private::create("x.yaml", &Secret::new("hunter2".to_owned()), Some(runtime.path())).unwrap();
        assert_eq!((mode(file.path()), mode(file.path().parent().unwrap())), (0o600, 0o700));
        fs::write(file.path().with_extension("swp"), "hunter2").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(runtime.path()).unwrap().count(), 0);
    }
}
