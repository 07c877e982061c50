//! ELF files: which libraries a program needs, and what a kernel module says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn, ElfFile64, FileHeader};
use object::{Endianness, Object, ObjectSection};

use crate::command::program;
use crate::{ImageError, files};

const LIBRARY_DIRECTORIES: [&str; 4] =
    ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/libfakeroot", "lib64"];

/// Unpacked packages: finds programs and the libraries they need, wherever a release keeps them.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    libraries: BTreeMap<String, PathBuf>,
}

impl Tree {
    pub(crate) fn new(root: &Path) -> Self {
        let mut libraries = BTreeMap::new();
        for directory in LIBRARY_DIRECTORIES {
            let Ok(entries) = std::fs::read_dir(root.join(directory)) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.contains(".so") {
                    libraries.entry(name).or_insert_with(|| entry.path());
                }
            }
        }
        Self { root: root.to_owned(), libraries }
    }

    /// The place of a file named from the root, with or without `/usr` in front.
    pub(crate) fn find(&self, path: &str) -> Result<PathBuf, ImageError> {
        let without = path.strip_prefix("usr/").unwrap_or(path);
        [self.root.join("usr").join(without), self.root.join(without)]
            .into_iter()
            .find(|candidate| candidate.exists())
            .ok_or_else(|| {
                ImageError::Content(format!(
                    "the packages of this release hold no /{path}, which the image needs"
                ))
            })
    }

    /// The place of a program, in whichever directory this release keeps it.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, ImageError> {
        ["usr/bin", "usr/sbin"]
            .iter()
            .find_map(|directory| self.find(&format!("{directory}/{name}")).ok())
            .ok_or_else(|| {
                ImageError::Content(format!("the packages of this release hold no program {name}"))
            })
    }

    /// The dynamic loader of the packages' C library.
    pub(crate) fn loader(&self) -> Result<PathBuf, ImageError> {
        // A link that is absolute would lead to the host's loader.
        for candidate in ["usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"] {
            if let Ok(path) = self.find(candidate)
                && path.canonicalize().is_ok_and(|path| path.starts_with(&self.root))
            {
                return Ok(path);
            }
        }
        Err(ImageError::Content("the package libc6 holds no dynamic loader".to_owned()))
    }

    /// All libraries that these programs need, by the name they are asked for.
    pub(crate) fn libraries_of(&self, programs: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, ImageError> {
        let mut found = BTreeMap::new();
        let mut pending = programs.to_vec();
        while let Some(path) = pending.pop() {
            for name in needed(&path)? {
                let Some(library) = self.libraries.get(&name) else {
                    return Err(ImageError::Content(format!(
                        "{} needs {name}, which no fetched package holds",
                        path.display()
                    )));
                };
                if found.insert(name, library.clone()).is_none() {
                    pending.push(library.clone());
                }
            }
        }
        Ok(found)
    }

    /// A command that runs a program of the tree with the tree's own libraries.
    pub(crate) fn command(&self, name: &str) -> Result<Command, ImageError> {
        let directories: Vec<String> = LIBRARY_DIRECTORIES
            .iter()
            .map(|directory| self.root.join(directory).display().to_string())
            .collect();
        let mut command = program(self.loader()?);
        command.arg("--library-path").arg(directories.join(":")).arg(self.program(name)?);
        Ok(command)
    }
}

/// Names of the libraries that a program or library is linked to; none for a static one.
fn needed(path: &Path) -> Result<Vec<String>, ImageError> {
    let data = files::read(path)?;
    parse_needed(&data).map_err(|error| ImageError::Content(format!("{}: {error}", path.display())))
}

fn parse_needed(data: &[u8]) -> object::read::Result<Vec<String>> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let mut names = Vec::new();
    if let Some((entries, link)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, link)?;
        for entry in entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED) {
            names.push(String::from_utf8_lossy(entry.string(endian, strings)?).into_owned());
        }
    }
    Ok(names)
}

/// What a kernel module declares of itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ModuleInfo {
    /// Modules that must be loaded before.
    pub depends: BTreeSet<String>,
    /// Modules that should be loaded before, where they exist.
    pub wishes: BTreeSet<String>,
    /// Patterns under which the kernel asks for it.
    pub aliases: Vec<String>,
}

/// Reads the section `.modinfo` of an uncompressed module.
pub(crate) fn module_info(data: &[u8]) -> Result<ModuleInfo, String> {
    let file = ElfFile64::<Endianness>::parse(data).map_err(|error| error.to_string())?;
    let section = file.section_by_name(".modinfo").ok_or("it has no .modinfo section")?;
    Ok(parse_modinfo(section.data().map_err(|error| error.to_string())?))
}

fn parse_modinfo(data: &[u8]) -> ModuleInfo {
    let mut info = ModuleInfo::default();
    for entry in data.split(|&byte| byte == 0) {
        let Ok(text) = std::str::from_utf8(entry) else { continue };
        match text.split_once('=') {
            Some(("depends", names)) => {
                info.depends.extend(names.split(',').filter(|name| !name.is_empty()).map(module_name));
            }
            Some(("softdep", rule)) => {
                let before = rule.split("post:").next().unwrap_or_default();
                if let Some((_, names)) = before.split_once("pre:") {
                    info.wishes.extend(names.split_whitespace().map(module_name));
                }
            }
            Some(("alias", pattern)) => info.aliases.push(pattern.to_owned()),
            _ => {}
        }
    }
    info
}

/// A module's name as the kernel writes it; files also use dashes.
pub(crate) fn module_name(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modinfo_is_read() {
        let data =
            b"license=GPL\0alias=fs-nfs4\0depends=nfs,lock-d\0softdep=pre: crc32c post: other\0depends=\0";
        let info = parse_modinfo(data);
        assert_eq!(info.depends.into_iter().collect::<Vec<_>>(), ["lock_d", "nfs"]);
        assert_eq!(info.wishes.into_iter().collect::<Vec<_>>(), ["crc32c"]);
        assert_eq!(info.aliases, ["fs-nfs4"]);
    }

    #[test]
    fn this_test_needs_the_c_library() {
        let names = needed(&std::env::current_exe().unwrap()).unwrap();
        assert!(names.iter().any(|name| name.starts_with("libc.so")), "{names:?}");
    }

    #[test]
    fn what_is_not_elf_is_an_error() {
        assert!(parse_needed(b"#!/bin/sh").is_err());
        assert!(module_info(b"").is_err());
    }
}
