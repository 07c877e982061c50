//! The pool itself: its directory, whose it is, and how full.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use freehold_types::Id;
use freehold_types::agent::Detail;
use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};

use super::{Directory, files};
use crate::host::HostError;

/// Everyone may pass through, only the owner may list.
const MODE: u32 = 0o711;

/// What the marker in a pool's directory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    pool: Id,
    /// The directory was made for the pool, so it goes with it.
    made: bool,
}

impl Directory {
    /// Makes the directory, or sees that it can be used.
    pub(super) fn prepare(&self) -> Result<Detail, HostError> {
        let root = self.layout.root();
        let marker = self.layout.marker();
        match self.marker()? {
            Some(marker) if marker.pool == self.id => {}
            Some(other) => return Err(self.taken(other.pool)),
            None => {
                self.check_memory()?;
                let made = make_directory(root).map_err(self.io(root))?;
                let text = serde_json::to_vec(&Marker { pool: self.id, made })
                    .map_err(|error| HostError::Failed(format!("{}: {error}", self.subject)))?;
                self.write_marker(&text).map_err(self.io(&marker))?;
            }
        }
        let images = self.layout.images();
        make_directory(&images).map_err(self.io(&images))?;
        // Writing is the one true test of being allowed to.
        tempfile::tempfile_in(&images)
            .and_then(|mut file| file.write_all(&[0; 4096]))
            .map_err(self.io(&images))?;
        self.shared.memory.keep(self.id, root).map_err(self.io(root))?;
        self.capacity()
    }

    /// Sees that the directory is that of the pool, before anything new is put into it.
    pub(super) fn require_ready(&self) -> Result<(), HostError> {
        match self.marker()? {
            Some(marker) if marker.pool == self.id => Ok(()),
            Some(other) => Err(self.taken(other.pool)),
            None => Err(HostError::Failed(format!(
                "{} is not ready: {} is missing; see that the disk of the pool is mounted",
                self.subject,
                self.layout.marker().display()
            ))),
        }
    }

    /// Sees that a directory without a marker is not one whose disk is missing.
    fn check_memory(&self) -> Result<(), HostError> {
        let root = self.layout.root();
        match self.shared.memory.of(self.id, root).map_err(self.io(root))? {
            None => Ok(()),
            Some(memory) => Err(HostError::Failed(format!(
                "{}: {} was made here before and is missing now: mount the disk of the pool, or, if all in it is given up, remove {}",
                self.subject,
                self.layout.marker().display(),
                memory.display()
            ))),
        }
    }

    /// Removes what [`Self::prepare`] made, if no disk is left in it.
    pub(super) fn dissolve(&self) -> Result<(), HostError> {
        let root = self.layout.root();
        let Some(marker) = self.marker()?.filter(|marker| marker.pool == self.id) else {
            return self.check_memory();
        };
        let images = self.layout.images();
        let mut left = files::disks(root).map_err(self.io(root))?;
        left.extend(files::disks(&images).map_err(self.io(&images))?);
        if !left.is_empty() {
            let names: Vec<String> = left.iter().map(Id::to_string).collect();
            return Err(HostError::Failed(format!(
                "{}: {} still holds {}: remove these volumes and images first",
                self.subject,
                root.display(),
                names.join(", ")
            )));
        }
        for directory in [images.as_path(), root] {
            files::clear_all_partial(directory).map_err(self.io(directory))?;
        }
        files::remove_if_empty(&images).map_err(self.io(&images))?;
        // In this order, so that a pool whose removal was cut off is not taken for one that is missing.
        self.shared.memory.forget(self.id).map_err(self.io(root))?;
        files::remove(&self.layout.marker()).map_err(self.io(root))?;
        if marker.made {
            files::remove_if_empty(root).map_err(self.io(root))?;
        }
        Ok(())
    }

    fn write_marker(&self, text: &[u8]) -> io::Result<()> {
        let root = self.layout.root();
        files::clear_partial(root, self.id)?;
        let mut file = files::partial(root, self.id)?;
        file.write_all(text)?;
        files::publish(file, &self.layout.marker(), 0o600)
    }

    fn marker(&self) -> Result<Option<Marker>, HostError> {
        let path = self.layout.marker();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(&path)(error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            HostError::Refused(format!(
                "{}: {} cannot be read ({error}): remove it, if no other pool uses the directory",
                self.subject,
                path.display()
            ))
        })
    }

    fn taken(&self, other: Id) -> HostError {
        HostError::Refused(format!(
            "{}: {} belongs to pool {other}: give each pool a directory of its own, or, if that pool is no more, remove {}",
            self.subject,
            self.layout.root().display(),
            self.layout.marker().display()
        ))
    }

    fn capacity(&self) -> Result<Detail, HostError> {
        let root = self.layout.root();
        let found = statvfs(root).map_err(|error| self.io(root)(error.into()))?;
        let unit = found.fragment_size();
        let capacity = found.blocks().saturating_mul(unit);
        Ok(Detail::Pool {
            capacity,
            allocated: capacity.saturating_sub(found.blocks_free().saturating_mul(unit)),
            available: found.blocks_available().saturating_mul(unit),
        })
    }
}

/// Makes a directory with those above it; false when it was there.
fn make_directory(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(false),
        Ok(_) => return Err(io::Error::new(ErrorKind::NotADirectory, "it is not a directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    DirBuilder::new().recursive(true).mode(MODE).create(path)?;
    // The process may run with a mask that takes the bits away.
    std::fs::set_permissions(path, Permissions::from_mode(MODE))?;
    files::sync_parent(path)?;
    Ok(true)
}
