//! What most kinds do alike: list, read, update, delete.

use freehold_store::{AnyObject, Entity, Object, Snapshot, Transaction};
use freehold_types::{ApiError, Id};
use freehold_web::openapi::Parameter;

use crate::kind::{Kind, Updatable};
use crate::route::{Call, Outcome, Wait};
use crate::{change, registry};

/// Asks a list for whole objects.
pub(crate) const EXPAND: Parameter =
    Parameter { name: "expand", kind: "boolean", description: "Give whole objects instead of ids." };
const AFTER: Parameter = Parameter { name: "after", kind: "string", description: "Start after this id." };
const COUNT: Parameter =
    Parameter { name: "limit", kind: "integer", description: "Give at most this many, 1 to 10000." };

/// Parameters of every list, beyond the contract: pages, and whole objects instead of ids.
pub const LIST: &[Parameter] = &[EXPAND, AFTER, COUNT];

/// Parameters of a list that always gives whole objects.
pub const PAGE: &[Parameter] = &[AFTER, COUNT];

/// Most items of a page.
const PAGE_LIMIT: usize = 10_000;

/// Answers a list with those that the caller may know of, in order of creation.
///
/// # Errors
/// 400 for bad paging parameters.
pub fn list_of<'a, K: Kind>(
    call: &Call<'_>,
    objects: impl Iterator<Item = &'a Object<K>>,
) -> Result<Outcome, ApiError> {
    let page = page(call, objects)?;
    if call.query.flag("expand")?.unwrap_or(false) {
        let views: Vec<K::View> = page.map(|object| K::view(object, call.snapshot)).collect();
        return Outcome::json(&views);
    }
    Outcome::json(&page.map(Object::id).collect::<Vec<_>>())
}

/// Those of the page asked for that the caller may know of.
///
/// # Errors
/// 400 for bad paging parameters.
pub fn page<'a, K: Kind>(
    call: &Call<'_>,
    objects: impl Iterator<Item = &'a Object<K>>,
) -> Result<impl Iterator<Item = &'a Object<K>>, ApiError> {
    let after = call.query.parse::<Id>("after", "an id")?;
    let limit = call.query.parse::<usize>("limit", "a number from 1 to 10000")?.unwrap_or(usize::MAX);
    if limit == 0 || (limit != usize::MAX && limit > PAGE_LIMIT) {
        return Err(ApiError::malformed("the query parameter `limit` must be a number from 1 to 10000"));
    }
    Ok(objects
        .filter(move |object| after.is_none_or(|after| object.id() > after))
        .filter(|object| call.caller.sees(&K::scope(object, call.snapshot), call.snapshot))
        .take(limit))
}

/// Lists all of a kind.
///
/// # Errors
/// 400 for bad paging parameters.
pub fn list<K: Kind>(call: &Call<'_>) -> Result<Outcome, ApiError> {
    list_of(call, call.snapshot.all::<K>())
}

/// Lists those of a kind that name the object of the path.
///
/// # Errors
/// 400 for bad paging parameters.
pub fn list_children<K: Kind>(call: &Call<'_>) -> Result<Outcome, ApiError> {
    list_of(call, call.snapshot.referrers::<K>(call.id(0)))
}

/// Reads the last object of the path.
///
/// # Errors
/// 404.
pub fn read<K: Kind>(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let object = call.object::<K>(call.ids.len().saturating_sub(1))?;
    Outcome::json(&K::view(object, call.snapshot))
}

/// Updates the last object of the path.
///
/// # Errors
/// 400 for a bad body, 404, 409 while it is being removed, and what the kind says.
pub fn update<K: Updatable>(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let object = call.object::<K>(call.ids.len().saturating_sub(1))?;
    refuse_deleting(object)?;
    let change = changed_body(object, K::READ_ONLY, call)?;
    let spec = K::updated(object, change, call)?;
    let mut transaction = Transaction::default();
    transaction.update(object, spec);
    Ok(Outcome::object(transaction, object.key()))
}

