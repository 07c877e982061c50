//! A full Debian 12 with cloud-init, OpenSSH and the guest agent, made by mmdebstrap.
//!
//! GRUB's modules and menu are on the root, so that kernels are upgraded inside the guest as usual; the
//! loaders in front of them are the same as those of the tiny guest. The recipe is in `images/debian`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::command::{program, run};
use crate::elf::Tree;
use crate::grub::{self, Start};
use crate::result::Inputs;
use crate::system::{find_program, is_root};
use crate::{Built, ImageError, Progress, disk, files, result};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const EFI_SIZE: u64 = 16 * MIB;
/// Packages and their unpacked files need about half of this.
const SMALLEST: u64 = 2 * GIB;
const SUITE: &str = "bookworm";

const PACKAGES: &str = include_str!("../../../../images/debian/packages");
const CUSTOMIZE: &str = include_str!("../../../../images/debian/customize");
const GRUB_EARLY: &str = include_str!("../../../../images/debian/grub-early.cfg");
/// Files of the root that the recipe brings: path and content.
const ROOT: [(&str, &str); 4] = [
    ("etc/fstab", include_str!("../../../../images/debian/fstab")),
    ("etc/cloud/cloud.cfg.d/90_freehold.cfg", include_str!("../../../../images/debian/cloud.cfg")),
    ("etc/default/grub", include_str!("../../../../images/debian/default-grub")),
    ("boot/grub/grub.cfg", include_str!("../../../../images/debian/grub.cfg")),
];
/// What GRUB must have before it reaches the modules on the root.
const GRUB_MODULES: [&str; 6] = ["configfile", "ext2", "linux", "normal", "search", "search_label"];

/// What may be chosen about the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Size of the disk in bytes, rounded up to 1 MiB; a guest on a larger volume grows into it.
    pub virtual_size: u64,
    /// Where to fetch packages from; Debian's own mirrors when absent.
    pub mirror: Option<String>,
    /// Make it again with today's packages, even when the recipe has not changed.
    pub rebuild: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { virtual_size: SMALLEST, mirror: None, rebuild: false }
    }
}

/// Makes the image at `out`, or finds that it is there already, made by the same recipe.
///
/// Takes a few minutes, mostly fetching and compressing. Needs root, since the files of a root file system
/// have many owners; mmdebstrap, qemu-img and room for 3 GiB beside `out` for the time being.
///
/// # Errors
///
/// Without root or mmdebstrap, when packages cannot be fetched, or `out` cannot be written.
pub fn build(out: &Path, options: &Options, progress: Progress<'_>) -> Result<Built, ImageError> {
    let size = options.virtual_size.max(SMALLEST).next_multiple_of(MIB);
    let inputs = Inputs { recipe: recipe_digest(options, size), packages: String::new() };
    if !options.rebuild
        && let Some(built) = result::existing(out, &inputs.recipe, None)
    {
        return Ok(built);
    }
    check_host()?;
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::make_directory(parent)?;
    let work = tempfile::Builder::new()
        .prefix(".freehold-debian-")
        .tempdir_in(parent)
        .map_err(ImageError::file("cannot make a work directory in", parent))?;

    progress("fetching and installing packages");
    let root = work.path().join("root");
    bootstrap(work.path(), &root, options.mirror.as_deref())?;
    for (path, text) in ROOT {
        files::write(&root.join(path), text, 0o644)?;
    }

    progress("making boot loaders");
    let start = Start {
        scripts: [GRUB_EARLY, GRUB_EARLY],
        partition: disk::ROOT_PARTITION,
        modules: [&GRUB_MODULES, &GRUB_MODULES],
    };
    let loaders = grub::loaders(&Tree::new(&root), work.path(), start, disk::CORE_SECTOR)?;

    progress("writing the disk");
    let raw = work.path().join("disk.raw");
    let contents = disk::Contents {
        size,
        efi_size: EFI_SIZE,
        loaders,
        efi_files: BTreeMap::new(),
        root_name: "freehold-root",
        root: &root,
    };
    disk::write(&raw, &contents, program(find_program("mke2fs").unwrap_or_else(|| "mke2fs".into())))?;

    progress("compressing the disk");
    let qcow2 = work.path().join("disk.qcow2");
    disk::to_qcow2(&raw, &qcow2)?;
    result::publish(&qcow2, out, inputs, size)
}

fn check_host() -> Result<(), ImageError> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(ImageError::Unsupported(format!(
            "the Debian image is made for x86_64 and this host is {}: use Debian's cloud image of that architecture",
            std::env::consts::ARCH
        )));
    }
    if !is_root() {
        return Err(ImageError::Unsupported(
            "making the Debian image needs root, since its files belong to many users: run this as root"
                .to_owned(),
        ));
    }
    if find_program("mmdebstrap").is_none() {
        return Err(ImageError::Missing {
            program: "mmdebstrap".to_owned(),
            package: "mmdebstrap".to_owned(),
        });
    }
    Ok(())
}

/// Installs the packages into a directory, by way of an archive: mmdebstrap then needs nothing of the place
/// where the directory is.
fn bootstrap(work: &Path, root: &Path, mirror: Option<&str>) -> Result<(), ImageError> {
    let hook = work.join("customize");
    files::write(&hook, CUSTOMIZE, 0o755)?;
    let archive = work.join("root.tar");
    let mut command = program("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--architectures=amd64", "--mode=root"]);
    command.arg(format!("--include={}", packages().collect::<Vec<_>>().join(",")));
    command.arg("--aptopt=Apt::Install-Recommends \"false\"");
    command.arg(format!("--customize-hook={}", hook.display()));
    command.arg(SUITE).arg(&archive).args(mirror);
    run(&mut command, "mmdebstrap")?;

    files::make_directory(root)?;
    let file = File::open(&archive).map_err(ImageError::file("cannot read", &archive))?;
    let mut extract = program("tar");
    // Devices come from the kernel.
    extract.args([
        "--extract",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "--exclude=./dev/*",
        "--directory",
    ]);
    run(extract.arg(root).stdin(file), "tar")?;
    std::fs::remove_file(&archive).map_err(ImageError::file("cannot remove", &archive))
}

fn packages() -> impl Iterator<Item = &'static str> {
    PACKAGES
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
}

fn recipe_digest(options: &Options, size: u64) -> String {
    let size = size.to_string();
    let mut inputs = vec![env!("CARGO_PKG_VERSION"), SUITE, &size, PACKAGES, CUSTOMIZE, GRUB_EARLY];
    inputs.extend(options.mirror.as_deref());
    inputs.extend(ROOT.iter().flat_map(|(path, text)| [*path, *text]));
    result::digest(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_names_packages() {
        let names: Vec<&str> = packages().collect();
        assert!(names.contains(&"cloud-init") && names.contains(&"linux-image-cloud-amd64"));
        assert!(names.iter().all(|name| !name.contains([' ', ','])), "{names:?}");
        assert!(!names.contains(&"ifupdown"), "cloud-init would prefer it to netplan, and fail");
    }
}
