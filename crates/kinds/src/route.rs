//! Rows of the route table: path, verb, permission, models and handler in one place.

use std::sync::OnceLock;

use freehold_store::{Key, Snapshot, Transaction};
use freehold_types::wire::OperatingSystem;
use freehold_types::{ApiError, Id, Secret, Timestamp};
use freehold_web::openapi::{Operation, Parameter, SchemaOf};
use freehold_web::query::Query;
use serde::de::DeserializeOwned;

use crate::access::Caller;
use crate::environment::Environment;
use crate::kind::Kind;
use crate::{crud, password, registry};

/// What an identity needs to call a row. Beside it, every object that the path, the query or the body
/// names must be visible to the caller; another tenant's object is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Nothing at all.
    Public,
    /// Any account; what it may know of is decided per object.
    Account,
    /// The super administrator.
    Operator,
    /// At least a project administrator.
    ProjectAdministrator,
}

/// Where a request names another object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A query parameter.
    Query(&'static str, &'static str),
    /// A field of the body: an id or a list of ids.
    Body(&'static str, &'static str),
}

/// What comes back when it worked.
#[derive(Debug, Clone, Copy)]
pub enum Success {
    /// 200 with a model.
    Model(SchemaOf),
    /// 201 with a model.
    Created(SchemaOf),
    /// 200, empty (JSON `null`).
    Done,
    /// 204.
    NoContent,
}

/// A request as a handler sees it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub snapshot: &'a Snapshot,
    pub caller: &'a Caller,
    pub ids: &'a [Id],
    pub query: &'a Query,
    pub body: &'a [u8],
    pub now: Timestamp,
    pub environment: &'a Environment,
    pub memo: &'a Memo,
}

/// What is costly to make and may be made once per request, however often its handler runs.
#[derive(Debug, Default)]
pub struct Memo {
    password: OnceLock<MachinePassword>,
}

/// A generated password of a machine, and its crypt(3) hash.
#[derive(Debug, Clone)]
pub struct MachinePassword {
    pub text: Secret<String>,
    pub hash: Secret<String>,
}

impl MachinePassword {
    /// As the seed of a machine needs it.
    pub fn for_system(&self, os: OperatingSystem) -> Secret<String> {
        match os {
            OperatingSystem::Linux => self.hash.clone(),
            OperatingSystem::Windows => self.text.clone(),
        }
    }
}

impl Memo {
    /// The machine password of this request: the given one, or a generated one.
    ///
    /// # Errors
    /// 500 when it cannot be hashed.
    pub fn machine_password(&self, given: Option<&Secret<String>>) -> Result<&MachinePassword, ApiError> {
        if let Some(known) = self.password.get() {
            return Ok(known);
        }
        let text = given.cloned().unwrap_or_else(|| password::generate(32, 10));
        let hash = password::crypt(text.expose())?;
        Ok(self.password.get_or_init(|| MachinePassword { text, hash }))
    }
}

impl Call<'_> {
    /// The body as a model.
    ///
    /// # Errors
    /// 400.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        freehold_web::json::read(self.body)
    }

    /// The n-th id of the path. The engine has checked that there are as many as the path has parameters.
    pub fn id(&self, position: usize) -> Id {
        self.ids.get(position).copied().unwrap_or(Id::from_u64(0))
    }

    /// An object that the path names.
    ///
    /// # Errors
    /// 404.
    pub fn object<K: Kind>(&self, position: usize) -> Result<&freehold_store::Object<K>, ApiError> {
        self.find(self.id(position))
    }

    /// An object by id.
    ///
    /// # Errors
    /// 404.
    pub fn find<K: Kind>(&self, id: Id) -> Result<&freehold_store::Object<K>, ApiError> {
        self.snapshot.get::<K>(id).ok_or_else(|| not_found::<K>(id))
    }

    /// An id in the query; an unknown one is 404.
    ///
    /// # Errors
    /// 400 when it is not an id, 404 when there is no such object.
    pub fn query_object<K: Kind>(&self, name: &str) -> Result<Option<&freehold_store::Object<K>>, ApiError> {
        self.query.parse::<Id>(name, "an id")?.map(|id| self.find::<K>(id)).transpose()
    }
}

/// The failure for an object that does not exist, or is not the caller's to know.
pub fn not_found<K: Kind>(id: Id) -> ApiError {
    ApiError::not_found(format!("there is no {} with the id {id}", K::NOUN))
}

/// What a handler decided.
#[derive(Debug, Default)]
pub struct Outcome {
    pub transaction: Transaction,
    pub reply: Reply,
    /// What a client that waits is waiting for.
    pub wait: Option<Wait>,
    /// A machine whose node must be asked where its screen is; the answer is that.
    pub ask: Option<Key>,
}

/// What to answer once the transaction is committed.
#[derive(Debug, Default)]
pub enum Reply {
    /// As [`Success`] says, without a body.
    #[default]
    Empty,
    /// The public form of an object, as it is after the commit.
    Object(Key),
    /// A ready JSON text.
    Json(Vec<u8>),
    /// A page for people.
    Html(String),
}

/// What a client that waits is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The object is what it should be on its host.
    Settled(Key),
    /// The object is gone.
    Gone(Key),
}

impl Outcome {
    /// An answer without a write.
    ///
    /// # Errors
    /// 500 when the value has no JSON form.
    pub fn json(value: &impl serde::Serialize) -> Result<Self, ApiError> {
        let text = serde_json::to_vec(value)
            .map_err(|error| ApiError::internal(format!("the answer has no JSON form: {error}")))?;
        Ok(Self { reply: Reply::Json(text), ..Self::default() })
    }

