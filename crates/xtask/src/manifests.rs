//! What the manifests say, read by cargo itself.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// The workspace's own crates, with what their manifests ask for.
pub(crate) fn own(root: &Path) -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo cannot read the manifests; its message stands above")
}

/// Every crate of the lockfile.
pub(crate) fn all(root: &Path) -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .context("cargo cannot read the dependencies; its message stands above")
}
