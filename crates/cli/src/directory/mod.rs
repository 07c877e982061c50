//! Finds objects: by id, by name, by where they are.
//!
//! Promises: a collection is read once per command, in one request where the controller knows bulk reads,
//! else by several reads at once; a name that fits several objects is an error that lists them; one that
//! fits none suggests its neighbours.

mod parallel;
mod pick;
mod scope;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_types::Id;
use serde_json::Value;

use crate::client::{Client, Request};
use crate::error::{Error, Failure, Result};
use crate::kind::{self, Kind, fill, placeholders};
use crate::object::Object;

pub use parallel::parallel;
pub use scope::Scope;

type Collection = Arc<Vec<Object>>;

/// The objects of one controller, as far as this command has met them.
#[derive(Debug)]
pub struct Directory<'a> {
    client: &'a Client<'a>,
    collections: Mutex<BTreeMap<String, Collection>>,
    /// The collections in which objects were met whose path tells a parent, by their ids.
    homes: Mutex<BTreeMap<String, String>>,
}

/// Names of objects by kind and id.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<(&'static str, String), String>);

impl Names {
    /// The name of an object, when it is known.
    pub fn get(&self, kind: &str, id: &str) -> Option<String> {
        let kind = kind::find(kind).ok()?;
        self.0.get(&(kind.name, id.to_owned())).cloned()
    }

    /// Adds a name.
    pub fn insert(&mut self, kind: &'static str, id: &str, name: &str) {
        self.0.insert((kind, id.to_owned()), name.to_owned());
    }
}

impl<'a> Directory<'a> {
    /// A directory that has met nothing yet.
    pub const fn new(client: &'a Client<'a>) -> Self {
        Self { client, collections: Mutex::new(BTreeMap::new()), homes: Mutex::new(BTreeMap::new()) }
    }

    /// The client beneath.
    pub const fn client(&self) -> &'a Client<'a> {
        self.client
    }

    /// Reads one object afresh.
    ///
    /// # Errors
    /// What the controller says, the object named.
    pub fn read(&self, kind: &'static Kind, id: &str) -> Result<Object> {
        let path = self.path_of(kind, id)?;
        self.read_at(kind, id, path)
    }

    fn read_at(&self, kind: &'static Kind, id: &str, path: String) -> Result<Object> {
        self.client
            .get(path)
            .and_then(Object::from_json)
            .map_err(|error| error.during(format!("cannot read {} {id}", kind.name)))
    }

    /// The path of an object. Where it tells a parent, the lists of all parents are looked through, unless
    /// the object was met already.
    ///
    /// # Errors
    /// Not found, when no list holds it; those of the lists.
    pub fn path_of(&self, kind: &'static Kind, id: &str) -> Result<String> {
        if !kind.is_nested() {
            return Ok(format!("{}/{id}", kind.path));
        }
        if self.home_of(id).is_none() {
            self.list(kind, &Scope::EMPTY)?;
        }
        let home = self.home_of(id).ok_or_else(|| {
            Error::new(Failure::NotFound, format!("there is no {} `{id}`", kind.name))
                .hint(format!("see them with `freehold get {}`", kind.name))
        })?;
        Ok(format!("{home}/{id}"))
    }

    fn home_of(&self, id: &str) -> Option<String> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The objects of a kind that are within a scope, ordered by name.
    ///
    /// # Errors
    /// When the kind cannot be listed by that scope, or the controller refuses.
    pub fn list(&self, kind: &'static Kind, scope: &Scope) -> Result<Vec<Object>> {
        match scope::narrowest(kind, scope.iter().map(|(name, _)| name))? {
            Some(template) => self.list_within(kind, template, scope),
            None if kind.listed => Ok(sorted(self.collection(kind, kind.path)?.to_vec())),
            None => self.gather(kind),
        }
    }

