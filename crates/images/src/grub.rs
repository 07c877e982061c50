//! GRUB for both firmwares, placed by hand: no `grub-install`, hence no mounted file system and no loop device.
//!
//! Under legacy BIOS the boot sector loads the core image from a partition of its own by sector number;
//! both hold that number, which is patched in here as `grub-bios-setup` does. Under UEFI the core image is
//! the removable-media loader of the EFI system partition.

use std::path::Path;

use crate::command::run;
use crate::elf::Tree;
use crate::{ImageError, files};

const SECTOR: usize = 512;
/// Offsets in the boot sector: where the core image begins, and a check of the drive number.
const KERNEL_SECTOR: usize = 0x5c;
const DRIVE_CHECK: usize = 0x66;
/// Code of the boot sector ends where the partition table of old begins.
const BOOT_CODE: usize = 440;
/// Offsets in the first sector of the core image: the block list's only entry.
const BLOCK_START: usize = SECTOR - 12;
const BLOCK_LENGTH: usize = SECTOR - 4;

const BIOS_MODULES: [&str; 2] = ["biosdisk", "part_gpt"];
const EFI_MODULES: [&str; 1] = ["part_gpt"];

/// How GRUB goes on once it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    /// Commands that are built into the image and run first, under BIOS and under UEFI.
    pub scripts: [&'a str; 2],
    /// Number of the partition, on the disk that was booted, that the script's paths are on.
    pub partition: u32,
    /// Modules beyond those for the disk and its partitions: file systems and commands, under BIOS and under UEFI.
    pub modules: [&'a [&'a str]; 2],
}

/// The loaders, ready to be written to a disk.
#[derive(Debug)]
pub(crate) struct Loaders {
    /// For the first bytes of the disk.
    pub boot_code: Vec<u8>,
    /// For the BIOS boot partition.
    pub core: Vec<u8>,
    /// For `/EFI/BOOT/BOOTX64.EFI`.
    pub efi: Vec<u8>,
}

/// Makes the loaders with the programs of `tree`. `core_sector` is where the BIOS boot partition begins.
pub(crate) fn loaders(
    tree: &Tree,
    work: &Path,
    start: Start<'_>,
    core_sector: u64,
) -> Result<Loaders, ImageError> {
    // Under BIOS only the drive is known; under UEFI the partition is the one that the loader came from.
    let bios = Image {
        format: "i386-pc",
        prefix: &format!("(,gpt{})/boot/grub", start.partition),
        script: start.scripts[0],
        modules: [&BIOS_MODULES, start.modules[0]],
    };
    let efi = Image {
        format: "x86_64-efi",
        prefix: "/boot/grub",
        script: start.scripts[1],
        modules: [&EFI_MODULES, start.modules[1]],
    };
    let (core, efi) = (bios.make(tree, work)?, efi.make(tree, work)?);
    let boot = files::read(&tree.find("usr/lib/grub/i386-pc/boot.img")?)?;
    let (boot_code, core) = chain(boot, core, core_sector).ok_or_else(|| {
        ImageError::Content("GRUB's boot sector or core image is not as expected".to_owned())
    })?;
    Ok(Loaders { boot_code, core, efi })
}

/// One core image.
struct Image<'a> {
    format: &'a str,
    prefix: &'a str,
    script: &'a str,
    modules: [&'a [&'a str]; 2],
}

impl Image<'_> {
    fn make(&self, tree: &Tree, work: &Path) -> Result<Vec<u8>, ImageError> {
        let script = work.join(format!("grub-{}.cfg", self.format));
        files::write(&script, self.script, 0o644)?;
        let output = work.join(format!("grub-{}", self.format));
        let mut command = tree.command("grub-mkimage")?;
        command.arg("--directory").arg(tree.find(&format!("usr/lib/grub/{}", self.format))?);
        command.args(["--format", self.format, "--prefix", self.prefix]);
        command.arg("--config").arg(&script).arg("--output").arg(&output).args(self.modules.concat());
        run(&mut command, "grub-common")?;
        files::read(&output)
    }
}

/// Writes into boot sector and core image where the core image is. `None` when they are not what they should be.
fn chain(mut boot: Vec<u8>, mut core: Vec<u8>, core_sector: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    if boot.len() != SECTOR || core.len() <= SECTOR {
        return None;
    }
    boot.get_mut(KERNEL_SECTOR..KERNEL_SECTOR + 8)?.copy_from_slice(&core_sector.to_le_bytes());
    // Two no-operations: some firmwares name the drive wrongly, and then the first hard disk is meant.
    boot.get_mut(DRIVE_CHECK..DRIVE_CHECK + 2)?.copy_from_slice(&[0x90, 0x90]);
    boot.truncate(BOOT_CODE);

    core.resize(core.len().next_multiple_of(SECTOR), 0);
    let rest = u16::try_from(core.len() / SECTOR - 1).ok()?;
    core.get_mut(BLOCK_START..BLOCK_START + 8)?.copy_from_slice(&(core_sector + 1).to_le_bytes());
    core.get_mut(BLOCK_LENGTH..BLOCK_LENGTH + 2)?.copy_from_slice(&rest.to_le_bytes());
    Some((boot, core))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sector_numbers_are_patched_in() {
        let (boot, core) = chain(vec![0; 512], vec![0; 1300], 2048).unwrap();
        assert_eq!(boot.len(), 440);
        assert_eq!(boot[0x5c..0x64], 2048_u64.to_le_bytes());
        assert_eq!(core.len(), 1536);
        assert_eq!(core[500..508], 2049_u64.to_le_bytes());
        assert_eq!(core[508..510], 2_u16.to_le_bytes());
    }

    #[test]
    fn odd_images_are_refused() {
        assert!(chain(vec![0; 511], vec![0; 1300], 1).is_none());
        assert!(chain(vec![0; 512], vec![0; 512], 1).is_none());
    }
}
