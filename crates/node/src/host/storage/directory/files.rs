//! Small steps on files, each of which can be repeated after a crash.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use freehold_types::Id;
use tempfile::NamedTempFile;

use super::layout::{self, disk_of};
use crate::host::HostError;

/// An error of the file system, as one of the host, with the remedy where it is known.
#[expect(clippy::wildcard_enum_match_arm, reason = "the list of kinds is long and open")]
pub(super) fn failure(subject: String, path: PathBuf) -> impl FnOnce(io::Error) -> HostError {
    move |error| {
        let remedy = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ": make room on the disk of the pool",
            ErrorKind::ReadOnlyFilesystem => ": mount the disk of the pool writable",
            ErrorKind::PermissionDenied => ": let the node write there",
            ErrorKind::NotFound => ": see that the disk of the pool is mounted",
            _ => "",
        };
        HostError::Failed(format!("{subject}: {}: {error}{remedy}", path.display()))
    }
}

/// An unfinished file, removed when dropped.
pub(super) fn partial(directory: &Path, id: Id) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(&layout::partial_prefix(id)).tempfile_in(directory)
}

/// Removes what a call for the object left behind when it was cut off by a crash.
pub(super) fn clear_partial(directory: &Path, id: Id) -> io::Result<()> {
    clear(directory, &layout::partial_prefix(id))
}

/// Removes all unfinished files; only for a pool that nothing is made in any more.
pub(super) fn clear_all_partial(directory: &Path) -> io::Result<()> {
    clear(directory, layout::PARTIAL)
}

fn clear(directory: &Path, prefix: &str) -> io::Result<()> {
    for name in names(directory)?.iter().filter(|name| name.starts_with(prefix)) {
        remove(&directory.join(name))?;
    }
    Ok(())
}

/// Gives an unfinished file its final name, once all of it is on disk.
pub(super) fn publish(file: NamedTempFile, target: &Path, mode: u32) -> io::Result<()> {
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    // Opened anew, since `qemu-img` may have put another file in its place.
    File::open(file.path())?.sync_all()?;
    file.persist(target).map_err(|error| error.error)?;
    sync_parent(target)
}

/// Makes the names in the directory of a path durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Removes a file for good; one that is not there is removed already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a directory that is empty; leaves one that is not, or that a disk is mounted on.
pub(super) fn remove_if_empty(path: &Path) -> io::Result<()> {
    use ErrorKind::{DirectoryNotEmpty, NotFound, ResourceBusy};
    match std::fs::remove_dir(path) {
        Err(error) if matches!(error.kind(), NotFound | DirectoryNotEmpty | ResourceBusy) => Ok(()),
        other => other,
    }
}

/// The disks of ours in a directory; none when it is not there.
pub(super) fn disks(directory: &Path) -> io::Result<Vec<Id>> {
    let mut disks: Vec<Id> = names(directory)?.iter().filter_map(|name| disk_of(name)).collect();
    disks.sort_unstable();
    Ok(disks)
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    // Names that are not text are none of ours.
    entries.filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose()).collect()
}
