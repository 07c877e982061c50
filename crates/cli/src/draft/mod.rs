//! What the user wants an object to be, from flags or from a document, on its way to a request.
//!
//! Promises: every fault of a draft is found before anything is sent; references are names or ids until
//! the request is made. Pure, apart from the lookups that are passed in.

mod document;
mod flags;
mod placement;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::client::{Method, Request};
use crate::directory::Scope;
use crate::error::{Error, Result};
use crate::kind::{self, Field, Kind, Place, Shape};
use crate::object::Object;

pub use document::read_documents;
pub use flags::{field_args, fixed_args, parent_args, read_fields, read_parents, scope_args};
pub use placement::{Placement, place};

/// What the user wants an object to be.
#[derive(Debug, Clone)]
pub struct Draft {
    pub kind: &'static Kind,
    /// Parents that were named.
    pub parents: Scope,
    /// Values by the key of their field, as the shapes read them.
    pub values: BTreeMap<&'static str, Value>,
    /// Secrets that are still in files, by the key of their field; `-` is standard input.
    pub files: BTreeMap<&'static str, PathBuf>,
    /// The id that a document gave, with which an update finds its object.
    pub id: Option<String>,
}

/// Finds the id of an object of a kind from its name or id.
pub type Lookup<'a> = &'a dyn Fn(&'static Kind, &str) -> Result<String>;

impl Draft {
    /// Nothing said yet.
    pub const fn new(kind: &'static Kind) -> Self {
        Self { kind, parents: Scope::EMPTY, values: BTreeMap::new(), files: BTreeMap::new(), id: None }
    }

    /// What it is called in messages.
    pub fn subject(&self) -> String {
        match self.values.get("name").and_then(Value::as_str).or(self.id.as_deref()) {
            Some(name) => format!("{} {name}", self.kind.name),
            None => self.kind.name.to_owned(),
        }
    }

    /// What is missing or out of place for a creation.
    pub fn faults_of_creation(&self) -> Vec<String> {
        if self.kind.creates.is_empty() {
            return vec![format!(
                "a {} is not created by itself: use `{}`",
                self.kind.name, self.kind.made_by
            )];
        }
        let missing = self.kind.fields.iter().filter(|field| field.presence.required() && !self.has(field));
        missing.map(|field| format!("`{}` is missing ({})", field.key, field.help)).collect()
    }

    /// Whether no field that can be changed is given.
    pub fn changes_nothing(&self) -> bool {
        !self.kind.fields.iter().any(|field| field.presence.in_updates() && self.has(field))
    }

    fn has(&self, field: &Field) -> bool {
        self.values.contains_key(field.key) || self.files.contains_key(field.key)
    }

    /// The request that creates it at a path.
    ///
    /// # Errors
    /// Those of the lookup, the field named.
    pub fn creation(&self, path: String, lookup: Lookup<'_>) -> Result<Request> {
        let mut request = Request::new(Method::Post, path);
        let mut body = Map::new();
        for field in self.kind.fields.iter().filter(|field| field.presence.at_creation()) {
            let Some(value) = self.values.get(field.key) else {
                // The contract wants the list, be it empty.
                if matches!(field.shape, Shape::References(_)) && field.place == Place::Body {
                    put(&mut body, field.wire, Value::Array(Vec::new()));
                }
                continue;
            };
            let value = resolve(field, value, lookup)?;
            match field.place {
                Place::Body => put(&mut body, field.wire, value),
                Place::Query => request = request.query(field.wire, plain(&value)),
            }
        }
        Ok(request.body(Value::Object(body)))
    }

    /// The request that changes an object; `None` when it is as wanted already. A nested object of which
    /// only a part is given keeps the rest. What only steers a creation is passed over. `path` is that of
    /// the object.
    ///
    /// # Errors
    /// Those of the lookup, the field named; usage, when what is fixed differs.
    pub fn update(&self, object: &Object, path: String, lookup: Lookup<'_>) -> Result<Option<Request>> {
        let mut body = Map::new();
        let mut fixed = Vec::new();
        for field in self.kind.fields.iter().filter(|field| field.place == Place::Body) {
            let Some(value) = self.values.get(field.key) else { continue };
            let value = resolve(field, value, lookup)?;
            if same(&field.shape.wish(&value), &field.shape.wish(object.at(field.wire))) {
                continue;
            }
            if !field.presence.in_updates() {
                fixed.push(format!("`{}` is fixed at creation", field.key));
                continue;
            }
            if let Some((outer, _)) = field.wire.split_once('.')
                && !body.contains_key(outer)
                && object.at(outer).is_object()
            {
                body.insert(outer.to_owned(), object.at(outer).clone());
            }
            put(&mut body, field.wire, value);
        }
        faults(&format!("{} {}", self.kind.name, object.name()), fixed)?;
        Ok((!body.is_empty()).then(|| Request::new(Method::Put, path).body(Value::Object(body))))
    }
}

/// Whether a value is what the controller has. It leaves out what is empty, and keeps lists of ids in
/// an order of its own.
fn same(wanted: &Value, present: &Value) -> bool {
    let empty = wanted.as_str() == Some("") || wanted.as_array().is_some_and(Vec::is_empty);
    let sorted = |value: &Value| {
        let mut texts: Vec<String> = value.as_array()?.iter().map(ToString::to_string).collect();
        texts.sort();
        Some(texts)
    };
    wanted == present
        || (empty && present.is_null())
        || sorted(wanted).is_some_and(|wanted| Some(wanted) == sorted(present))
}

/// The faults of a draft as one error.
pub fn faults(subject: &str, faults: Vec<String>) -> Result<()> {
    let mut faults = faults.into_iter();
    let Some(first) = faults.next() else { return Ok(()) };
    let message =
        faults.fold(format!("{subject}: {first}"), |all, fault| format!("{all}\n{subject}: {fault}"));
    Err(Error::usage(message))
}

fn resolve(field: &Field, value: &Value, lookup: Lookup<'_>) -> Result<Value> {
    let Some(target) = field.shape.target() else { return Ok(value.clone()) };
    let target = kind::find(target)?;
    let identify = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        lookup(target, text).map(Value::from).map_err(|error| error.during(format!("field `{}`", field.key)))
    };
    let find = |item: &Value| {
        // A structure names what it refers to under the noun of its kind.
        let Some(name) = item.get(target.name) else { return identify(item) };
        let mut structure = item.clone();
        structure[target.name] = identify(name)?;
        Ok(structure)
    };
    match value.as_array() {
        Some(items) => items.iter().map(find).collect::<Result<_>>().map(Value::Array),
        None => find(value),
    }
}

