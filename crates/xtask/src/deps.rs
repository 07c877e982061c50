//! The shape of the workspace: which crate may use which, what every manifest inherits, and whether each
//! folder of a kind has its line in the registry.
//!
//! The table below is the architecture. A new crate gets a line in it, or the build fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata};

use crate::manifests;

/// Who may use whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// These crates of the workspace.
    Only(&'static [&'static str]),
    /// Every crate but these.
    AllBut(&'static [&'static str]),
}

/// Crates for development: shipped code never uses them.
const DEVELOPMENT: &[&str] = &["freehold-testkit", "freehold-bench", "xtask"];

/// Every crate, and what it may use.
const TABLE: &[(&str, Reach)] = &[
    ("freehold", Reach::AllBut(DEVELOPMENT)),
    (
        "freehold-controller",
        Reach::Only(&[
            "freehold-kinds",
            "freehold-web",
            "freehold-runtime",
            "freehold-store",
            "freehold-types",
        ]),
    ),
    (
        "freehold-kinds",
        Reach::Only(&["freehold-runtime", "freehold-store", "freehold-web", "freehold-types"]),
    ),
    ("freehold-web", Reach::Only(&["freehold-types"])),
    ("freehold-runtime", Reach::Only(&["freehold-store", "freehold-types"])),
    ("freehold-store", Reach::Only(&["freehold-types"])),
    ("freehold-node", Reach::Only(&["freehold-types"])),
    ("freehold-cli", Reach::Only(&["freehold-types"])),
    ("freehold-images", Reach::Only(&["freehold-types"])),
    ("freehold-engine", Reach::Only(&["freehold-platform", "freehold-secrets", "freehold-types"])),
    ("freehold-platform", Reach::Only(&["freehold-secrets", "freehold-types"])),
    ("freehold-secrets", Reach::Only(&["freehold-types"])),
    ("freehold-types", Reach::Only(&[])),
    ("freehold-testkit", Reach::AllBut(&["freehold", "freehold-bench", "xtask"])),
    ("freehold-bench", Reach::AllBut(&["freehold", "xtask"])),
    ("xtask", Reach::AllBut(&[])),
];

/// Package fields that the workspace decides.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

/// Folders beside those of kinds that are none.
const NOT_KINDS: &[&str] = &["testing"];

/// Checks all of it.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let metadata = manifests::own(root)?;
    let mut faults = edge_faults(&edges(&metadata));
    for package in &metadata.packages {
        let manifest = read(package.manifest_path.as_std_path())?;
        faults.extend(inheritance_faults(&package.name, &manifest)?);
    }
    let kinds = root.join("crates/kinds/src");
    faults.extend(kind_faults(&folders(&kinds)?, &read(&kinds.join("registry.rs"))?));
    if faults.is_empty() {
        println!("{} crates use what they may, and inherit what they must", metadata.packages.len());
    }
    Ok(faults)
}

/// One crate of the workspace using another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    /// Only for tests, examples and benchmarks.
    is_development: bool,
}

fn edges(metadata: &Metadata) -> Vec<Edge> {
    let own: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let edges = metadata.packages.iter().flat_map(|package| {
        package.dependencies.iter().filter(|dependency| own.contains(dependency.name.as_str())).map(
            |dependency| Edge {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                is_development: dependency.kind == DependencyKind::Development,
            },
        )
    });
    // A crate that uses nothing still has to be in the table.
    let selves = own.iter().map(|name| Edge {
        from: (*name).to_owned(),
        to: (*name).to_owned(),
        is_development: true,
    });
    edges.chain(selves).collect()
}

fn edge_faults(edges: &[Edge]) -> Vec<String> {
    edges.iter().filter_map(edge_fault).collect()
}

fn edge_fault(edge: &Edge) -> Option<String> {
    let Edge { from, to, is_development } = edge;
    let Some((_, reach)) = TABLE.iter().find(|(name, _)| name == from) else {
        return (from == to).then(|| {
            format!("{from} is not in the table of crates; add it to crates/xtask/src/deps.rs with what it may use")
        });
    };
    // Tests of every crate may use the test kit, and their own crate through it.
    let may = from == to
        || (*is_development && to == "freehold-testkit")
        || match reach {
            Reach::Only(names) => names.contains(&to.as_str()),
            Reach::AllBut(names) => !names.contains(&to.as_str()),
        };
    if may {
        return None;
    }
    let as_what = if *is_development { " for its tests" } else { "" };
    Some(format!("{from} -> {to}: {from} may not use {to}{as_what}; it may use {}", told(*reach)))
}

