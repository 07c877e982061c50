//! Reading a platform: files into text, text into trees, trees into one platform.
//!
//! [`read`] is the only function here that touches the disk; [`assemble`] is pure. Precedence, the weakest first:
//! defaults of the model; files in the order given, those of a directory by name; chosen profiles in the order
//! given; secrets files. Within a machine: `defaults`, its groups in the order listed (a group's own groups before
//! it), the machine itself.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use crate::check;
use crate::expand::{self, Variables};
use crate::fault::{Fault, Faults, Place};
use crate::merge;
use crate::model::Platform;
use crate::near;
use crate::parse;
use crate::path::path_to;
use crate::shape;
use crate::source::{Input, Kind, Origin, Sources};
use crate::structure::{self, Reader, Reading};
use crate::tree::{Data, Layer, Node};

/// Largest file, in bytes.
pub const LARGEST_FILE: u64 = 8 << 20;
/// Largest platform of several files, in bytes.
pub const LARGEST_PLATFORM: usize = 64 << 20;
/// Most files of a platform.
pub const MOST_FILES: usize = 1_000;

/// Opens a secrets file: from its path and encrypted text to its text, or why not.
pub type Decrypt<'a> = &'a dyn Fn(&FilePath, &str) -> Result<String, String>;

/// What a platform is assembled with.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a function has nothing to print")]
pub struct Options<'a> {
    /// Profiles to merge over the files.
    pub profiles: &'a [String],
    /// Where variables come from.
    pub variables: Variables<'a>,
}

/// A platform with where everything came from, or what is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    platform: Option<Platform>,
    faults: Faults,
    sources: Sources,
    pub(crate) tree: Node,
}

impl Loaded {
    /// The platform, when nothing is wrong that makes it unusable.
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref().filter(|_| !self.faults.is_fatal())
    }

    /// What is wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The files that it was read from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}

/// Reads files, and those of directories. Secrets files come last: `secrets.yaml`, and what ends in `.secrets.yaml` or
/// `.sops.yaml`.
///
/// # Errors
/// A sentence that names the file and what to do, when one cannot be read, is too large or cannot be decrypted.
pub fn read(paths: &[PathBuf], decrypt: Decrypt<'_>) -> Result<Vec<Input>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(of_directory(path)?);
        } else if !files.contains(path) {
            files.push(path.clone());
        }
    }
    if files.len() > MOST_FILES {
        return Err(format!("there are {} files; at most {MOST_FILES} can make a platform", files.len()));
    }
    let (mut inputs, mut size) = (Vec::with_capacity(files.len()), 0);
    for path in &files {
        let input = input(path, decrypt)?;
        size += input.text.len();
        if size > LARGEST_PLATFORM {
            let most = freehold_types::size::display(LARGEST_PLATFORM as u64);
            return Err(format!("the files up to {} are larger than {most} together", path.display()));
        }
        inputs.push(input);
    }
    inputs.sort_by_key(|input| input.kind == Kind::Secrets);
    Ok(inputs)
}

fn is_yaml(path: &FilePath) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn of_directory(directory: &FilePath) -> Result<Vec<PathBuf>, String> {
    let failed =
        |error: std::io::Error| format!("the directory {} cannot be read: {error}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path.file_name().and_then(OsStr::to_str).is_none_or(|name| name.starts_with('.'));
        if is_yaml(&path) && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(format!(
            "the directory {} holds no .yaml file; write one with `freehold platform init`",
            directory.display()
        ));
    }
    files.sort();
    Ok(files)
}

