//! The licences of all dependencies, against what a permissively licensed program may be shipped with.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use spdx::{Expression, LicenseReq, ParseMode};

use crate::manifests;

/// Licences that ask no more than to be named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates under other licences, each with the licence and why it may be used.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "virt",
        "LGPL-2.1",
        "the binding of libvirt's own project; its source and ours are open, so it can be replaced",
    ),
    ("virt-sys", "LGPL-2.1", "declarations of the shared library libvirt, which is linked at run time"),
];

/// Checks every crate of the lockfile.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let metadata = manifests::all(root)?;
    let mut faults = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for package in &metadata.packages {
        match judge(&package.name, package.license.as_deref()) {
            Ok(licence) => *counts.entry(licence).or_default() += 1,
            Err(fault) => faults.push(fault),
        }
    }
    let names: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    faults.extend(EXCEPTIONS.iter().filter(|(name, ..)| !names.contains(name)).map(|(name, ..)| {
        format!(
            "{name} is no dependency any more; take it from the exceptions in crates/xtask/src/licences.rs"
        )
    }));
    if faults.is_empty() {
        println!("{} crates, all under licences that may be shipped:", metadata.packages.len());
        for (licence, count) in counts {
            println!("{count:>5}  {licence}");
        }
        for (name, licence, reason) in EXCEPTIONS {
            println!("{name} is under {licence}: {reason}");
        }
    }
    Ok(faults)
}

/// The expression of a crate, when it can be complied with by allowed licences.
fn judge(name: &str, expression: Option<&str>) -> Result<String, String> {
    let Some(text) = expression else {
        return Err(format!("{name} names no licence; use another crate"));
    };
    if EXCEPTIONS.iter().any(|(exception, licence, _)| *exception == name && text.starts_with(licence)) {
        return Ok(text.to_owned());
    }
    let parsed = Expression::parse_mode(text, ParseMode::LAX)
        .map_err(|error| format!("the licence `{text}` of {name} is no SPDX expression: {}", error.reason))?;
    if parsed.evaluate(is_allowed) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{name} is under `{text}`, which is not allowed; use another crate, or name it as an exception \
         with the reason in crates/xtask/src/licences.rs"
    ))
}

/// An exception such as LLVM's grants more than its licence does, so only the licence counts.
fn is_allowed(requirement: &LicenseReq) -> bool {
    requirement.license.id().is_some_and(|id| ALLOWED.contains(&id.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allowed_alternative_is_enough() {
        for text in
            ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "Apache-2.0 WITH LLVM-exception", "MIT AND ISC"]
        {
            assert!(judge("x", Some(text)).is_ok(), "{text}");
        }
    }

    #[test]
    fn all_parts_must_be_allowed() {
        for text in ["GPL-3.0-only", "MIT AND GPL-2.0-or-later", "no licence at all"] {
            assert!(judge("x", Some(text)).is_err(), "{text}");
        }
        assert!(judge("x", None).is_err());
    }

    #[test]
    fn an_exception_is_for_one_crate_and_one_licence() {
        assert!(judge("virt", Some("LGPL-2.1")).is_ok());
        assert!(judge("virt", Some("GPL-3.0-only")).is_err());
        assert!(judge("other", Some("LGPL-2.1")).is_err());
    }

    #[test]
    fn allowed_licences_exist() {
        for name in ALLOWED {
            assert!(spdx::license_id(name).is_some(), "{name}");
        }
    }
}
