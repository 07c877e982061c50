//! Variables of the environment in values.
//!
//! They are expanded in values that were parsed, never in the text of a file: a variable cannot break the YAML, and
//! a dollar sign without a brace, as in the hash of a password, stands for itself. `$${` is a literal `${`.

use crate::fault::Fault;
use crate::source::Origin;
use crate::tree::{Data, Node};

/// Where variables come from.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Longest value after its expansion, in bytes.
const LONGEST: usize = 1 << 20;

/// Expands the variables of all values below.
pub(crate) fn tree(node: &mut Node, variables: Variables<'_>, faults: &mut Vec<Fault>) {
    let origin = node.origin;
    match &mut node.data {
        Data::Null => {}
        Data::List(items) => items.iter_mut().for_each(|item| tree(item, variables, faults)),
        Data::Map(map) => map.values_mut().for_each(|entry| tree(&mut entry.node, variables, faults)),
        Data::Scalar(scalar) => {
            if !scalar.text.contains("${") {
                return;
            }
            match text(&scalar.text, variables) {
                Ok(expanded) if expanded.is_empty() => node.data = Data::Null,
                Ok(expanded) => {
                    scalar.text = expanded;
                    scalar.is_expanded = true;
                }
                Err(wrong) => {
                    faults.push(wrong.fault(origin));
                    scalar.is_wrong = true;
                }
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Unset(String),
    Unfinished,
    Name(String),
    Long,
}

impl Wrong {
    fn fault(self, origin: Origin) -> Fault {
        match self {
            Self::Unset(name) => Fault::at(origin, format!("the variable `{name}` is not set"))
                .hint(format!("set it, or give a default: ${{{name}:-default}}")),
            Self::Unfinished => Fault::at(origin, "this `${` has no closing brace")
                .hint("close it, or write `$${` for a literal `${`"),
            Self::Name(name) => Fault::at(origin, format!("`{name}` is not the name of a variable"))
                .hint("use letters, digits and `_`, as in ${HOME} or ${PORT:-80}"),
            Self::Long => {
                Fault::at(origin, format!("this is longer than {LONGEST} bytes with its variables"))
            }
        }
    }
}

/// Expands the variables of a text.
fn text(text: &str, variables: Variables<'_>) -> Result<String, Wrong> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = &after[2..];
            continue;
        }
        out.push_str(before);
        let inner = &after[2..];
        let end = inner.find('}').ok_or(Wrong::Unfinished)?;
        let (name, default) = match inner[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inner[..end], None),
        };
        let valid = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            return Err(Wrong::Name(name.to_owned()));
        }
        // As in shells, `:-` also stands in for a variable that is empty.
        let value = variables(name).filter(|value| default.is_none() || !value.is_empty());
        match (value, default) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => return Err(Wrong::Unset(name.to_owned())),
        }
        if out.len() > LONGEST {
            return Err(Wrong::Long);
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "NESTED" => Some("${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_expanded_once_and_only_in_braces() {
        for (before, after) in [
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("${B:-two}", "two"),
            ("${B:-}", ""),
            ("${EMPTY:-three}", "three"),
            ("${EMPTY}", ""),
            ("${NESTED}", "${A}"),
            ("$6$salt$A", "$6$salt$A"),
            ("$${A}", "${A}"),
            ("$A", "$A"),
        ] {
            assert_eq!(text(before, &variables), Ok(after.to_owned()), "{before}");
        }
        assert_eq!(text("${B}", &variables), Err(Wrong::Unset("B".to_owned())));
        assert_eq!(text("${A", &variables), Err(Wrong::Unfinished));
        assert_eq!(text("${A B}", &variables), Err(Wrong::Name("A B".to_owned())));
    }

    proptest! {
        #[test]
        fn expansion_never_panics(input in "[${}:A-C\\-é]{0,24}") {
            let _ = text(&input, &variables);
        }

        #[test]
        fn text_without_braces_stays(input in "[^{]{0,24}") {
            prop_assert_eq!(text(&input, &variables), Ok(input));
        }
    }
}
