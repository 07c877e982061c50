//! Labelled lines, aligned. Pure.

use unicode_width::UnicodeWidthStr;

/// A label and what it says; further values stand below the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub label: String,
    pub values: Vec<String>,
}

impl Line {
    /// A line with one value.
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), values: vec![value.into()] }
    }

    /// A line with several values.
    pub fn several(label: impl Into<String>, values: Vec<String>) -> Self {
        Self { label: label.into(), values }
    }
}

/// The lines, their values one below the other.
pub fn block(lines: &[Line], indent: usize) -> String {
    let width = lines.iter().map(|line| line.label.width() + 1).max().unwrap_or_default();
    let bold = anstyle::Style::new().bold();
    let mut told = Vec::new();
    for line in lines {
        let label = format!("{}:", line.label);
        let gap = " ".repeat(width - label.width() + 2);
        let (first, rest) = match line.values.split_first() {
            Some((first, rest)) if !first.is_empty() => (first.as_str(), rest),
            _ => ("-", &[][..]),
        };
        told.push(format!("{:indent$}{bold}{label}{bold:#}{gap}{first}", ""));
        told.extend(rest.iter().map(|value| format!("{:1$}{value}", "", indent + width + 2)));
    }
    self::lines(told)
}

/// Each text on a line of its own.
pub fn lines(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut lines = String::new();
    for text in texts {
        lines.push_str(text.as_ref());
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_aligned() {
        let lines = [
            Line::new("Name", "web"),
            Line::several("Volumes", vec!["a".into(), "b".into()]),
            Line::new("X", ""),
        ];
        assert_eq!(
            anstream::adapter::strip_str(&block(&lines, 1)).to_string(),
            " Name:     web\n Volumes:  a\n           b\n X:        -\n"
        );
    }
}
