//! Chooses where an object is created, from what is named and what is the default. Pure.

use crate::context::Defaults;
use crate::directory::Scope;
use crate::error::{Error, Result};
use crate::kind::{Kind, placeholders};

/// Where an object is created, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The path with its placeholders.
    pub template: &'static str,
    /// Parents that are known, by name or id.
    pub parents: Scope,
    /// Placeholders for which there is neither a name nor a default.
    pub missing: Vec<&'static str>,
}

/// Chooses where an object is created. What is named decides; defaults fill the rest; where several paths
/// are left, the more precise one that is completely known, else the one that asks for less.
///
/// # Errors
/// Usage, when what is named does not go together.
pub fn place(kind: &'static Kind, named: &Scope, defaults: &Defaults) -> Result<Placement> {
    let fits =
        |template: &&&'static str| named.iter().all(|(name, _)| placeholders(template).any(|p| p == name));
    let fitting: Vec<Placement> = kind
        .creates
        .iter()
        .filter(fits)
        .map(|template| {
            let value = |name: &'static str| named.get(name).or_else(|| defaults.of(name));
            let parents = placeholders(template).filter_map(|name| Some((name, value(name)?)));
            let missing = placeholders(template).filter(|name| value(name).is_none()).collect();
            Placement { template, parents: Scope::of(parents), missing }
        })
        .collect();
    let complete = fitting.iter().find(|placement| placement.missing.is_empty());
    complete.or(fitting.last()).cloned().ok_or_else(|| {
        let ways: Vec<_> = kind
            .creates
            .iter()
            .map(|template| placeholders(template).collect::<Vec<_>>().join(" and "))
            .filter(|way| !way.is_empty())
            .collect();
        let named: Vec<_> = named.iter().map(|(name, _)| name).collect();
        let error = Error::usage(format!("a {} is not created in a {}", kind.name, named.join(" and ")));
        if ways.is_empty() {
            error.hint("leave them out")
        } else {
            error.hint(format!("name its {}", ways.join(", or its ")))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::find;

    fn placed(kind: &str, named: &[(&'static str, &str)], defaults: &Defaults) -> String {
        match place(find(kind).unwrap(), &Scope::of(named.iter().copied()), defaults) {
            Ok(placement) => format!("{} missing {:?}", placement.template, placement.missing),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_named_decides_and_defaults_fill() {
        let none = Defaults::default();
        let both = Defaults {
            project: Some("p".to_owned()),
            region: Some("r".to_owned()),
            zone: Some("z".to_owned()),
        };
        let mut all = Vec::new();
        for (kind, named, defaults) in [
            ("compute", &[][..], &none),
            ("compute", &[], &both),
            ("compute", &[("region", "r2")], &both),
            ("compute", &[("project", "p2"), ("zone", "z2")], &none),
            ("compute", &[("region", "r2"), ("zone", "z2")], &none),
            ("team", &[], &both),
            ("team", &[("project", "p")], &none),
            ("subnet", &[], &both),
        ] {
            all.push(format!("{kind} {named:?} -> {}\n", placed(kind, named, defaults)));
        }
        insta::assert_snapshot!(all.concat());
    }
}
