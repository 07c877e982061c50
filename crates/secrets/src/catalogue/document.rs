//! The catalogue as a table of Markdown.

use std::fmt::Write;

use super::all;

/// The table for `docs/secrets.md`.
pub fn table() -> String {
    let mut text = "| name | what | used by | renewal |\n|---|---|---|---|\n".to_owned();
    for entry in all() {
        // Writing to a text cannot fail.
        let _ =
            writeln!(text, "| `{}` | {} | {} | {} |", entry.name, entry.kind, entry.used_by, entry.rotation);
    }
    text
}
