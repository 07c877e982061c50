//! The seed of a machine: its `NoCloud` texts as a small ISO image in a file of its own.
//!
//! Promises: the file holds the whole seed or the one before, never a part; it is readable by its owner
//! only (libvirt hands it to QEMU while the machine runs); it is written only when its content changes.
//! These calls block.

pub mod iso;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use freehold_types::Id;
use freehold_types::agent::Seed;

/// Label by which cloud-init finds the seed.
const LABEL: &str = "cidata";

/// File of a machine's seed.
pub fn path(state_directory: &Path, id: Id) -> PathBuf {
    state_directory.join("seeds").join(format!("{id}.iso"))
}

/// The seed as an image. No network configuration leaves the file out, so that the guest uses its own.
///
/// # Errors
/// A text is larger than ISO 9660 can hold.
pub fn render(seed: &Seed) -> Result<Vec<u8>, iso::Unfit> {
    let mut files = vec![
        ("meta-data", seed.meta_data.expose().as_bytes()),
        ("user-data", seed.user_data.expose().as_bytes()),
    ];
    if !seed.network_config.expose().is_empty() {
        files.push(("network-config", seed.network_config.expose().as_bytes()));
    }
    iso::image(LABEL, &files)
}

/// Makes the machine's file hold this image. True when it had to be written.
///
/// # Errors
/// The file system refused; the error names the path.
pub fn write(state_directory: &Path, id: Id, image: &[u8]) -> io::Result<bool> {
    let path = path(state_directory, id);
    match std::fs::read(&path) {
        Ok(held) if held == image => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(&path, &error)),
    }
    let directory = state_directory.join("seeds");
    make_passable(&directory)?;
    // One name per machine, so that a crash leaves at most one, and the next write takes it over.
    let temporary = directory.join(format!(".{id}.iso.new"));
    replace(&temporary, &path, image).map_err(|error| at(&path, &error))?;
    File::open(&directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| at(&directory, &error))?;
    Ok(true)
}

/// Removes the machine's file; absent is fine.
///
/// # Errors
/// The file system refused; the error names the path.
pub fn remove(state_directory: &Path, id: Id) -> io::Result<()> {
    let path = path(state_directory, id);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path, &error)),
        _ => Ok(()),
    }
}

/// Makes a directory that QEMU's user can pass through, but not list.
///
/// # Errors
/// The file system refused; the error names the path.
pub fn make_passable(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o711).create(directory).map_err(|error| at(directory, &error))
}

fn replace(temporary: &Path, path: &Path, image: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(image)?;
    file.sync_all()?;
    std::fs::rename(temporary, path)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use freehold_types::Secret;

    use super::*;

    fn seed(user_data: &str, network_config: &str) -> Seed {
        Seed {
            user_data: Secret::new(user_data.to_owned()),
            meta_data: Secret::new("instance-id: 1\n".to_owned()),
            network_config: Secret::new(network_config.to_owned()),
        }
    }

    #[test]
    fn is_written_once_per_content_and_closed_to_others() {
        let state = tempfile::tempdir().unwrap();
        let id = Id::from_u64(1);
        let one = render(&seed("#cloud-config\n", "version: 2\n")).unwrap();
        assert!(write(state.path(), id, &one).unwrap());
        assert!(!write(state.path(), id, &one).unwrap());
        let two = render(&seed("#cloud-config\n{}\n", "version: 2\n")).unwrap();
        assert!(write(state.path(), id, &two).unwrap());
        let file = path(state.path(), id);
        assert_eq!(std::fs::read(&file).unwrap(), two);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        remove(state.path(), id).unwrap();
        remove(state.path(), id).unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn no_network_configuration_is_no_file() {
        let with = render(&seed("", "version: 2\n")).unwrap();
        let without = render(&seed("", "")).unwrap();
        let holds = |image: &[u8]| image.windows(14).any(|bytes| bytes == b"network-config");
        assert!(holds(&with) && !holds(&without));
    }
}
