//! The reference of every key, in Markdown, made from the model.

use std::fmt::Write;

use crate::shape::{self, Choice, Record, Shape};

/// The reference: a section per key of the platform, a table per mapping.
pub fn markdown() -> String {
    let root = shape::platform();
    let mut text = String::new();
    let Shape::Record(record) = &*root else { return text };
    text.push_str("### The platform\n\n");
    table(&mut text, record);
    for name in &record.order {
        let Some(field) = record.fields.get(name) else { continue };
        // `settings` of groups and `defaults` have the keys of a machine, which stand there once.
        if name == "defaults" {
            continue;
        }
        below(&mut text, name, &field.shape);
    }
    text
}

fn below(text: &mut String, path: &str, shape: &Shape) {
    match shape {
        Shape::Record(record) => {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "### `{path}`\n");
            if !record.about.is_empty() {
                let _ = writeln!(text, "{}\n", record.about);
            }
            table(text, record);
            for name in &record.order {
                let Some(field) = record.fields.get(name) else { continue };
                if path == "groups.NAME" && name == "settings" {
                    continue;
                }
                below(text, &format!("{path}.{name}"), &field.shape);
            }
        }
        Shape::Table { value, .. } => below(text, &format!("{path}.NAME"), value),
        Shape::List { item, .. } => below(text, &format!("{path}[]"), item),
        Shape::Choice(choice) if choice.values.len() > 8 => words(text, path, choice),
        Shape::Text(_)
        | Shape::Integer { .. }
        | Shape::Number { .. }
        | Shape::Boolean
        | Shape::Choice(_)
        | Shape::Secret
        | Shape::Overlay => {}
    }
}

fn table(text: &mut String, record: &Record) {
    text.push_str("| key | what may stand there | default | meaning |\n|---|---|---|---|\n");
    for name in &record.order {
        let Some(field) = record.fields.get(name) else { continue };
        let default = match &field.default {
            _ if field.is_required => "**required**".to_owned(),
            Some(value) if value.is_object() || value.is_array() || value.is_null() => String::new(),
            Some(value) => format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            None => String::new(),
        };
        let about = meaning(&field.about, &field.shape);
        let _ = writeln!(text, "| `{name}` | {} | {default} | {about} |", escape(&field.shape.noun()));
    }
    text.push('\n');
}

/// What a key means, with what its words mean.
fn meaning(about: &str, shape: &Shape) -> String {
    let mut text = escape(about);
    if let Shape::Choice(choice) = shape
        && choice.values.len() <= 8
    {
        let words: Vec<String> = choice
            .values
            .iter()
            .filter(|(_, about)| !about.is_empty())
            .map(|(word, about)| format!("`{word}`: {}", escape(about.trim_end_matches('.'))))
            .collect();
        if !words.is_empty() {
            let _ = write!(text, " {}.", words.join("; "));
        }
    }
    text
}

fn words(text: &mut String, path: &str, choice: &Choice) {
    let heading = format!("### Words of `{path}`\n");
    if text.contains(&heading) {
        return;
    }
    let _ = writeln!(text, "{heading}");
    text.push_str("| word | meaning |\n|---|---|\n");
    for (word, about) in &choice.values {
        let _ = writeln!(text, "| `{word}` | {} |", escape(about));
    }
    text.push('\n');
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}
