//! Which rows of the feature checklist are shown by which tests.
//!
//! `tests/coverage.toml` maps the id of a row to the tests that show it, whole. A test that is gone, renamed
//! or switched off is a fault, and so is a row that the checklist does not have: what the map says is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

mod lookup;

use lookup::look_up;

/// The map, from the root.
const MAP: &str = "tests/coverage.toml";

/// Where the checklist lies when nobody says otherwise, from the root.
const CHECKLIST: &str = "../shared/reference/seed-features.md";

/// Checks the map, and prints how much of the checklist it covers.
pub(crate) fn check(root: &Path, checklist: Option<&Path>) -> Result<Vec<String>> {
    let map = read_map(root)?;
    let rows = read_checklist(root, checklist)?;
    let mut faults = Vec::new();
    for (row, tests) in &map {
        if tests.is_empty() {
            faults.push(format!("{MAP}: {row} has no test; name one, or take the row out"));
        }
        if rows.as_ref().is_some_and(|rows| !rows.contains(row)) {
            faults.push(format!("{MAP}: the checklist has no row {row}"));
        }
        faults.extend(
            tests
                .iter()
                .filter_map(|test| look_up(root, test).err())
                .map(|fault| format!("{MAP}: {row}: {fault}")),
        );
    }
    if faults.is_empty() {
        print!("{}", table(&map, rows.as_ref()));
    }
    Ok(faults)
}

/// Tests by row.
type Map = BTreeMap<String, Vec<String>>;

fn read_map(root: &Path) -> Result<Map> {
    let text = fs::read_to_string(root.join(MAP)).with_context(|| format!("{MAP} cannot be read"))?;
    toml::from_str(&text).with_context(|| format!("{MAP} is no map from rows to lists of tests"))
}

fn read_checklist(root: &Path, path: Option<&Path>) -> Result<Option<BTreeSet<String>>> {
    let path = match path {
        Some(path) => path.to_owned(),
        None if root.join(CHECKLIST).is_file() => root.join(CHECKLIST),
        None => return Ok(None),
    };
    let rows = parse_checklist(&read(&path)?);
    if rows.is_empty() {
        bail!("{} has no rows such as `| K-001 | … |`; is it the feature checklist?", path.display());
    }
    Ok(Some(rows))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The ids in the first column of the checklist's tables.
fn parse_checklist(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
        .map(|(id, _)| id)
        .filter(|id| is_row(id))
        .map(str::to_owned)
        .collect()
}

/// A letter, a dash, digits.
fn is_row(text: &str) -> bool {
    let Some((letter, number)) = text.split_once('-') else { return false };
    letter.len() == 1
        && letter.bytes().all(|byte| byte.is_ascii_uppercase())
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Counts by the letter of the document.
fn table(map: &Map, rows: Option<&BTreeSet<String>>) -> String {
    let by_letter = |ids: &mut dyn Iterator<Item = &String>| {
        ids.fold(BTreeMap::<char, usize>::new(), |mut counts, id| {
            if let Some(letter) = id.chars().next() {
                *counts.entry(letter).or_default() += 1;
            }
            counts
        })
    };
    let shown = by_letter(&mut map.keys());
    let tests: BTreeSet<&String> = map.values().flatten().collect();
    let count = |counts: &BTreeMap<char, usize>, letter| counts.get(letter).copied().unwrap_or_default();
    let Some(rows) = rows else {
        let mut lines: Vec<String> =
            shown.keys().map(|letter| format!("{letter} {:>5}\n", count(&shown, letter))).collect();
        lines.push(format!(
            "{} rows shown by {} tests; the checklist is not here to compare with\n",
            map.len(),
            tests.len()
        ));
        return lines.concat();
    };
    let all = by_letter(&mut rows.iter());
    let mut lines: Vec<String> = all
        .keys()
        .map(|letter| format!("{letter} {:>5} of {:>5}\n", count(&shown, letter), count(&all, letter)))
        .collect();
    lines.push(format!("{} of {} rows shown by {} tests\n", map.len(), rows.len(), tests.len()));
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let text = "| Id | Named |\n|---|---|\n| | **Part** | | |\n| K-001 | a | b |\n| D-12 | `x | y` |\nK-002\n| all | 3 |\n";
        assert_eq!(parse_checklist(text), BTreeSet::from(["D-12", "K-001"].map(str::to_owned)));
    }

    #[test]
    fn counts_are_by_letter() {
        let map = Map::from([
            ("K-001".to_owned(), vec!["a".to_owned()]),
            ("K-002".to_owned(), vec!["a".to_owned()]),
        ]);
        let rows = BTreeSet::from(["D-001", "K-001", "K-002", "K-003"].map(str::to_owned));
        assert_eq!(
            table(&map, Some(&rows)),
            "D     0 of     1\nK     2 of     3\n2 of 4 rows shown by 1 tests\n"
        );
        assert!(table(&map, None).starts_with("K     2\n"));
    }

    #[test]
    fn faults_are_told_together() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tests")).unwrap();
        fs::write(root.path().join(MAP), "K-001 = []\nK-002 = [\"no/file.rs::name\"]\nZ-001 = []\n").unwrap();
        let list = root.path().join("list.md");
        fs::write(&list, "| K-001 | a |\n| K-002 | b |\n").unwrap();
        let faults = check(root.path(), Some(&list)).unwrap();
        assert_eq!(faults.len(), 4, "{faults:?}");
    }
}
