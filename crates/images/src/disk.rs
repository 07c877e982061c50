//! A disk for both firmwares, written as a plain file: protective master boot record, GPT, BIOS boot
//! partition, EFI system partition, root.
//!
//! The root is the last partition, so that a guest can grow it in place.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::Path;

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{BIOS, EFI, LINUX_FS, Type};

use crate::command::{program, run};
use crate::grub::Loaders;
use crate::{ImageError, files};

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// Begin of the partition that holds GRUB's core image.
const BIOS_START: u64 = MIB;
/// Begin of the EFI system partition.
const EFI_START: u64 = 2 * MIB;
/// What the second copy of the partition table needs at the end.
const TAIL: u64 = MIB;

/// First sector of the BIOS boot partition.
pub(crate) const CORE_SECTOR: u64 = BIOS_START / SECTOR;
/// Number of the EFI system partition.
pub(crate) const EFI_PARTITION: u32 = 2;
/// Number of the root partition.
pub(crate) const ROOT_PARTITION: u32 = 3;

/// What a disk is made of.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    /// Size of the whole disk in bytes, a multiple of 1 MiB.
    pub size: u64,
    /// Size of the EFI system partition in bytes, a multiple of 1 MiB.
    pub efi_size: u64,
    pub loaders: Loaders,
    /// Files of the EFI system partition by path, besides the loader.
    pub efi_files: BTreeMap<String, Vec<u8>>,
    /// Name of the root partition in the partition table, and label of its file system.
    pub root_name: &'a str,
    /// Directory that becomes the root file system.
    pub root: &'a Path,
}

/// Writes the disk as a sparse raw file. `mke2fs` is the command to make the root file system with.
pub(crate) fn write(
    path: &Path,
    contents: &Contents<'_>,
    mke2fs: std::process::Command,
) -> Result<(), ImageError> {
    let cannot_write = || ImageError::file("cannot write the disk", path);
    let root_start = EFI_START + contents.efi_size;
    let root_size =
        contents.size.checked_sub(root_start + TAIL).filter(|size| *size >= 16 * MIB).ok_or_else(|| {
            ImageError::Unsupported(format!(
                "a disk of {} MiB is too small for the image",
                contents.size / MIB
            ))
        })?;
    if contents.loaders.core.len() as u64 > EFI_START - BIOS_START {
        return Err(ImageError::Content("GRUB's core image is larger than 1 MiB".to_owned()));
    }

    let mut file =
        OpenOptions::new().create_new(true).read(true).write(true).open(path).map_err(cannot_write())?;
    file.set_len(contents.size).map_err(cannot_write())?;
    let partitions = [
        ("freehold-bios", BIOS, BIOS_START, EFI_START - BIOS_START),
        ("freehold-efi", EFI, EFI_START, contents.efi_size),
        (contents.root_name, LINUX_FS, root_start, root_size),
    ];
    write_table(&mut file, contents, &partitions)
        .map_err(|error| ImageError::Content(format!("cannot write the partition table: {error}")))?;
    let efi = efi_partition(contents)?;
    for (offset, data) in
        [(0, &contents.loaders.boot_code), (BIOS_START, &contents.loaders.core), (EFI_START, &efi)]
    {
        write_sparse(&mut file, offset, data).map_err(cannot_write())?;
    }
    file.sync_all().map_err(cannot_write())?;
    drop(file);
    make_root(path, contents, mke2fs, root_start, root_size)
}

fn write_table(
    file: &mut File,
    contents: &Contents<'_>,
    partitions: &[(&str, Type, u64, u64)],
) -> Result<(), Box<dyn std::error::Error>> {
    let last_sector = u32::try_from(contents.size / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(last_sector).overwrite_lba0(file)?;
    let mut table = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(&mut *file, None)?;
    for (name, kind, start, size) in partitions {
        table.add_partition_at(
            name,
            table.find_next_partition_id().unwrap_or(1),
            start / SECTOR,
            size / SECTOR,
            kind.clone(),
            0,
        )?;
    }
    table.write()?;
    Ok(())
}

/// A FAT file system with the loader and the given files.
fn efi_partition(contents: &Contents<'_>) -> Result<Vec<u8>, ImageError> {
    let size = usize::try_from(contents.efi_size)
        .map_err(|_| ImageError::Unsupported("the EFI partition is too large for this host".to_owned()))?;
    let mut storage = Cursor::new(vec![0; size]);
    fill_fat(&mut storage, contents)
        .map_err(|error| ImageError::Content(format!("cannot fill the EFI partition: {error}")))?;
    Ok(storage.into_inner())
}

fn fill_fat(storage: &mut Cursor<Vec<u8>>, contents: &Contents<'_>) -> std::io::Result<()> {
    fatfs::format_volume(&mut *storage, FormatVolumeOptions::new().volume_label(*b"FREEHOLD   "))?;
    storage.set_position(0);
    let volume = FileSystem::new(storage, FsOptions::new())?;
    {
        let root = volume.root_dir();
        root.create_dir("EFI")?
            .create_dir("BOOT")?
            .create_file("BOOTX64.EFI")?
            .write_all(&contents.loaders.efi)?;
        for (path, data) in &contents.efi_files {
            root.create_file(path)?.write_all(data)?;
        }
    }
    volume.unmount()
}

fn write_sparse(file: &mut File, offset: u64, data: &[u8]) -> std::io::Result<()> {
    const BLOCK: usize = 64 << 10;
    for (index, block) in data.chunks(BLOCK).enumerate() {
        if block.iter().any(|&byte| byte != 0) {
            file.seek(SeekFrom::Start(offset + (index * BLOCK) as u64))?;
            file.write_all(block)?;
        }
    }
    Ok(())
}

fn make_root(
    path: &Path,
    contents: &Contents<'_>,
    mut mke2fs: std::process::Command,
    start: u64,
    size: u64,
) -> Result<(), ImageError> {
    mke2fs.args(["-q", "-F", "-t", "ext4", "-m", "1", "-L", contents.root_name]);
    mke2fs.args(["-E", &format!("offset={start},root_owner=0:0"), "-d"]).arg(contents.root);
    run(mke2fs.arg(path).arg(format!("{}k", size / 1024)), "e2fsprogs").map(drop)
}

/// Converts the raw disk to a compressed qcow2 file.
pub(crate) fn to_qcow2(raw: &Path, qcow2: &Path) -> Result<(), ImageError> {
    let mut command = program("qemu-img");
    command.args([
        "convert",
        "-c",
        "-W",
        "-m",
        "4",
        "-f",
        "raw",
        "-O",
        "qcow2",
        "-o",
        "compression_type=zstd",
    ]);
    run(command.arg(raw).arg(qcow2), "qemu-utils")?;
    files::set_mode(qcow2, 0o644)
}
