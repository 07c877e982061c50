//! The root file system of the guest, as a directory.
//!
//! All programs share one directory (`/bin`, `/sbin` and `/usr/sbin` are links to `/usr/bin`); a program of
//! a package wins over the busybox applet of its name.

use std::path::{Path, PathBuf};

use super::modules::Selection;
use super::{applets, recipe};
use crate::elf::Tree;
use crate::{ImageError, files};

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Programs taken from packages, for `/usr/bin`.
const PROGRAMS: [&str; 11] = [
    "bash",
    "blkid",
    "doas",
    "dropbear",
    "dropbearkey",
    "e2fsck",
    "lua5.4",
    "mke2fs",
    "partx",
    "resize2fs",
    "sfdisk",
];

/// What the SSH server runs for `scp` and `sftp`.
const SFTP_SERVER: &str = "usr/lib/openssh/sftp-server";

/// Modules that programs load at run time, by the place where they look.
const PLUGINS: [&str; 2] =
    ["lib/x86_64-linux-gnu/security/pam_permit.so", "usr/lib/x86_64-linux-gnu/lua/5.4/yaml.so"];

const LUA_LIBRARY: &str = "usr/share/lua/5.4/lyaml";

/// Makes the directory.
pub(super) fn assemble(tree: &Tree, selection: &Selection, root: &Path) -> Result<(), ImageError> {
    make_skeleton(root)?;
    copy_programs(tree, root)?;
    for (path, mode, text) in recipe::ROOT {
        files::write(&root.join(path), text, mode)?;
    }
    let modules = root.join("usr/lib/modules").join(&selection.version);
    for module in selection.modules.values() {
        files::write(&modules.join(&module.path), &module.data, 0o644)?;
    }
    files::write(&modules.join("modules.dep"), selection.modules_dep(), 0o644)?;
    files::write(&modules.join("modules.alias"), selection.modules_alias(), 0o644)?;
    files::write(&root.join("etc/modules"), selection.start.join(" ") + "\n", 0o644)
}

fn make_skeleton(root: &Path) -> Result<(), ImageError> {
    let directories = [
        "dev",
        "etc/dropbear",
        "home",
        "mnt",
        "proc",
        "root",
        "run",
        "srv",
        "sys",
        "tmp",
        "usr/bin",
        "usr/lib64",
        "var/lib/freehold",
        "var/log",
        "var/tmp",
        LIBRARIES,
    ];
    for directory in directories {
        files::make_directory(&root.join(directory))?;
    }
    for (mode, path) in [(0o1777, "tmp"), (0o1777, "var/tmp"), (0o700, "root")] {
        files::set_mode(&root.join(path), mode)?;
    }
    let links = [
        ("usr/bin", "bin"),
        ("usr/bin", "sbin"),
        ("bin", "usr/sbin"),
        ("usr/lib", "lib"),
        ("usr/lib64", "lib64"),
        ("../run", "var/run"),
        ("../proc/mounts", "etc/mtab"),
        ("openssh/sftp-server", "usr/lib/sftp-server"),
    ];
    links.iter().try_for_each(|(target, path)| files::link(target, &root.join(path)))
}

fn copy_programs(tree: &Tree, root: &Path) -> Result<(), ImageError> {
    let mut linked = Vec::new();
    for name in PROGRAMS {
        let source = tree.program(name)?;
        let mode = if name == "doas" { 0o4755 } else { 0o755 };
        files::write(&root.join("usr/bin").join(name), files::read(&source)?, mode)?;
        linked.push(source);
    }
    let sftp_server = tree.find(SFTP_SERVER)?;
    files::write(&root.join(SFTP_SERVER), files::read(&sftp_server)?, 0o755)?;
    linked.push(sftp_server);
    for path in PLUGINS {
        let source = tree.find(path)?;
        let below = path.split_once("x86_64-linux-gnu/").map_or(path, |(_, below)| below);
        files::write(&root.join(LIBRARIES).join(below), files::read(&source)?, 0o644)?;
        linked.push(source);
    }
    for (name, source) in tree.libraries_of(&linked)? {
        files::write(&root.join(LIBRARIES).join(name), files::read(&source)?, 0o755)?;
    }
    files::write(&root.join("usr/lib64/ld-linux-x86-64.so.2"), files::read(&tree.loader()?)?, 0o755)?;
    copy_directory(&tree.find(LUA_LIBRARY)?, &root.join(LUA_LIBRARY))?;

    let busybox = tree.program("busybox")?;
    files::write(&root.join("usr/bin/busybox"), files::read(&busybox)?, 0o755)?;
    for applet in applets(&busybox)? {
        let place = root.join("usr/bin").join(applet);
        if !place.exists() {
            files::link("busybox", &place)?;
        }
    }
    for (target, name) in [("mke2fs", "mkfs.ext4"), ("e2fsck", "fsck.ext4"), ("busybox", "init")] {
        let place = root.join("usr/bin").join(name);
        if !place.exists() {
            files::link(target, &place)?;
        }
    }
    files::write(&root.join("etc/mke2fs.conf"), files::read(&tree.find("etc/mke2fs.conf")?)?, 0o644)
}

/// Copies a directory; links within it become what they point to.
fn copy_directory(from: &Path, to: &Path) -> Result<(), ImageError> {
    let entries: Vec<PathBuf> = std::fs::read_dir(from)
        .map_err(ImageError::file("cannot list", from))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    for path in entries {
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy_directory(&path, &to.join(name))?;
        } else {
            files::write(&to.join(name), files::read(&path)?, 0o644)?;
        }
    }
    Ok(())
}