fn input(path: &FilePath, decrypt: Decrypt<'_>) -> Result<Input, String> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| format!("{name} cannot be read: {error}");
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        let most = freehold_types::size::display(LARGEST_FILE);
        return Err(format!("{name} is larger than {most}; split it into several files"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8 text"))?;
    let is_encrypted = text.lines().any(|line| line.starts_with("sops:"));
    let file_name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let stem = file_name.trim_end_matches(".yaml").trim_end_matches(".yml");
    let is_secret = matches!(stem.rsplit('.').next(), Some("secrets" | "sops"));
    let text = if is_encrypted {
        decrypt(path, &text).map_err(|reason| format!("{name} cannot be decrypted: {reason}"))?
    } else {
        text
    };
    let kind = if is_secret || is_encrypted { Kind::Secrets } else { Kind::Plain };
    Ok(Input { name, text, kind })
}

/// Makes one platform of files, and finds everything that is wrong with it. Pure.
pub fn assemble(inputs: Vec<Input>, options: Options<'_>) -> Loaded {
    let mut sources = Sources::new(inputs);
    let (mut faults, mut hidden) = (Vec::new(), Vec::new());
    let mut root = merged(&sources, options.variables, &mut hidden, &mut faults);
    sources.hide(hidden);
    // Profiles that are not chosen are checked, too, so that they do not rot.
    choose(&mut root, options.profiles, &mut faults);
    let secrets = secrets(&sources, options.variables, &mut faults);
    for node in secrets {
        merge::merge(&mut root, node);
    }
    merge::machines(&mut root, &mut faults);
    let shape = shape::platform();
    let Reading { value, faults: found, hidden, kept } = Reader::new(&root, &shape, &sources).read();
    sources.hide(hidden);
    // What cannot be parsed leaves holes, of which it makes no sense to complain.
    let is_readable = !faults.iter().any(|fault| fault.breaks_off);
    faults.extend(found.into_iter().filter(|fault| is_readable || !fault.is_absence));
    let platform = value.and_then(|value| match serde_json::from_value::<Platform>(value) {
        Ok(platform) => Some(platform),
        Err(error) => {
            faults.push(Fault::new(Place::Nowhere, format!("the platform cannot be read: {error}")));
            None
        }
    });
    if let Some(platform) = &platform {
        let is_whole = faults.is_empty();
        faults.extend(check::platform(platform).into_iter().filter(|fault| is_whole || !fault.is_absence));
        faults.extend(check::clear_secrets(&root, &shape, &sources));
    }
    let faults = Faults::locate(faults, |place| structure::find(&root, place, &kept), &sources);
    Loaded { platform, faults, sources, tree: root }
}

/// The plain files, merged in their order.
fn merged(
    sources: &Sources,
    variables: Variables<'_>,
    hidden: &mut Vec<Origin>,
    faults: &mut Vec<Fault>,
) -> Node {
    let start = Origin { file: 0, start: 0, end: 0, line: 1, column: 1 };
    let mut root = Node::new(start, Data::Map(BTreeMap::new()));
    let mut budget = parse::MOST_NODES;
    for (file, input) in sources.inputs().iter().enumerate().filter(|(_, input)| input.kind == Kind::Plain) {
        for node in documents(file, &input.text, variables, &mut budget, faults) {
            check::hidden(&node, hidden);
            merge::merge(&mut root, node);
        }
    }
    root.origin = start;
    root
}

fn secrets(sources: &Sources, variables: Variables<'_>, faults: &mut Vec<Fault>) -> Vec<Node> {
    let mut budget = parse::MOST_NODES;
    let mut all = Vec::new();
    for (file, input) in sources.inputs().iter().enumerate().filter(|(_, input)| input.kind == Kind::Secrets)
    {
        for mut node in documents(file, &input.text, variables, &mut budget, faults) {
            node.set_layer(&Layer::Secrets);
            // The metadata of an encrypted file says nothing about the platform.
            if let Some(map) = node.map_mut() {
                map.remove("sops");
            }
            all.push(node);
        }
    }
    all
}

fn documents(
    file: usize,
    text: &str,
    variables: Variables<'_>,
    budget: &mut usize,
    faults: &mut Vec<Fault>,
) -> Vec<Node> {
    let mut nodes = parse::documents(file, text, budget, faults);
    nodes.retain(|node| match &node.data {
        Data::Map(_) => true,
        Data::Null => false,
        Data::Scalar(_) | Data::List(_) => {
            faults.push(
                Fault::at(node.origin, "a document of a platform must be a mapping")
                    .hint("begin with a key, such as `name: home` or `machines:`")
                    .breaking_off(),
            );
            false
        }
    });
    for node in &mut nodes {
        expand::tree(node, variables, faults);
    }
    nodes
}

/// Merges chosen profiles over the rest.
fn choose(root: &mut Node, profiles: &[String], faults: &mut Vec<Fault>) {
    for name in profiles {
        let all = root.get("profiles").and_then(Node::map);
        let Some(entry) = all.and_then(|all| all.get(name)) else {
            let names: Vec<String> = all.map(|all| all.keys().cloned().collect()).unwrap_or_default();
            let hint = near::hint(name, names.iter().map(String::as_str));
            faults.push(
                Fault::key(path_to!["profiles"], format!("there is no profile `{name}`"))
                    .maybe_hint(hint.or_else(|| Some("add it to `profiles`".to_owned()))),
            );
            continue;
        };
        let mut node = entry.node.clone();
        node.set_layer(&Layer::Profile(Arc::from(name.as_str())));
        if let Some(entry) = node.map_mut().and_then(|map| map.remove("profiles")) {
            faults.push(Fault::at(entry.key, "a profile cannot hold profiles"));
        }
        let origin = root.origin;
        merge::merge(root, node);
        root.origin = origin;
    }
}
