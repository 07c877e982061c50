//! A small world for the tests of kinds: a store in memory, and requests that go through the same gates as
//! those of the engine: the route table, the strict reading of the query, authorization, the handler, the
//! commit, the public form of the answer.
//!
//! Requests are those of the master key unless they say otherwise. See [`fixtures`] for ready accounts and
//! places, and [`node`] for hosts that do what they are asked.

mod fixtures;
mod node;
mod tests;

use std::sync::Arc;
use std::time::Duration;

use freehold_store::{Actor, CommitError, Entity, Memory, Object, Snapshot, Store, Transaction};
use freehold_types::{ApiError, Id, Timestamp};
use freehold_web::credentials::Credentials;
use freehold_web::query::Query;
use serde_json::Value;

use crate::access::{self, Caller};
use crate::environment::Environment;
use crate::mail::Mail;
use crate::registry;
use crate::route::{Call, Memo, Outcome, Reply, Row, Success, Wait};

pub(crate) use fixtures::{PASSWORD, Site};

/// A controller without I/O.
#[derive(Debug)]
pub(crate) struct World {
    store: Store,
    runtime: tokio::runtime::Runtime,
    /// The time of requests. It stands still unless moved.
    pub(crate) now: Timestamp,
    /// Why no machine can leave its host; they can, when there is nothing here.
    pub(crate) rooted: Option<String>,
    pub(crate) environment: Environment,
}

impl World {
    /// Nothing in it.
    pub(crate) fn new() -> Self {
        Self {
            store: Store::open(Memory::default(), registry::store_registry()).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            now: Timestamp::from_millis(1_800_000_000_000),
            rooted: None,
            environment: Environment::for_tests(),
        }
    }

    /// The state.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.store.snapshot()
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// An object, which must exist.
    #[track_caller]
    pub(crate) fn get<E: Entity>(&self, id: Id) -> Object<E> {
        self.find(id).unwrap_or_else(|| panic!("there is no {} {id}", E::KIND))
    }

    /// An object.
    pub(crate) fn find<E: Entity>(&self, id: Id) -> Option<Object<E>> {
        self.snapshot().get::<E>(id).cloned()
    }

    /// All objects of a kind, in order of creation.
    pub(crate) fn all<E: Entity>(&self) -> Vec<Object<E>> {
        self.snapshot().all::<E>().cloned().collect()
    }

    /// Puts an object into the store past all handlers.
    #[track_caller]
    pub(crate) fn put<E: Entity>(&self, spec: E) -> Id {
        let id = Id::generate();
        let mut transaction = Transaction::default();
        transaction.create(id, spec, self.now);
        self.commit(transaction);
        id
    }

    /// Changes an object past all handlers.
    #[track_caller]
    pub(crate) fn change<E: Entity>(&self, id: Id, change: impl FnOnce(&mut Object<E>)) {
        let mut object = self.get::<E>(id);
        change(&mut object);
        let mut transaction = Transaction::default();
        transaction.put(object);
        self.commit(transaction);
    }

    /// Commits what must fit.
    #[track_caller]
    pub(crate) fn commit(&self, transaction: Transaction) {
        if let Err(error) = self.try_commit(transaction) {
            panic!("the transaction does not fit: {error}");
        }
    }

    /// Commits.
    pub(crate) fn try_commit(&self, transaction: Transaction) -> Result<Arc<Snapshot>, CommitError> {
        let commit = self.store.commit(transaction, Actor::internal("test", ""));
        self.runtime.block_on(commit).map(|committed| committed.snapshot)
    }

    /// The outbox, oldest first.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.all::<Mail>().into_iter().map(|mail| mail.spec).collect()
    }

    /// The newest mail.
    #[track_caller]
    pub(crate) fn last_mail(&self) -> Mail {
        self.mails().pop().expect("no mail was queued")
    }

    /// An account as it comes with its credentials.
    #[track_caller]
    pub(crate) fn caller(&self, user: Id) -> Caller {
        let user = self.get::<crate::user::User>(user);
        let identity = access::Identity::User { id: user.id(), name: user.spec.name.clone() };
        Caller { identity, role: user.spec.role, session: None }
    }

    /// A request to an operation of the contract, with the master key.
    #[track_caller]
    pub(crate) fn call(&self, operation: &str) -> Request<'_> {
        let row = registry::rows().map(|(_, row)| row).find(|row| row.operation == operation);
        let row = row.unwrap_or_else(|| panic!("no row is called {operation}"));
        let origin = Origin::Caller(Caller::master());
        Request { world: self, row, origin, ids: Vec::new(), query: String::new(), body: Vec::new() }
    }
}

/// Who sends a request.
#[derive(Debug, Clone)]
enum Origin {
    Caller(Caller),
    Credentials(Credentials),
}

