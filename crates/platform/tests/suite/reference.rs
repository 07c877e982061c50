//! The documentation is what the model says.

use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- reference: begin -->\n";
const END: &str = "<!-- reference: end -->\n";

/// `FREEHOLD_UPDATE_DOCS=1 cargo test -p freehold-platform reference` writes it anew.
#[test]
fn the_reference_in_the_documentation_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/platform.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = format!("{before}{BEGIN}\n{}{END}{after}", freehold_platform::reference::markdown());
    if std::env::var_os("FREEHOLD_UPDATE_DOCS").is_some() {
        fs::write(&path, &fresh).unwrap();
        return;
    }
    assert!(
        text == fresh,
        "docs/platform.md is stale; write it anew with `FREEHOLD_UPDATE_DOCS=1 cargo test -p freehold-platform reference`"
    );
}

#[test]
fn every_key_of_the_reference_has_a_meaning() {
    let text = freehold_platform::reference::markdown();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    assert!(rows.clone().count() > 250, "{}", rows.count());
    for row in rows {
        let meaning = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        assert!(meaning.ends_with('.') && meaning.len() > 3, "{row}");
    }
}

/// What the tutorial shows is what the example holds.
#[test]
fn the_tutorial_quotes_the_example() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/platform.md");
    let text = fs::read_to_string(path).unwrap();
    let example = freehold_platform::examples::find("kowabunga-region").unwrap();
    let lines: Vec<&str> = example.files.iter().flat_map(|(_, text)| text.lines()).collect();
    let tutorial = text.split("## Reference").next().unwrap();
    let mut quoted = 0;
    for block in tutorial.split("```yaml\n").skip(1) {
        for line in block.split("```").next().unwrap().lines().filter(|line| !line.trim().is_empty()) {
            if block.starts_with("# kowabunga-region") && !line.starts_with("# kowabunga-region") {
                assert!(lines.contains(&line), "the example has no line `{line}`");
                quoted += 1;
            }
        }
    }
    assert!(quoted > 20, "{quoted} lines");
}
