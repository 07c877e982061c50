//! The initial file system: busybox, the modules that reach the root disk, and the script that goes there.

use std::io::Write;

use cpio::newc::Builder;

use super::modules::Selection;
use super::{applets, recipe};
use crate::elf::Tree;
use crate::{ImageError, files};

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
/// Decompression speed does not depend on it; much higher costs seconds for a few kilobytes.
const ZSTD_LEVEL: i32 = 15;

/// Makes the archive, compressed.
pub(super) fn make(tree: &Tree, selection: &Selection) -> Result<Vec<u8>, ImageError> {
    let busybox = tree.program("busybox")?;
    let mut archive = Archive { bytes: Vec::new(), inode: 0 };
    let failed =
        |error: std::io::Error| ImageError::Content(format!("cannot make the initial file system: {error}"));

    for directory in ["bin", "dev", "modules", "proc", "root", "spare", "sys"] {
        archive.add(directory, DIRECTORY, b"").map_err(failed)?;
    }
    archive.add("init", FILE, recipe::INIT.as_bytes()).map_err(failed)?;
    archive.add("bin/busybox", FILE, &files::read(&busybox)?).map_err(failed)?;
    for applet in applets(&busybox)?.iter().filter(|applet| *applet != "busybox") {
        archive.add(&format!("bin/{applet}"), LINK, b"busybox").map_err(failed)?;
    }
    for (directory, names) in [("modules", &selection.boot), ("spare", &selection.spare)] {
        for (index, name) in names.iter().enumerate() {
            if let Some(module) = selection.modules.get(name) {
                // The shell's order of names is the order of loading.
                archive.add(&format!("{directory}/{index:03}-{name}"), FILE, &module.data).map_err(failed)?;
            }
        }
    }
    let archive = cpio::newc::trailer(archive.bytes).map_err(failed)?;
    zstd::bulk::compress(&archive, ZSTD_LEVEL).map_err(failed)
}

struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len()).map_err(std::io::Error::other)?;
        let builder = Builder::new(name).ino(self.inode).uid(0).gid(0).mode(mode).nlink(1);
        let mut writer = builder.write(&mut self.bytes, size);
        writer.write_all(content)?;
        writer.finish().map(drop)
    }
}
