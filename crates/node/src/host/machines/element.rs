//! A small XML tree, written with every value escaped.
//!
//! Promises: the same tree gives the same bytes, and whatever text is put in, the result is well formed
//! and reads back as that text (characters that XML cannot carry become U+FFFD). It reads nothing.

use std::fmt;

/// An element with attributes, and either text or children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: Option<String>,
    children: Vec<Element>,
}

impl Element {
    /// An empty element.
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), text: None, children: Vec::new() }
    }

    /// An element that holds text.
    pub(super) fn text(name: &'static str, text: impl fmt::Display) -> Self {
        Self { text: Some(text.to_string()), ..Self::new(name) }
    }

    /// Adds an attribute.
    pub(super) fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// Adds a child.
    pub(super) fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// Adds children.
    pub(super) fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:indent$}<{}", "", self.name, indent = depth * 2)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}='{}'", Escaped(value))?;
        }
        match (&self.text, self.children.is_empty()) {
            (Some(text), _) => writeln!(f, ">{}</{}>", Escaped(text), self.name),
            (None, true) => writeln!(f, "/>"),
            (None, false) => {
                writeln!(f, ">")?;
                for child in &self.children {
                    child.write(f, depth + 1)?;
                }
                writeln!(f, "{:indent$}</{}>", "", self.name, indent = depth * 2)
            }
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '\'' => f.write_str("&apos;")?,
                '"' => f.write_str("&quot;")?,
                // As references, or a reader turns them into spaces or drops them.
                '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(character))?,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nests_and_indents() {
        let tree = Element::new("a").with("b", 1).child(Element::text("c", "d<e")).child(Element::new("f"));
        assert_eq!(tree.to_string(), "<a b='1'>\n  <c>d&lt;e</c>\n  <f/>\n</a>\n");
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let written = Element::new("a").with("b", &text).child(Element::text("c", &text)).to_string();
            let read = roxmltree::Document::parse(&written).unwrap();
            let expected: String = text
                .chars()
                .map(|c| if (c < ' ' && !"\t\r\n".contains(c)) || "\u{fffe}\u{ffff}".contains(c) { '\u{fffd}' } else { c })
                .collect();
            prop_assert_eq!(read.root_element().attribute("b"), Some(expected.as_str()));
            let child = read.root_element().first_element_child().unwrap();
            prop_assert_eq!(child.text().unwrap_or_default(), expected.as_str());
        }
    }
}