/// A request that is being written.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub(crate) struct Request<'a> {
    world: &'a World,
    row: &'static Row,
    origin: Origin,
    ids: Vec<Id>,
    query: String,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `null` when the answer has no body.
    pub(crate) body: Value,
    pub(crate) wait: Option<Wait>,
}

impl Request<'_> {
    /// From an account.
    #[track_caller]
    pub(crate) fn by(self, user: Id) -> Self {
        let caller = self.world.caller(user);
        self.from(caller)
    }

    /// From a caller.
    pub(crate) fn from(self, caller: Caller) -> Self {
        Self { origin: Origin::Caller(caller), ..self }
    }

    /// With credentials, which are verified when it is sent.
    pub(crate) fn with(self, credentials: Credentials) -> Self {
        Self { origin: Origin::Credentials(credentials), ..self }
    }

    /// Without credentials.
    pub(crate) fn by_nobody(self) -> Self {
        self.with(Credentials::None)
    }

    /// To the objects of these ids, in the order of the path.
    pub(crate) fn to<const N: usize>(self, ids: [Id; N]) -> Self {
        Self { ids: ids.to_vec(), ..self }
    }

    /// With a query, as it stands in the address.
    pub(crate) fn query(self, query: &str) -> Self {
        Self { query: query.to_owned(), ..self }
    }

    /// With a JSON body.
    #[expect(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]
    pub(crate) fn body(self, body: Value) -> Self {
        Self { body: body.to_string().into_bytes(), ..self }
    }

    /// Sends it.
    ///
    /// # Errors
    /// What the client would be told.
    #[track_caller]
    pub(crate) fn send(self) -> Result<Answer, ApiError> {
        let (world, row) = (self.world, self.row);
        let snapshot = world.snapshot();
        assert_eq!(row.parameters().count(), self.ids.len(), "{} takes {}", row.operation, row.path);
        let known: Vec<&str> = row.query.iter().map(|parameter| parameter.name).collect();
        let query = Query::read(Some(&self.query), &known)?;
        let caller = match self.origin {
            Origin::Caller(caller) => caller,
            Origin::Credentials(credentials) => {
                access::authenticate(&snapshot, &credentials, &world.environment, world.now)?
            }
        };
        access::authorize(row, &self.ids, &query, &self.body, &caller, &snapshot)?;
        let outcome = (row.handler)(&Call {
            snapshot: &snapshot,
            caller: &caller,
            ids: &self.ids,
            query: &query,
            body: &self.body,
            now: world.now,
            environment: &world.environment,
            memo: &Memo::default(),
        })?;
        answer(world, row, outcome)
    }

    /// Sends what must work, and gives the body of the answer.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        let operation = self.row.operation;
        match self.send() {
            Ok(answer) => answer.body,
            Err(error) => panic!("{operation} was refused: {error}"),
        }
    }

    /// Sends what must work, and gives the id of the object in the answer.
    #[track_caller]
    pub(crate) fn id(self) -> Id {
        let body = self.ok();
        id_in(&body["id"])
    }

    /// Sends what must work, and gives the ids in the answer.
    #[track_caller]
    pub(crate) fn ids(self) -> Vec<Id> {
        self.ok().as_array().expect("the answer is no list").iter().map(id_in).collect()
    }

    /// Sends what must be refused with this status, and gives the reason.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        let operation = self.row.operation;
        match self.send() {
            Ok(answer) => panic!("{operation} was not refused: {answer:?}"),
            Err(error) => {
                assert_eq!(error.kind.status(), status, "{operation}: {error}");
                error.reason
            }
        }
    }
}

#[track_caller]
fn id_in(value: &Value) -> Id {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no id"))
}

/// Commits what a handler decided, and renders the answer from the state after it.
#[track_caller]
fn answer(world: &World, row: &Row, outcome: Outcome) -> Result<Answer, ApiError> {
    let Outcome { transaction, reply, wait, ask } = outcome;
    let snapshot = world.try_commit(transaction).map_err(|error| ApiError::conflict(error.to_string()))?;
    let body = match reply {
        Reply::Empty => Value::Null,
        Reply::Json(text) => serde_json::from_slice(&text).unwrap(),
        Reply::Object(key) => {
            let entry = registry::by_kind(key.kind).expect("the kind is registered");
            let text = (entry.view)(&snapshot, key.id).expect("the object has a public form").unwrap();
            serde_json::from_slice(&text).unwrap()
        }
        Reply::Html(text) => Value::String(text),
    };
    let has_body = matches!(row.success, Success::Model(_) | Success::Created(_));
    assert!(ask.is_some() || has_body != body.is_null(), "{} answers {body}", row.operation);
    Ok(Answer { status: row.status(), body, wait })
}
