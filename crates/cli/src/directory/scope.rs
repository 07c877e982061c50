//! Where to look: parents by name or id, and the list that a scope selects. Pure.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::kind::{Kind, placeholders};

/// Parents, by the placeholder they fill; names or ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(BTreeMap<&'static str, String>);

impl Scope {
    /// No parents.
    pub const EMPTY: Self = Self(BTreeMap::new());

    /// A scope of some parents.
    pub fn of<'a>(parents: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        Self(parents.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }

    /// Adds a parent.
    pub fn insert(&mut self, name: &'static str, value: String) {
        self.0.insert(name, value);
    }

    /// The parent for a placeholder.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether it narrows nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its parents.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// The sub-collection that a scope selects: it has every given placeholder and the fewest others.
///
/// # Errors
/// Usage, when the kind cannot be listed by what is given.
pub(super) fn narrowest(
    kind: &'static Kind,
    given: impl Iterator<Item = &'static str>,
) -> Result<Option<&'static str>> {
    let given: Vec<_> = given.collect();
    if given.is_empty() {
        return Ok(None);
    }
    let fits = |template: &&&'static str| given.iter().all(|name| placeholders(template).any(|p| p == *name));
    let best = kind.within.iter().filter(fits).min_by_key(|template| placeholders(template).count());
    best.map(|template| Some(*template)).ok_or_else(|| {
        let error = Error::usage(format!("{} cannot be listed by {}", kind.plural, given.join(" and ")));
        let ways: Vec<_> = kind
            .within
            .iter()
            .map(|t| placeholders(t).map(|p| format!("--{p}")).collect::<Vec<_>>().join(" "))
            .collect();
        match ways.as_slice() {
            [] => error.hint("list them without a filter"),
            ways => error.hint(format!("list them by {}", ways.join(", or "))),
        }
    })
}

/// The part of a scope that narrows a kind without leaving anything open.
pub(super) fn useful(kind: &'static Kind, around: &Scope) -> Scope {
    let known = |template: &&&'static str| placeholders(template).all(|name| around.get(name).is_some());
    let best = kind.within.iter().filter(known).max_by_key(|template| placeholders(template).count());
    let names = best.into_iter().flat_map(|template| placeholders(template));
    Scope::of(names.filter_map(|name| Some((name, around.get(name)?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::find;

    #[test]
    fn the_narrowest_list_that_has_all_is_chosen() {
        let list = |kind: &str, given: &[&'static str]| narrowest(find(kind).unwrap(), given.iter().copied());
        assert_eq!(list("compute", &[]).unwrap(), None);
        assert_eq!(
            list("compute", &["region", "project"]).unwrap(),
            Some("/project/{project}/region/{region}/komputes")
        );
        assert_eq!(list("instance", &["hypervisor"]).unwrap(), Some("/kaktus/{hypervisor}/instances"));
        assert_eq!(list("volume", &["pool"]).unwrap(), Some("/pool/{pool}/volumes"));
        assert!(list("compute", &["region", "zone"]).is_err());
        assert!(list("user", &["project"]).is_err());
    }

    #[test]
    fn only_what_leaves_nothing_open_narrows() {
        let around = Scope::of([("project", "p"), ("zone", "z"), ("pool", "x")]);
        let names =
            |kind: &str| useful(find(kind).unwrap(), &around).iter().map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(names("image"), ["pool"]);
        assert_eq!(names("volume"), ["pool"]);
        assert_eq!(names("anti-affinity-group"), ["project"]);
        assert_eq!(names("compute"), ["project", "zone"]);
        assert!(names("adapter").is_empty() && names("team").is_empty());
    }
}