fn told(reach: Reach) -> String {
    match reach {
        Reach::Only([]) => "no other crate of the workspace".to_owned(),
        Reach::Only(names) => format!("only {}", names.join(", ")),
        Reach::AllBut(names) => format!("all but {}", names.join(", ")),
    }
}

fn inheritance_faults(name: &str, manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table =
        toml::from_str(manifest).with_context(|| format!("the manifest of {name} cannot be read"))?;
    let inherits = |section: Option<&toml::Value>| {
        section.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    };
    let mut faults: Vec<String> = INHERITED
        .iter()
        .filter(|field| !inherits(manifest.get("package").and_then(|package| package.get(**field))))
        .map(|field| {
            format!("{name} has its own `{field}`; write `{field}.workspace = true` in its manifest")
        })
        .collect();
    if !inherits(manifest.get("lints")) {
        faults.push(format!("{name} does not take the workspace's lints; write `[lints] workspace = true`"));
    }
    Ok(faults)
}

fn folders(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries =
        fs::read_dir(directory).with_context(|| format!("{} cannot be listed", directory.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("{} cannot be listed", directory.display()))?;
        if entry.path().join("mod.rs").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn kind_faults(folders: &[String], registry: &str) -> Vec<String> {
    let is_registered = |folder: &str| {
        registry
            .lines()
            .any(|line| line.trim_start().starts_with("Entry::") && line.contains(&format!("<{folder}::")))
    };
    folders
        .iter()
        .filter(|folder| !NOT_KINDS.contains(&folder.as_str()) && !is_registered(folder))
        .map(|folder| {
            format!("the kind in crates/kinds/src/{folder} is not in registry.rs; add its line to ENTRIES")
        })
        .collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, is_development: bool) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned(), is_development }
    }

    #[test]
    fn forbidden_edges_are_named() {
        let faults = edge_faults(&[
            edge("freehold-kinds", "freehold-store", false),
            edge("freehold-kinds", "freehold-node", false),
            edge("freehold-types", "freehold-store", true),
            edge("freehold", "freehold-testkit", false),
        ]);
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("freehold-kinds -> freehold-node:"), "{faults:?}");
        assert!(faults[1].contains("no other crate"), "{faults:?}");
        assert!(faults[2].contains("all but freehold-testkit"), "{faults:?}");
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        assert_eq!(edge_fault(&edge("freehold-kinds", "freehold-testkit", true)), None);
        assert!(edge_fault(&edge("freehold-kinds", "freehold-testkit", false)).is_some());
    }

    #[test]
    fn an_unknown_crate_is_told_once() {
        let faults = edge_faults(&[
            edge("freehold-new", "freehold-types", false),
            edge("freehold-new", "freehold-new", true),
        ]);
        assert_eq!(faults.len(), 1, "{faults:?}");
    }

    #[test]
    fn the_table_has_no_cycle() {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let rows: Vec<_> = TABLE
            .iter()
            .filter_map(|(name, reach)| match reach {
                Reach::Only(names) => Some((*name, *names)),
                Reach::AllBut(_) => None,
            })
            .collect();
        for _ in 0..rows.len() {
            reached.extend(
                rows.iter()
                    .filter(|(_, uses)| uses.iter().all(|name| reached.contains(name)))
                    .map(|row| row.0)
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(reached.len(), rows.len());
    }

    #[test]
    fn what_is_not_inherited_is_named() {
        let manifest = "[package]\nname = \"x\"\nversion.workspace = true\nedition = \"2024\"\n\
            rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n";
        let faults = inheritance_faults("x", manifest).unwrap();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("`edition.workspace = true`"), "{faults:?}");
        assert!(faults[1].contains("lints"), "{faults:?}");
    }

    #[test]
    fn kinds_out_of_the_registry_are_named() {
        let registry = "    Entry::public::<zone::Zone>(zone::ROWS),\n// Entry of <pool::Pool>\n";
        let folders = ["pool", "testing", "zone"].map(str::to_owned);
        let faults = kind_faults(&folders, registry);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("crates/kinds/src/pool"), "{faults:?}");
    }
}
