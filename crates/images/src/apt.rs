//! Debian packages as a source of files: resolved, fetched and unpacked into a directory, never installed.
//!
//! The host's own package sources are used, so that signatures are checked against keys it trusts. When
//! its lists are absent or out of date, fresh ones are fetched into a private directory; the host's stay
//! as they are, and no root is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{program, run};
use crate::{ImageError, files};

/// A package file that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// Name of the file, which holds package name and version.
    pub file: String,
    /// What the package lists promise of its content, such as `SHA256:…`.
    pub checksum: String,
}

/// What was asked for with all that it needs.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    names: BTreeSet<String>,
    pub packages: Vec<Package>,
}

/// Access to the host's package sources.
#[derive(Debug)]
pub(crate) struct Apt {
    work: PathBuf,
    private_lists: bool,
}

impl Apt {
    /// Uses `work` for what is fetched. Fails where there is no apt.
    pub(crate) fn new(work: &Path) -> Result<Self, ImageError> {
        if run(program("apt-get").arg("--version"), "apt").is_err() {
            return Err(ImageError::Unsupported(
                "an image is made from Debian's packages, and this host has no apt: make it on Debian 12, \
                 Debian 13 or Ubuntu 24.04 and copy the file, or use any cloud image by its URL"
                    .to_owned(),
            ));
        }
        Ok(Self { work: work.to_owned(), private_lists: false })
    }

    /// The packages and the libraries that they need, at the versions that apt prefers. Fails when the package
    /// lists at hand do not hold them.
    pub(crate) fn resolve(&self, names: &[&str]) -> Result<Resolved, ImageError> {
        let depends =
            run(self.command("apt-cache").args(["depends", "--important", "--recurse"]).args(names), "apt")?;
        let names = closure(names, &parse_depends(&depends));
        let uris = run(self.command("apt-get").args(["download", "--print-uris"]).args(&names), "apt")?;
        let packages = parse_uris(&uris);
        if packages.len() < names.len() {
            return Err(ImageError::Content(format!(
                "the package sources of this host hold only {} of the {} packages that the image needs; \
                 run 'apt-get update' and see that the components 'main' and 'universe' are enabled",
                packages.len(),
                names.len()
            )));
        }
        Ok(Resolved { names, packages })
    }

    /// Fetches the packages and unpacks all of them into `tree`.
    pub(crate) fn unpack(&mut self, resolved: &Resolved, tree: &Path) -> Result<(), ImageError> {
        let directory = self.work.join("packages");
        files::make_directory(&directory)?;
        files::make_directory(tree)?;
        if self.download(resolved, &directory).is_err() {
            // What the lists name may have been replaced on the mirror since they were fetched.
            self.update()?;
            self.download(resolved, &directory)?;
        }
        for package in files::walk(&directory)? {
            run(program("dpkg-deb").arg("--extract").arg(&package).arg(tree), "dpkg")?;
        }
        Ok(())
    }

    fn download(&self, resolved: &Resolved, directory: &Path) -> Result<(), ImageError> {
        run(self.command("apt-get").arg("download").args(&resolved.names).current_dir(directory), "apt")
            .map(drop)
    }

    /// Fetches package lists of its own, to be used from here on.
    pub(crate) fn update(&mut self) -> Result<(), ImageError> {
        self.private_lists = true;
        files::make_directory(&self.work.join("lists/partial"))?;
        files::make_directory(&self.work.join("cache/archives/partial"))?;
        run(self.command("apt-get").arg("update"), "apt").map(drop)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = program(name);
        // The sandbox user of apt could not write into our directory.
        command.args(["--quiet=2", "--option", "APT::Sandbox::User=root"]);
        if self.private_lists {
            for (option, place) in [("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")] {
                command.arg("--option").arg(format!("{option}={}", self.work.join(place).display()));
            }
        }
        command
    }
}

/// Reads `apt-cache depends --recurse`: each package with its dependencies. Of alternatives the first counts.
fn parse_depends(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut graph: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    let mut in_alternatives = false;
    for line in text.lines() {
        if !line.starts_with([' ', '<']) {
            line.trim().clone_into(&mut current);
            graph.entry(current.clone()).or_default();
            in_alternatives = false;
            continue;
        }
        let Some((kind, name)) = line.split_once(": ") else { continue };
        if !kind.ends_with("Depends") {
            continue;
        }
        let more_follow = kind.trim_start_matches(' ').starts_with('|');
        if !in_alternatives && let Some(dependencies) = graph.get_mut(&current) {
            dependencies.push(name.trim().to_owned());
        }
        in_alternatives = more_follow;
    }
    graph
}

/// Whether a dependency brings files that programs link to or that the kernel loads. Everything else
/// (configuration tools, documentation, init scripts) has no use in a tree that is not installed.
fn is_content(name: &str) -> bool {
    let prefixes = ["lib", "zlib1g", "linux-image-", "linux-modules-"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) && !name.starts_with("linux-modules-extra-")
}

fn closure(names: &[&str], graph: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    let mut pending: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    while let Some(name) = pending.pop() {
        if wanted.insert(name.clone())
            && let Some(dependencies) = graph.get(&name)
        {
            pending.extend(dependencies.iter().filter(|name| is_content(name)).cloned());
        }
    }
    wanted
}

/// Reads `apt-get download --print-uris`: `'URI' FILE SIZE CHECKSUM` a line.
fn parse_uris(text: &str) -> Vec<Package> {
    text.lines()
        .filter(|line| line.starts_with('\''))
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let file = words.next()?.to_owned();
            let checksum = words.nth(1)?.to_owned();
            Some(Package { file, checksum })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDS: &str = "\
dropbear-bin
  Depends: libc6
 |Depends: libtomcrypt1
  Depends: libtomcrypt2
  Depends: debconf
libc6
  Depends: libgcc-s1
  PreDepends: <virtual>
    libfirst
libtomcrypt1
libgcc-s1
  Depends: gcc-12-base
  Depends: libc6
";

    #[test]
    fn dependencies_are_followed_through_libraries_only() {
        let wanted = closure(&["dropbear-bin"], &parse_depends(DEPENDS));
        assert_eq!(
            wanted.into_iter().collect::<Vec<_>>(),
            ["dropbear-bin", "libc6", "libgcc-s1", "libtomcrypt1"]
        );
    }

    #[test]
    fn a_kernel_metapackage_leads_to_kernel_and_modules() {
        let graph = parse_depends(
            "linux-image-virtual\n  Depends: linux-image-6.8.0-40-generic\n\
             linux-image-6.8.0-40-generic\n  Depends: kmod\n  Depends: linux-modules-6.8.0-40-generic\n  \
             Depends: linux-modules-extra-6.8.0-40-generic\n",
        );
        let wanted = closure(&["linux-image-virtual"], &graph);
        assert_eq!(wanted.len(), 3, "{wanted:?}");
        assert!(wanted.contains("linux-modules-6.8.0-40-generic"));
    }

    #[test]
    fn files_and_checksums_are_read() {
        let text = "'http://deb.example/pool/b.deb' b_1%3a2_amd64.deb 928188 SHA256:abc\nnoise\n";
        let expected = Package { file: "b_1%3a2_amd64.deb".into(), checksum: "SHA256:abc".into() };
        assert_eq!(parse_uris(text), [expected]);
    }
}