fn put(body: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        Some((outer, inner)) => {
            let nested = body.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(nested) = nested {
                nested.insert(inner.to_owned(), value);
            }
        }
        None => {
            body.insert(path.to_owned(), value);
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn draft(kind: &str, values: &[(&'static str, Value)]) -> Draft {
        let mut draft = Draft::new(kind::find(kind).unwrap());
        draft.values = values.iter().cloned().collect();
        draft
    }

    fn lookup(kind: &'static Kind, text: &str) -> Result<String> {
        (!text.is_empty()).then(|| format!("{}:{text}", kind.name)).ok_or_else(|| Error::usage("no name"))
    }

    #[test]
    fn a_creation_puts_each_field_in_its_place() {
        let draft = draft(
            "compute",
            &[
                ("name", json!("web")),
                ("vcpus", json!(2)),
                ("memory", json!(1 << 30)),
                ("disk", json!(1_u64 << 34)),
                ("image", json!("debian")),
                ("public", json!(true)),
                ("migratable", json!(false)),
                ("anti_affinity_groups", json!(["g"])),
            ],
        );
        assert!(draft.faults_of_creation().is_empty());
        let request = draft.creation("/x".to_owned(), &lookup).unwrap();
        assert_eq!(request.target(), "/api/v1/x?templateId=image%3Adebian&public=true");
        insta::assert_json_snapshot!(request.body, @r#"
        {
          "disk": 17179869184,
          "kmotion_enabled": false,
          "kwarantines": [
            "anti-affinity-group:g"
          ],
          "memory": 1073741824,
          "name": "web",
          "vcpus": 2
        }
        "#);
    }

    #[test]
    fn lists_of_references_are_sent_even_when_empty() {
        let request = draft("team", &[("name", json!("ops"))]).creation("/team".to_owned(), &lookup).unwrap();
        assert_eq!(request.body, Some(json!({ "name": "ops", "users": [] })));
    }

    #[test]
    fn an_update_of_a_part_keeps_the_rest() {
        let object = Object::from_json(json!({ "id": "1", "quotas": { "vcpus": 8, "memory": 5 } })).unwrap();
        let draft = draft("project", &[("quotas.memory", json!(7)), ("description", json!(""))]);
        let request = draft.update(&object, "/project/1".to_owned(), &lookup).unwrap().unwrap();
        assert_eq!(request.path, "/project/1");
        assert_eq!(request.body, Some(json!({ "quotas": { "vcpus": 8, "memory": 7 } })));
    }

    #[test]
    fn every_fault_is_told() {
        let creation = draft("subnet", &[("name", json!("a"))]);
        let told = faults(&creation.subject(), creation.faults_of_creation()).unwrap_err().to_string();
        insta::assert_snapshot!(told, @r"
        subnet a: `cidr` is missing (Address range, as 10.0.0.0/24)
        subnet a: `gateway` is missing (Address of the upstream gateway)
        ");
        let token = draft("token", &[]);
        insta::assert_snapshot!(
            token.faults_of_creation().join("\n"),
            @"a token is not created by itself: use `freehold token issue user|agent NAME`"
        );
    }

    #[test]
    fn an_update_sends_only_what_differs() {
        let subnet =
            Object::from_json(json!({ "id": "1", "name": "a", "cidr": "10.0.0.0/8", "dns": "10.0.0.1" }));
        let subnet = subnet.unwrap();
        let update = |values: &[(&'static str, Value)]| {
            draft("subnet", values).update(&subnet, "/subnet/1".to_owned(), &lookup)
        };
        let same = [("name", json!("a")), ("cidr", json!("10.0.0.0/8")), ("reserved", json!([]))];
        assert_eq!(update(&same).unwrap(), None);
        let request = update(&[("name", json!("a")), ("dns", json!("10.0.0.2"))]).unwrap().unwrap();
        assert_eq!(request.body, Some(json!({ "dns": "10.0.0.2" })));
        let fixed = update(&[("cidr", json!("10.0.0.0/9"))]).unwrap_err();
        assert_eq!(fixed.to_string(), "subnet a: `cidr` is fixed at creation");
        let group = Object::from_json(json!({ "id": "1", "users": ["user:b", "user:a"] })).unwrap();
        let wanted = draft("team", &[("users", json!(["a", "b"]))]);
        assert_eq!(wanted.update(&group, "/team/1".to_owned(), &lookup).unwrap(), None);
    }

    #[test]
    fn a_structure_is_compared_by_what_was_wished() {
        let gateway = json!({
            "id": "1", "firewall": { "ingress": [], "egress_policy": "accept", "egress": [] },
            "dnat": [{ "destination": "10.0.0.7", "protocol": "tcp", "ports": "80" }],
            "vpc_peerings": [{
                "subnet": "subnet:b", "policy": "drop", "ingress": [], "egress": [],
                "netip": [{ "zone": "z", "private": "10.0.1.5" }],
            }],
        });
        let gateway = Object::from_json(gateway).unwrap();
        let update = |key: &'static str, value: Value| {
            let field = kind::find("gateway").unwrap().field(key).unwrap();
            let values = [(field.key, field.shape.read(&value).unwrap())];
            draft("gateway", &values).update(&gateway, "/kawaii/1".to_owned(), &lookup)
        };
        assert_eq!(update("forwards", json!("tcp/80=10.0.0.7")).unwrap(), None);
        assert_eq!(update("peerings", json!("b")).unwrap(), None);
        assert!(
            update("peerings", json!("b=accept")).unwrap_err().to_string().contains("`peerings` is fixed")
        );
        let request = update("firewall.egress", json!("udp/53@9.9.9.9")).unwrap().unwrap();
        let rule = json!({ "destination": "9.9.9.9", "protocol": "udp", "ports": "53" });
        let firewall = json!({ "ingress": [], "egress_policy": "accept", "egress": [rule] });
        assert_eq!(request.body, Some(json!({ "firewall": firewall })));
    }
}
