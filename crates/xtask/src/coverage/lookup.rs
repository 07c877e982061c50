//! Finds a test by its name: `FILE::NAME` for Rust and Python, `FILE` alone for an executable script.
//!
//! A test counts only where it runs: marked as a test, and not switched off.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Looks a test up.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn look_up(root: &Path, test: &str) -> Result<(), String> {
    let (file, name) = match test.split_once("::") {
        Some((file, name)) => (file, Some(name)),
        None => (test, None),
    };
    let path = root.join(file);
    let text = fs::read_to_string(&path).map_err(|error| format!("{file} cannot be read: {error}"))?;
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    match (extension, name) {
        (Some("rs"), Some(name)) => rust(file, &text, name),
        (Some("py"), Some(name)) => python(file, &text, name),
        (Some("rs" | "py"), None) => Err(format!("{file} has more than one test; name one: `{file}::NAME`")),
        (_, None) => script(file, &path),
        (_, Some(_)) => Err(format!("{file} is neither Rust nor Python; name the script alone")),
    }
}

fn rust(file: &str, text: &str, name: &str) -> Result<(), String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let opening = [format!("fn {name}("), format!("async fn {name}(")];
    let Some(at) = lines.iter().position(|line| opening.iter().any(|opening| line.starts_with(opening)))
    else {
        return Err(format!("{file} has no function {name}"));
    };
    let attributes: Vec<&&str> = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .collect();
    if attributes.iter().any(|line| line.starts_with("#[ignore")) {
        return Err(format!("{file}::{name} is switched off by #[ignore]"));
    }
    let is_test =
        attributes.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    if is_test { Ok(()) } else { Err(format!("{file}::{name} is no test")) }
}

fn python(file: &str, text: &str, name: &str) -> Result<(), String> {
    if !name.starts_with("test_") {
        return Err(format!("{file}::{name} is no test; names of tests start with `test_`"));
    }
    let lines: Vec<&str> = text.lines().collect();
    let Some(at) = lines.iter().position(|line| line.trim_start().starts_with(&format!("def {name}(")))
    else {
        return Err(format!("{file} has no function {name}"));
    };
    let is_off = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.trim_start().starts_with('@'))
        .any(|line| line.contains("mark.skip") || line.contains("mark.xfail"));
    if is_off { Err(format!("{file}::{name} is switched off by its decorator")) } else { Ok(()) }
}

fn script(file: &str, path: &Path) -> Result<(), String> {
    let mode =
        fs::metadata(path).map_err(|error| format!("{file} cannot be read: {error}"))?.permissions().mode();
    if mode & 0o111 == 0 { Err(format!("{file} is not executable, so it is not run")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_tests_are_found() {
        let text = "#[test]\nfn plain() {}\n#[tokio::test(start_paused = true)]\n// why\nasync fn waits() {}\n\
            fn helper() {}\n#[test]\n#[ignore]\nfn off() {}\n";
        assert_eq!(rust("f", text, "plain"), Ok(()));
        assert_eq!(rust("f", text, "waits"), Ok(()));
        assert_eq!(rust("f", text, "helper"), Err("f::helper is no test".to_owned()));
        assert_eq!(rust("f", text, "off"), Err("f::off is switched off by #[ignore]".to_owned()));
        assert_eq!(rust("f", text, "plai"), Err("f has no function plai".to_owned()));
    }

    #[test]
    fn python_tests_are_found() {
        let text = "def test_a():\n    pass\n\n@pytest.mark.skip(reason='no')\ndef test_b(x):\n    pass\n";
        assert_eq!(python("f", text, "test_a"), Ok(()));
        assert!(python("f", text, "test_b").is_err());
        assert!(python("f", text, "a").is_err());
        assert!(python("f", text, "test_c").is_err());
    }

    #[test]
    fn scripts_must_be_executable() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(look_up(root.path(), "run").is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(look_up(root.path(), "run"), Ok(()));
        assert!(look_up(root.path(), "gone").is_err());
    }
}
