//! Broken platforms, one fault or family of faults each, with the report that people see.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
fn each_broken_platform_has_its_report() {
    let files = files();
    assert!(files.len() >= 60, "{} fixtures", files.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../broken");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let failures: Vec<_> = files
        .iter()
        .filter(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let text = fs::read_to_string(path).unwrap();
            let loaded = support::load(vec![support::plain("platform.yaml", &text)], &[]);
            assert!(!loaded.faults().is_empty(), "{name} has no fault");
            let report = support::report(&loaded);
            assert!(!report.contains("hunter2"), "{name} shows a secret:\n{report}");
            let compare = || settings.bind(|| insta::assert_snapshot!(name, report));
            // All of them are compared, so that one run shows every difference.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(compare)).is_err()
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Every fixture is there for a reason: what it tells, no other tells in the same words.
#[test]
fn no_two_broken_platforms_have_the_same_report() {
    let mut reports = std::collections::BTreeMap::new();
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let loaded = support::load(vec![support::plain("platform.yaml", &text)], &[]);
        let messages: Vec<String> = loaded.faults().reports().map(|report| report.message.clone()).collect();
        let name = path.display().to_string();
        assert_eq!(reports.insert(messages, name.clone()), None, "{name}");
    }
}
