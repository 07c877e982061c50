//! Domain: what edges answer for under one DNS domain: the machines and records of the projects and regions
//! that have it. The controller's own; it has no operations.
//!
//! *Expected flow:* whoever takes a domain calls [`join`], whoever gives it up [`leave`]; what is in it
//! follows from the store ([`contents`]).
//! *Guarantees:* a domain without owners is on its way out, and goes when all edges have told that they
//! dropped it, however long one of them is away; until then another of the same name can be made.

mod contents;
#[cfg(test)]
mod tests;

use freehold_store::{Entity, Key, Object, Reference, Snapshot, Transaction};
use freehold_types::agent::{ObjectKind, Specification};
use freehold_types::{ApiError, Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::edge;
use crate::environment::Environment;
use crate::kind::{Kind, Scope};
use crate::placed::{Placed, PlacedStatus};
use crate::project::Project;
use crate::region::Region;
use crate::route::Call;

pub(crate) use contents::{holder_of, refuse_recorded};

/// What a domain is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// In lower case, without a dot at its end.
    pub name: String,
    /// The projects and regions that have it.
    pub projects: Vec<Id>,
    pub regions: Vec<Id>,
}

impl Domain {
    /// Keeps domains apart; one that nobody has any more stands in nobody's way.
    fn name_claim(name: &str) -> String {
        format!("domain/{}", name.to_ascii_lowercase())
    }

    fn has_owner(&self) -> bool {
        !self.projects.is_empty() || !self.regions.is_empty()
    }
}

impl Entity for Domain {
    const KIND: &'static str = "domain";
    type Status = PlacedStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        self.has_owner().then(|| Self::name_claim(&self.name)).into_iter().collect()
    }

    fn references(&self) -> Vec<Reference> {
        let regions = self.regions.iter().copied().map(Reference::weak::<Region>);
        self.projects.iter().copied().map(Reference::weak::<Project>).chain(regions).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Domain {
    const NOUN: &'static str = "DNS domain";
    const PARAMETER: &'static str = "";
    type View = ();

    fn view(_: &Object<Self>, _: &Snapshot) {}

    fn scope(_: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Operators
    }
}

impl Placed for Domain {
    const OBJECT: ObjectKind = ObjectKind::DnsZone;

    /// Also on its way out: an edge that made it may not have told so yet.
    fn agents(_: &Object<Self>, snapshot: &Snapshot) -> Vec<Id> {
        edge::agents(snapshot)
    }

    fn specification(
        object: &Object<Self>,
        _: Id,
        snapshot: &Snapshot,
        _: &Environment,
    ) -> Option<Specification> {
        Some(Specification::DnsZone(contents::zone(object, snapshot)))
    }
}

/// Who has a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Project(Id),
    Region(Id),
}

/// Refuses a domain that is not an account's to take: every gateway asks the edges, so whoever has a domain answers
/// for it to everybody. Operators take any; others one below that of a region, which nobody has, nor one above or
/// below it.
///
/// # Errors
/// 403 or 409.
pub(crate) fn refuse_foreign(name: &str, call: &Call<'_>) -> Result<(), ApiError> {
    if call.caller.is_operator() {
        return Ok(());
    }
    let name = name.to_ascii_lowercase();
    let is_below = |name: &str, above: &str| name.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'));
    let regions = call.snapshot.all::<Region>();
    let allowed: Vec<&str> = regions.map(|region| region.spec.domain.as_str()).collect();
    if !allowed.iter().any(|domain| is_below(&name, &domain.to_ascii_lowercase())) {
        return Err(ApiError::forbidden(format!(
            "`domain`: {name} is not below the domain of a region ({}); take one that is, or ask an administrator",
            allowed.join(", ")
        )));
    }
    let taken = call.snapshot.all::<Domain>().any(|domain| {
        let other = &domain.spec.name;
        let touches = *other == name || is_below(other, &name) || is_below(&name, other);
        touches && !domain.spec.projects.is_empty()
    });
    if taken {
        return Err(ApiError::conflict(format!(
            "`domain`: {name}, or one above or below it, is taken; take another"
        )));
    }
    Ok(())
}

/// The domain of this name, if anybody has it.
pub(crate) fn named<'a>(name: &str, snapshot: &'a Snapshot) -> Option<&'a Object<Domain>> {
    snapshot.claimed::<Domain>(&Domain::name_claim(name))
}

/// The domain of a project or region, if it has one.
pub(crate) fn of(owner: Id, snapshot: &Snapshot) -> Option<Key> {
    snapshot.referrers::<Domain>(owner).find(|domain| !domain.is_deleting()).map(Object::key)
}

/// Gives a domain to an owner.
pub(crate) fn join(
    name: &str,
    owner: Owner,
    snapshot: &Snapshot,
    now: Timestamp,
    transaction: &mut Transaction,
) {
    let held = named(name, snapshot);
    let mut spec = held.map_or_else(
        || Domain { name: name.to_ascii_lowercase(), projects: Vec::new(), regions: Vec::new() },
        |domain| domain.spec.clone(),
    );
    match owner {
        Owner::Project(id) => spec.projects.push(id),
        Owner::Region(id) => spec.regions.push(id),
    }
    match held {
        Some(domain) => transaction.update(domain, spec),
        None => {
            transaction.create(Id::generate(), spec, now);
        }
    }
}

/// Takes a domain from an owner.
pub(crate) fn leave(
    name: &str,
    owner: Owner,
    snapshot: &Snapshot,
    now: Timestamp,
    transaction: &mut Transaction,
) {
    let Some(domain) = named(name, snapshot) else { return };
    let mut spec = domain.spec.clone();
    spec.projects.retain(|id| owner != Owner::Project(*id));
    spec.regions.retain(|id| owner != Owner::Region(*id));
    let last = !spec.has_owner();
    transaction.update(domain, spec);
    if last {
        transaction.mark_deleting(domain, now);
    }
}

/// Gives their domains to projects and regions that have none yet: those of a store from before there were any.
pub fn missing(snapshot: &Snapshot, now: Timestamp) -> Option<Transaction> {
    // One at a time, since owners may share a domain.
    let project = snapshot.all::<Project>().find_map(|project| {
        let name = project.spec.domain.clone()?;
        of(project.id(), snapshot).is_none().then_some((name, Owner::Project(project.id())))
    });
    let region = || {
        let mut regions = snapshot.all::<Region>();
        let region = regions.find(|region| of(region.id(), snapshot).is_none())?;
        Some((region.spec.domain.clone(), Owner::Region(region.id())))
    };
    let (name, owner) = project.or_else(region)?;
    let mut transaction = Transaction::default();
    join(&name, owner, snapshot, now, &mut transaction);
    Some(transaction)
}
