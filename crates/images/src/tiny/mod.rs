//! The tiny guest: Linux, busybox, an SSH server and a reader of NoCloud seeds, in one small bootable disk.
//!
//! Made in seconds from the host's own distribution. What the guest does with a seed, and what it says on
//! its serial console, is in `images/README.md`; its scripts are in `images/tiny`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::apt::Apt;
use crate::elf::Tree;
use crate::grub::{self, Start};
use crate::result::Inputs;
use crate::{Built, ImageError, OsRelease, Progress, Supported, command, disk, files, result};

mod initramfs;
mod modules;
mod recipe;
mod root;

const MIB: u64 = 1 << 20;
const EFI_SIZE: u64 = 40 * MIB;
const SMALLEST: u64 = 192 * MIB;

/// Packages of every supported release that the guest and its boot loaders are taken from.
const PACKAGES: [&str; 15] = [
    "bash",
    "busybox-static",
    "dropbear-bin",
    "e2fsprogs",
    "fdisk",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "libc6",
    "libpam-modules",
    "lua-yaml",
    "lua5.4",
    "opendoas",
    "openssh-sftp-server",
    "util-linux",
];

/// What may be chosen about the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Size of the disk in bytes, rounded up to 1 MiB; a guest on a larger volume grows into it.
    pub virtual_size: u64,
    /// Make it again even when nothing has changed.
    pub rebuild: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { virtual_size: 256 * MIB, rebuild: false }
    }
}

/// Makes the image at `out`, or finds that it is there already, made from the same packages and recipe.
///
/// Needs apt, dpkg-deb and qemu-img, and room for 300 MiB beside `out` for the time being; needs no root,
/// and installs nothing.
///
/// # Errors
///
/// When the host is of another kind, packages cannot be fetched, or `out` cannot be written.
pub fn build(out: &Path, options: Options, progress: Progress<'_>) -> Result<Built, ImageError> {
    let size = options.virtual_size.max(SMALLEST).next_multiple_of(MIB);
    let release = OsRelease::of_host()?;
    let kernel = kernel_package(&release)?;
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::make_directory(parent)?;
    let work = tempfile::Builder::new()
        .prefix(".freehold-tiny-")
        .tempdir_in(parent)
        .map_err(ImageError::file("cannot make a work directory in", parent))?;

    progress("looking up packages");
    let mut apt = Apt::new(work.path())?;
    let mut names = PACKAGES.to_vec();
    names.push(kernel);
    let recipe = recipe_digest(size);
    let known = apt.resolve(&names);
    // A host that has forgotten its package lists, or is off the network, still has its image.
    if known.is_err()
        && !options.rebuild
        && let Some(built) = result::existing(out, &recipe, None)
    {
        return Ok(built);
    }
    let resolved = known.or_else(|_| {
        progress("fetching package lists");
        apt.update()?;
        apt.resolve(&names)
    })?;
    let packages =
        resolved.packages.iter().flat_map(|package| [package.file.as_str(), package.checksum.as_str()]);
    let inputs = Inputs { recipe, packages: result::digest(packages) };
    if !options.rebuild
        && let Some(built) = result::existing(out, &inputs.recipe, Some(&inputs.packages))
    {
        return Ok(built);
    }

    progress("fetching and unpacking packages");
    let unpacked = work.path().join("tree");
    apt.unpack(&resolved, &unpacked)?;
    let tree = Tree::new(&unpacked);

    progress("assembling the guest");
    let kernel = modules::Kernel::open(&unpacked)?;
    let selection = kernel.select(&modules::parse_list(recipe::MODULES)?)?;
    let root = work.path().join("root");
    root::assemble(&tree, &selection, &root)?;
    let efi_files = BTreeMap::from([
        ("vmlinuz".to_owned(), kernel.image()?),
        ("initrd".to_owned(), initramfs::make(&tree, &selection)?),
    ]);

    progress("making boot loaders");
    // The 16-bit protocol copies the file only, not the much larger space that it unpacks into: seconds under TCG.
    let start = Start {
        scripts: [recipe::GRUB_BIOS, recipe::GRUB_EFI],
        partition: disk::EFI_PARTITION,
        modules: [&["fat", "linux16"], &["fat", "linux"]],
    };
    let loaders = grub::loaders(&tree, work.path(), start, disk::CORE_SECTOR)?;

    progress("writing the disk");
    let raw = work.path().join("disk.raw");
    let contents = disk::Contents {
        size,
        efi_size: EFI_SIZE,
        loaders,
        efi_files,
        root_name: "freehold-root",
        root: &root,
    };
    let mut mke2fs = tree.command("mke2fs")?;
    mke2fs.env("MKE2FS_CONFIG", tree.find("etc/mke2fs.conf")?);
    disk::write(&raw, &contents, mke2fs)?;

    progress("compressing the disk");
    let qcow2 = work.path().join("disk.qcow2");
    disk::to_qcow2(&raw, &qcow2)?;
    result::publish(&qcow2, out, inputs, size)
}

/// Everything that decides what the image is like, apart from the packages.
fn recipe_digest(size: u64) -> String {
    let size = size.to_string();
    let mut inputs = vec![env!("CARGO_PKG_VERSION"), recipe::LAYOUT, &size];
    inputs.extend(recipe::all());
    result::digest(inputs)
}

/// The release's kernel for virtual machines.
fn kernel_package(release: &OsRelease) -> Result<&'static str, ImageError> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(ImageError::Unsupported(format!(
            "the tiny image is made for x86_64 and this host is {}: use a cloud image of that architecture",
            std::env::consts::ARCH
        )));
    }
    match release.supported() {
        Some(Supported::Debian12 | Supported::Debian13) => Ok("linux-image-cloud-amd64"),
        Some(Supported::Ubuntu2404) => Ok("linux-image-virtual"),
        None => Err(ImageError::Unsupported(format!(
            "the tiny image is made on Debian 12, Debian 13 or Ubuntu 24.04, and this host is {release}: make it \
             there and copy the file, or use any cloud image by its URL"
        ))),
    }
}

/// Decompresses a file by its ending.
fn decompress(path: &Path) -> Result<Vec<u8>, ImageError> {
    let data = files::read(path)?;
    let mut plain = Vec::new();
    let outcome = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => {
            std::io::copy(&mut liblzma::read::XzDecoder::new(data.as_slice()), &mut plain).map(drop)
        }
        Some("zst") => zstd::stream::copy_decode(data.as_slice(), &mut plain),
        _ => return Ok(data),
    };
    outcome.map_err(ImageError::file("cannot decompress", path))?;
    Ok(plain)
}

/// The applets of the packaged busybox.
fn applets(busybox: &Path) -> Result<Vec<String>, ImageError> {
    let list = command::run(command::program(busybox).arg("--list"), "busybox-static")?;
    Ok(list.lines().map(str::to_owned).collect())
}
