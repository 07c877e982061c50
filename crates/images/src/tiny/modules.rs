//! The kernel of the packages: its image, and the few modules that the guest gets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::decompress;
use crate::elf::{ModuleInfo, module_info, module_name};
use crate::{ImageError, files};

/// Where a listed module is used, and whether the guest can do without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Loaded by the initial file system; needed.
    Boot,
    /// In the initial file system in case the root disk is not found, if the kernel has it.
    Spare,
    /// Loaded when the root is mounted; needed.
    Start,
    /// On the root for the devices that are there; needed.
    Need,
    /// On the root likewise, if the kernel has it.
    Keep,
}

/// A module with its content, decompressed.
#[derive(Debug)]
pub(super) struct Module {
    pub name: String,
    /// Path below `/lib/modules/VERSION`, with the ending `.ko`.
    pub path: String,
    pub data: Vec<u8>,
    info: ModuleInfo,
}

/// What the guest gets.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub version: String,
    /// Names to load in the initial file system, each after what it depends on.
    pub boot: Vec<String>,
    /// Names to load there when the root disk is not found, likewise.
    pub spare: Vec<String>,
    /// Names to load when the root is mounted.
    pub start: Vec<String>,
    /// All modules by name, those of the initial file system included.
    pub modules: BTreeMap<String, Module>,
}

/// A kernel that was unpacked.
#[derive(Debug)]
pub(super) struct Kernel {
    version: String,
    image: PathBuf,
    directory: PathBuf,
    available: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

/// Reads the recipe's list: use and name a line, comments behind `#`.
pub(super) fn parse_list(text: &str) -> Result<Vec<(Use, String)>, ImageError> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (kind, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let kind = match kind {
                "boot" => Use::Boot,
                "spare" => Use::Spare,
                "start" => Use::Start,
                "need" => Use::Need,
                "keep" => Use::Keep,
                _ => {
                    return Err(ImageError::Content(format!(
                        "images/tiny/modules: '{line}' is not understood"
                    )));
                }
            };
            Ok((kind, module_name(name.trim())))
        })
        .collect()
}

impl Kernel {
    /// Looks at the only kernel below `tree`.
    pub(super) fn open(tree: &Path) -> Result<Self, ImageError> {
        let missing = |what: &str| ImageError::Content(format!("the kernel package holds no {what}"));
        let directory = [tree.join("usr/lib/modules"), tree.join("lib/modules")]
            .iter()
            .filter_map(|modules| std::fs::read_dir(modules).ok())
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .find(|path| path.join("modules.builtin").exists())
            .ok_or_else(|| missing("modules"))?;
        let version =
            directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let image = tree.join(format!("boot/vmlinuz-{version}"));
        if !image.exists() {
            return Err(missing(&format!("boot/vmlinuz-{version}")));
        }
        let available = files::walk(&directory)?
            .into_iter()
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?.split_once(".ko")?.0.to_owned();
                Some((module_name(&name), path))
            })
            .collect();
        let builtin = String::from_utf8_lossy(&files::read(&directory.join("modules.builtin"))?)
            .lines()
            .filter_map(|line| Some(module_name(line.rsplit('/').next()?.strip_suffix(".ko")?)))
            .collect();
        Ok(Self { version, image, directory, available, builtin })
    }

    /// The bootable image.
    pub(super) fn image(&self) -> Result<Vec<u8>, ImageError> {
        files::read(&self.image)
    }

    /// Picks the listed modules and all that they need.
    pub(super) fn select(&self, list: &[(Use, String)]) -> Result<Selection, ImageError> {
        let mut selection = Selection { version: self.version.clone(), ..Selection::default() };
        for (kind, name) in list {
            if !self.available.contains_key(name) {
                if matches!(kind, Use::Boot | Use::Start | Use::Need) && !self.builtin.contains(name) {
                    return Err(ImageError::Content(format!(
                        "the kernel {} has no {name}, which the guest needs",
                        self.version
                    )));
                }
                continue;
            }
            self.add(&mut selection, name)?;
            match kind {
                Use::Boot => append_in_order(&selection.modules, name, &mut selection.boot),
                Use::Spare => append_in_order(&selection.modules, name, &mut selection.spare),
                Use::Start => selection.start.push(name.clone()),
                Use::Need | Use::Keep => {}
            }
        }
        Ok(selection)
    }

    fn add(&self, selection: &mut Selection, name: &str) -> Result<(), ImageError> {
        let Some(path) = self.available.get(name) else { return Ok(()) };
        if selection.modules.contains_key(name) {
            return Ok(());
        }
        let data = decompress(path)?;
        let info = module_info(&data)
            .map_err(|error| ImageError::Content(format!("kernel module {}: {error}", path.display())))?;
        let below = path.strip_prefix(&self.directory).unwrap_or(path).to_string_lossy().into_owned();
        let path = below.split_once(".ko").map_or(below.clone(), |(stem, _)| format!("{stem}.ko"));
        let needs: Vec<String> = info.depends.iter().chain(&info.wishes).cloned().collect();
        selection.modules.insert(name.to_owned(), Module { name: name.to_owned(), path, data, info });
        needs.iter().try_for_each(|need| self.add(selection, need))
    }
}

/// Appends a module to an order of loading, after what it depends on.
fn append_in_order(modules: &BTreeMap<String, Module>, name: &str, order: &mut Vec<String>) {
    let Some(module) = modules.get(name) else { return };
    if order.iter().any(|present| present == name) {
        return;
    }
    for need in module.info.depends.iter().chain(&module.info.wishes) {
        append_in_order(modules, need, order);
    }
    order.push(name.to_owned());
}

impl Selection {
    /// The index of dependencies that `modprobe` reads.
    pub(super) fn modules_dep(&self) -> String {
        let lines = self.modules.values().map(|module| {
            let mut order = Vec::new();
            append_in_order(&self.modules, &module.name, &mut order);
            let needs = order.iter().rev().skip(1).filter_map(|name| self.modules.get(name));
            let needs: Vec<&str> = needs.map(|module| module.path.as_str()).collect();
            format!("{}: {}", module.path, needs.join(" ")).trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    /// The index of the patterns under which the kernel asks for modules.
    pub(super) fn modules_alias(&self) -> String {
        let lines = self.modules.values().flat_map(|module| {
            module.info.aliases.iter().map(move |pattern| format!("alias {pattern} {}\n", module.name))
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, depends: &[&str], aliases: &[&str]) -> (String, Module) {
        let info = ModuleInfo {
            depends: depends.iter().map(|&name| name.to_owned()).collect(),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            ..ModuleInfo::default()
        };
        let path = format!("kernel/{name}.ko");
        (name.to_owned(), Module { name: name.to_owned(), path, data: Vec::new(), info })
    }

    #[test]
    fn indexes_list_needs_last_needed_first() {
        let modules = [
            module("net", &["fail"], &["virtio:d1"]),
            module("fail", &["base"], &[]),
            module("base", &[], &[]),
        ];
        let selection = Selection { modules: modules.into(), ..Selection::default() };
        let expected =
            "kernel/base.ko:\nkernel/fail.ko: kernel/base.ko\nkernel/net.ko: kernel/fail.ko kernel/base.ko\n";
        assert_eq!(selection.modules_dep(), expected);
        assert_eq!(selection.modules_alias(), "alias virtio:d1 net\n");
    }

    #[test]
    fn the_recipe_is_understood() {
        let list = parse_list(super::super::recipe::MODULES).unwrap();
        assert!(list.contains(&(Use::Boot, "virtio_blk".to_owned())));
        assert!(parse_list("load x").is_err());
    }
}
