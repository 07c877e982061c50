//! Remembers, away from the pools, which pools this host has made.
//!
//! A directory whose disk is not mounted looks like one that was never used. Without this memory a pool
//! would be begun anew on the disk below, and its machines would start with fresh disks while theirs lie
//! on the one that is missing.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use freehold_types::Id;

use super::files;

/// A directory with one small file for each pool; without a directory nothing is remembered.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Memory {
    directory: Option<PathBuf>,
}

impl Memory {
    pub(in super::super) const fn new(directory: PathBuf) -> Self {
        Self { directory: Some(directory) }
    }

    /// The file that says that the pool was made at this place, if there is one.
    pub(super) fn of(&self, pool: Id, root: &Path) -> io::Result<Option<PathBuf>> {
        let Some(path) = self.path(pool) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(place) => Ok((place == place_of(root)).then_some(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn keep(&self, pool: Id, root: &Path) -> io::Result<()> {
        let (Some(path), Some(directory)) = (self.path(pool), &self.directory) else { return Ok(()) };
        if self.of(pool, root)?.is_some() {
            return Ok(());
        }
        std::fs::create_dir_all(directory)?;
        files::clear_partial(directory, pool)?;
        let mut file = files::partial(directory, pool)?;
        file.write_all(place_of(root))?;
        files::publish(file, &path, 0o600)
    }

    pub(super) fn forget(&self, pool: Id) -> io::Result<()> {
        self.path(pool).map_or(Ok(()), |path| files::remove(&path))
    }

    fn path(&self, pool: Id) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(pool.to_string()))
    }
}

fn place_of(root: &Path) -> &[u8] {
    root.as_os_str().as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_remembered_at_its_place_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::new(directory.path().join("pools"));
        let (pool, place) = (Id::from_u64(1), Path::new("/srv/pool"));
        assert_eq!(memory.of(pool, place).unwrap(), None);
        memory.keep(pool, place).unwrap();
        memory.keep(pool, place).unwrap();
        assert!(memory.of(pool, place).unwrap().is_some());
        assert_eq!(memory.of(pool, Path::new("/srv/other")).unwrap(), None);
        memory.keep(pool, Path::new("/srv/other")).unwrap();
        assert_eq!(memory.of(pool, place).unwrap(), None);
        memory.forget(pool).unwrap();
        memory.forget(pool).unwrap();
        assert_eq!(memory.of(pool, Path::new("/srv/other")).unwrap(), None);
    }

    #[test]
    fn without_a_directory_nothing_is_remembered() {
        let memory = Memory::default();
        memory.keep(Id::from_u64(1), Path::new("/srv/pool")).unwrap();
        assert_eq!(memory.of(Id::from_u64(1), Path::new("/srv/pool")).unwrap(), None);
    }
}