/// Reads a change of an object; clients may send the whole object back.
///
/// # Errors
/// As [`change::read`].
pub fn changed_body<K: Kind, U>(
    object: &Object<K>,
    read_only: &[&str],
    call: &Call<'_>,
) -> Result<U, ApiError>
where
    U: serde::de::DeserializeOwned + schemars::JsonSchema,
{
    change::read(call, K::NOUN, read_only, &K::view(object, call.snapshot))
}

/// Deletes the last object of the path: a record without anything on a host.
///
/// # Errors
/// 404; 409 while something names it.
pub fn delete<K: Kind>(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let object = call.object::<K>(call.ids.len().saturating_sub(1))?;
    refuse_used(object, call.snapshot)?;
    let mut transaction = Transaction::default();
    transaction.delete(object);
    Ok(Outcome::done(transaction))
}

/// Begins the removal of the last object of the path, which has something on hosts.
///
/// # Errors
/// 404; 409 while something names it.
pub fn begin_removal<K: Kind>(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let object = call.object::<K>(call.ids.len().saturating_sub(1))?;
    refuse_used(object, call.snapshot)?;
    let mut transaction = Transaction::default();
    transaction.mark_deleting(object, call.now);
    Ok(Outcome::done(transaction).waiting(Wait::Gone(object.key())))
}

/// Refuses to change what is on its way out.
///
/// # Errors
/// 409.
pub fn refuse_deleting<K: Kind>(object: &Object<K>) -> Result<(), ApiError> {
    if object.is_deleting() {
        return Err(ApiError::conflict(format!("the {} {} is being removed", K::NOUN, named(object))));
    }
    Ok(())
}

/// Refuses to remove what is in use, and says by what.
///
/// # Errors
/// 409.
pub fn refuse_used<K: Kind>(object: &Object<K>, snapshot: &Snapshot) -> Result<(), ApiError> {
    const SHOWN: usize = 3;
    let mut blockers = snapshot.blockers(object.id());
    let shown: Vec<String> =
        blockers.by_ref().take(SHOWN).map(|blocker| describe(blocker.as_ref())).collect();
    if shown.is_empty() {
        return Ok(());
    }
    let more = match blockers.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Err(ApiError::conflict(format!(
        "the {} {} is in use by {}{more}; remove these first",
        K::NOUN,
        named(object),
        shown.join(", "),
    )))
}

/// An object as messages name it: its kind, its name and its id.
pub fn describe(object: &dyn AnyObject) -> String {
    let key = object.key();
    let noun = registry::by_kind(key.kind).map_or(key.kind, |entry| entry.noun);
    match object.label() {
        Some(label) => format!("{noun} `{label}` ({})", key.id),
        None => format!("{noun} {}", key.id),
    }
}

/// The name of an object in quotes, or else its id.
pub fn named<E: Entity>(object: &Object<E>) -> String {
    object.spec.label().map_or_else(|| object.id().to_string(), |label| format!("`{label}`"))
}

/// Refuses a name that another object of the same scope has.
///
/// # Errors
/// 409.
pub fn refuse_taken<K: Kind>(
    snapshot: &Snapshot,
    claim: &str,
    own: Option<Id>,
    name: &str,
) -> Result<(), ApiError> {
    match snapshot.claim(claim) {
        Some(owner) if Some(owner.id) != own => {
            Err(ApiError::conflict(format!("a {} named `{name}` exists already ({})", K::NOUN, owner.id)))
        }
        _ => Ok(()),
    }
}

/// Takes a changed name, or keeps the old one.
///
/// # Errors
/// As [`crate::text::name`].
pub fn changed_name<K: Kind>(current: &str, change: Option<String>) -> Result<String, ApiError> {
    let Some(name) = change.filter(|name| !name.is_empty()) else { return Ok(current.to_owned()) };
    crate::text::name(K::NOUN, &name)?;
    Ok(name)
}

/// Takes a changed description: absent keeps it, an empty one clears it.
///
/// # Errors
/// As [`crate::text::description`].
pub fn changed_description(
    current: Option<&str>,
    change: Option<String>,
) -> Result<Option<String>, ApiError> {
    match change {
        None => Ok(current.map(str::to_owned)),
        some => crate::text::description(some),
    }
}