    /// The objects of a kind without a collection of all: those of every sub-collection. One that is not
    /// for us holds nothing, as long as another one is.
    fn gather(&self, kind: &'static Kind) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        let mut refusal = None;
        for template in kind.within {
            match self.list_within(kind, template, &Scope::EMPTY) {
                Ok(found) => objects.push(found),
                Err(error) if error.failure() == Failure::Denied => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        match refusal {
            Some(error) if objects.is_empty() => Err(error),
            _ => Ok(sorted(objects.concat())),
        }
    }

    /// The objects of a sub-collection, for every parent that the scope leaves open.
    fn list_within(&self, kind: &'static Kind, template: &'static str, scope: &Scope) -> Result<Vec<Object>> {
        let given = self.identify(scope)?;
        let mut places = vec![given.clone()];
        for open in placeholders(template).filter(|name| !given.contains_key(name)) {
            let parent = kind::find(open)?;
            let ids: Vec<String> =
                self.collection(parent, parent.path)?.iter().map(|object| object.id().to_owned()).collect();
            places = places
                .into_iter()
                .flat_map(|place| {
                    ids.iter().map(move |id| {
                        let mut place = place.clone();
                        place.insert(open, id.clone());
                        place
                    })
                })
                .collect();
        }
        let lists = parallel(&places, |place| {
            let path = fill(template, |name| place.get(name).cloned()).unwrap_or_default();
            self.collection(kind, &path)
        });
        let mut objects = BTreeMap::new();
        for list in lists {
            objects.extend(list?.iter().map(|object| (object.id().to_owned(), object.clone())));
        }
        Ok(sorted(objects.into_values().collect()))
    }

    /// Finds an object by name or id, looking only within the scope.
    ///
    /// # Errors
    /// Not found, with neighbours; or usage, with the candidates, when several have the name.
    pub fn find(&self, kind: &'static Kind, text: &str, scope: &Scope) -> Result<Object> {
        if text.parse::<Id>().is_ok() {
            return self.read(kind, text);
        }
        let objects = self.list(kind, scope)?;
        pick::pick(kind, text, &objects).cloned()
    }

    /// The id of an object by name or id; an id is taken as it is. Whatever of `around` narrows the
    /// search is used.
    ///
    /// # Errors
    /// As [`Directory::find`].
    pub fn id_of(&self, kind: &'static Kind, text: &str, around: &Scope) -> Result<String> {
        if text.parse::<Id>().is_ok() {
            return Ok(text.to_owned());
        }
        let scope = scope::useful(kind, around);
        self.find(kind, text, &scope).map(|object| object.id().to_owned())
    }

    /// Finds the parent of an object by looking where it is listed.
    ///
    /// # Errors
    /// Not found when no list holds it.
    pub fn parent_of(&self, child: &'static Kind, id: &str, parent: &'static str) -> Result<String> {
        let parent_kind = kind::find(parent)?;
        for candidate in self.collection(parent_kind, parent_kind.path)?.iter() {
            let scope = Scope::of([(parent, candidate.id())]);
            if self.list(child, &scope)?.iter().any(|object| object.id() == id) {
                return Ok(candidate.id().to_owned());
            }
        }
        let message = format!("cannot tell the {} of {} {id}", parent_kind.name, child.name);
        Err(Error::new(Failure::NotFound, message).hint(format!("give it with `--{parent}`")))
    }

    /// The names of some kinds. What one may not list stays unnamed.
    ///
    /// # Errors
    /// Those of the way to the controller.
    pub fn names(&self, kinds: &[&'static str]) -> Result<Names> {
        let mut names = Names::default();
        for name in kinds {
            let kind = kind::find(name)?;
            match self.list(kind, &Scope::EMPTY) {
                Ok(objects) => {
                    for object in &objects {
                        names.insert(kind.name, object.id(), object.name());
                    }
                }
                Err(error) if matches!(error.failure(), Failure::Denied | Failure::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }

    /// Forgets the collections, after something was changed.
    pub fn forget(&self) {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The ids for the names of a scope. A region narrows the search for a zone, and so on.
    fn identify(&self, scope: &Scope) -> Result<BTreeMap<&'static str, String>> {
        let mut ids: BTreeMap<&'static str, String> = BTreeMap::new();
        for (name, text) in scope.iter() {
            let around = Scope::of(ids.iter().map(|(name, id)| (*name, id.as_str())));
            ids.insert(name, self.id_of(kind::find(name)?, text, &around)?);
        }
        Ok(ids)
    }

    fn collection(&self, kind: &'static Kind, path: &str) -> Result<Collection> {
        if let Some(known) = self.collections.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(Arc::clone(known));
        }
        let objects = Arc::new(self.read_collection(kind, path)?);
        self.collections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), Arc::clone(&objects));
        Ok(objects)
    }

    fn read_collection(&self, kind: &'static Kind, path: &str) -> Result<Vec<Object>> {
        let request = Request::get(path).query("expand", "true");
        let answer = self
            .client
            .send(&request)
            .map_err(|error| error.during(format!("cannot list {}", kind.plural)))?;
        let items = match answer.body {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                return Err(Error::new(
                    Failure::General,
                    format!("the list of {} is not a list", kind.plural),
                ));
            }
        };
        let (ids, objects): (Vec<Value>, Vec<Value>) = items.into_iter().partition(Value::is_string);
        let mut objects = objects.into_iter().map(Object::from_json).collect::<Result<Vec<_>>>()?;
        let read = |id: &Value| {
            let id = id.as_str().unwrap_or_default();
            // Only a nested collection is the path of its objects too.
            let base = if kind.is_nested() { path } else { kind.path };
            self.read_at(kind, id, format!("{base}/{id}"))
        };
        for read in parallel(&ids, read) {
            match read {
                Ok(object) => objects.push(object),
                // Removed between the list and the read.
                Err(error) if error.failure() == Failure::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if kind.is_nested() {
            let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
            homes.extend(objects.iter().map(|object| (object.id().to_owned(), path.to_owned())));
        }
        Ok(objects)
    }
}

fn sorted(mut objects: Vec<Object>) -> Vec<Object> {
    objects.sort_by(|a, b| (a.name(), a.id()).cmp(&(b.name(), b.id())));
    objects
}
