//! Where things lie in a pool, and what a file's name says. Pure.

use std::path::{Component, Path, PathBuf};

use freehold_types::Id;

/// The paths of one pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below a directory, or what is wrong with its path.
    pub(super) fn new(path: &str) -> Result<Self, &'static str> {
        let root = Path::new(path);
        if !root.is_absolute() {
            return Err("is not absolute: give a path that starts with /");
        }
        if root.components().any(|part| part == Component::ParentDir) {
            return Err("leads upwards: give a path without `..`");
        }
        if path.chars().any(char::is_control) {
            return Err("holds control characters: give a plain path");
        }
        // Collected, so that doubled and trailing slashes are gone.
        let root: PathBuf = root.components().collect();
        if root.parent().is_none() {
            return Err("is the root of the file system: give a directory of its own");
        }
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    pub(super) fn marker(&self) -> PathBuf {
        self.root.join(".freehold-pool")
    }

    pub(super) fn image(&self, id: Id) -> PathBuf {
        self.images().join(format!("{id}.qcow2"))
    }

    /// What is known of an image.
    pub(super) fn record(&self, id: Id) -> PathBuf {
        self.images().join(format!("{id}.json"))
    }

    pub(super) fn volume(&self, id: Id) -> PathBuf {
        self.root.join(format!("{id}.qcow2"))
    }
}

/// How clones name an image: relative to their own directory.
pub(super) fn backing_name(image: Id) -> String {
    format!("images/{image}.qcow2")
}

/// How the names of all unfinished files start.
pub(super) const PARTIAL: &str = ".partial-";

/// How the names of unfinished files for an object start.
pub(super) fn partial_prefix(id: Id) -> String {
    format!("{PARTIAL}{id}.")
}

/// Whose finished disk a file is, by its name.
pub(super) fn disk_of(file_name: &str) -> Option<Id> {
    file_name.strip_suffix(".qcow2")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_cannot_be_pools_are_refused() {
        for wrong in ["", "relative", "/", "//", "/a/../etc", "/a\nb"] {
            assert!(Layout::new(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_clone_finds_its_image_from_its_own_directory() {
        let layout = Layout::new("/srv//pool/").unwrap();
        assert_eq!(layout.root(), Path::new("/srv/pool"));
        let (volume, image) = (layout.volume(Id::from_u64(1)), Id::from_u64(2));
        assert_eq!(volume.parent().unwrap().join(backing_name(image)), layout.image(image));
    }

    #[test]
    fn names_say_whose_disk_a_file_is() {
        assert_eq!(disk_of("000000000000000000000001.qcow2"), Some(Id::from_u64(1)));
        for other in ["debian.qcow2", "000000000000000000000001", ".partial-000000000000000000000001.x", ""] {
            assert_eq!(disk_of(other), None, "{other}");
        }
    }
}