    /// A write, answered with the object it made or changed.
    pub fn object(transaction: Transaction, key: Key) -> Self {
        Self { transaction, reply: Reply::Object(key), ..Self::default() }
    }

    /// A write, answered without a body.
    pub fn done(transaction: Transaction) -> Self {
        Self { transaction, ..Self::default() }
    }

    /// The same, with something that a client can wait for.
    #[must_use]
    pub fn waiting(self, wait: Wait) -> Self {
        Self { wait: Some(wait), ..self }
    }
}

/// A pure handler: it may run more than once for one request, and only the last result counts.
pub type Handler = fn(&Call<'_>) -> Result<Outcome, ApiError>;

/// One row of the route table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Upper case.
    pub method: &'static str,
    /// Below the base path, with parameters in braces.
    pub path: &'static str,
    /// The name of the operation in the contract.
    pub operation: &'static str,
    pub permission: Permission,
    pub handler: Handler,
    pub body: Option<SchemaOf>,
    pub query: &'static [Parameter],
    pub links: &'static [Link],
    pub success: Success,
    /// Hashes passwords: run off the request threads, and limited per peer.
    pub heavy: bool,
    /// Fields of the answer that clients from before contract 0.58 refuse.
    pub new_fields: &'static [&'static str],
    /// Whether this is beyond the public contract.
    pub extension: bool,
}

impl Row {
    /// A row; the rest by the methods below.
    pub const fn new(
        method: &'static str,
        path: &'static str,
        operation: &'static str,
        permission: Permission,
        success: Success,
        handler: Handler,
    ) -> Self {
        Self {
            method,
            path,
            operation,
            permission,
            handler,
            body: None,
            query: &[],
            links: &[],
            success,
            heavy: false,
            new_fields: &[],
            extension: false,
        }
    }

    /// Takes a body.
    #[must_use]
    pub const fn body(self, body: SchemaOf) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Takes query parameters.
    #[must_use]
    pub const fn query(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }

    /// Names other objects outside the path.
    #[must_use]
    pub const fn links(self, links: &'static [Link]) -> Self {
        Self { links, ..self }
    }

    /// Hashes passwords.
    #[must_use]
    pub const fn heavy(self) -> Self {
        Self { heavy: true, ..self }
    }

    /// Answers with fields that older clients refuse.
    #[must_use]
    pub const fn new_fields(self, new_fields: &'static [&'static str]) -> Self {
        Self { new_fields, ..self }
    }

    /// Is not in the public contract.
    #[must_use]
    pub const fn extension(self) -> Self {
        Self { extension: true, ..self }
    }

    /// The names of the path's parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The status of a success.
    pub const fn status(&self) -> u16 {
        match self.success {
            Success::Model(_) | Success::Done => 200,
            Success::Created(_) => 201,
            Success::NoContent => 204,
        }
    }

    /// The failures that may occur, as the contract lists them per sort of operation, and ours beside them.
    pub fn errors(&self) -> &'static [u16] {
        match (self.method, self.body.is_some(), matches!(self.success, Success::Created(_))) {
            _ if matches!(self.permission, Permission::Public) => {
                &[400, 401, 404, 413, 415, 422, 429, 500, 503]
            }
            ("GET", ..) => &[400, 401, 403, 404, 422, 500, 503],
            ("DELETE", ..) => &[400, 401, 403, 404, 409, 422, 500, 503],
            (_, _, true) => &[400, 401, 403, 404, 409, 413, 415, 422, 500, 503, 507],
            (_, true, _) => &[400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503, 507],
            _ => &[400, 401, 403, 404, 409, 422, 429, 500, 503],
        }
    }

    /// The model of what it lists, if it can give whole objects instead of ids.
    fn expanded(&self) -> Option<SchemaOf> {
        self.query.contains(&crud::EXPAND).then(|| registry::by_list(self.path)?.model).flatten()
    }

    /// The row as the OpenAPI document shows it.
    pub fn describe(&self, tag: &'static str) -> Operation {
        Operation {
            id: self.operation,
            tag,
            method: match self.method {
                "GET" => "get",
                "POST" => "post",
                "PUT" => "put",
                "PATCH" => "patch",
                _ => "delete",
            },
            path: self.path,
            summary: self.operation,
            public: self.permission == Permission::Public,
            body: self.body,
            query: self.query,
            status: self.status(),
            answer: match self.success {
                Success::Model(model) | Success::Created(model) => Some(model),
                Success::Done | Success::NoContent => None,
            },
            expanded: self.expanded(),
            errors: self.errors(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_gives_in_full_is_described() {
        let lists = registry::rows().filter(|(_, row)| row.query.contains(&crud::EXPAND));
        let (found, missing): (Vec<&Row>, Vec<&Row>) =
            lists.map(|(_, row)| row).partition(|row| row.expanded().is_some());
        assert!(found.len() > 20 && missing.is_empty(), "{missing:?}");
        let noun = |path: &str| registry::by_list(path).map(|entry| entry.noun);
        assert_eq!(noun("/kaktus/{kaktusId}/instances"), Some("instance"));
        assert_eq!(noun("/zone/{zoneId}/kaktuses"), noun("/kaktus"));
        assert_eq!(noun("/project/{projectId}/cost"), None);
    }
}
