//! Who asks, and what they may know: authentication, and the checks made before any handler runs.

use freehold_store::{Actor, AnyObject, Key, Snapshot};
use freehold_types::wire::Role;
use freehold_types::{ApiError, Id, Timestamp};
use freehold_web::credentials::Credentials;
use freehold_web::query::Query;
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::crud;
use crate::environment::Environment;
use crate::key;
use crate::kind::Scope;
use crate::project::Project;
use crate::registry;
use crate::route::{Link, Permission, Row};
use crate::session::{self, Session};
use crate::team::Team;
use crate::token::{Owner, Token};
use crate::user::User;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Nobody in particular; only public operations are open.
    Nobody,
    /// The holder of the master key, which is no account.
    Master,
    /// An account.
    User { id: Id, name: String },
}

/// An authenticated request's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub identity: Identity,
    pub role: Role,
    /// The session that the request came with, so that it can be ended.
    pub session: Option<Id>,
}

impl Caller {
    /// Nobody.
    pub const fn nobody() -> Self {
        Self { identity: Identity::Nobody, role: Role::User, session: None }
    }

    /// The holder of the master key.
    pub const fn master() -> Self {
        Self { identity: Identity::Master, role: Role::SuperAdmin, session: None }
    }

    /// Whether everything is allowed.
    pub fn is_operator(&self) -> bool {
        self.role == Role::SuperAdmin && self.identity != Identity::Nobody
    }

    /// The account, when it is one.
    pub const fn user(&self) -> Option<Id> {
        match self.identity {
            Identity::User { id, .. } => Some(id),
            Identity::Nobody | Identity::Master => None,
        }
    }

    /// Whether a team of the account is attached to the project.
    pub fn is_member(&self, project: Id, snapshot: &Snapshot) -> bool {
        let (Some(user), Some(project)) = (self.user(), snapshot.get::<Project>(project)) else {
            return false;
        };
        snapshot.referrers::<Team>(user).any(|team| project.spec.teams.contains(&team.id()))
    }

    /// Whether it may know of something.
    pub fn sees(&self, scope: &Scope, snapshot: &Snapshot) -> bool {
        if self.is_operator() {
            return true;
        }
        match scope {
            Scope::Everyone => self.identity != Identity::Nobody,
            Scope::Operators => false,
            Scope::Projects(projects) => projects.iter().any(|project| self.is_member(*project, snapshot)),
            Scope::Users(users) => self.user().is_some_and(|user| users.contains(&user)),
        }
    }

    /// An object as messages may name it to the caller: what it may not know of is somebody else's.
    pub fn describe(&self, object: &dyn AnyObject, snapshot: &Snapshot) -> String {
        let key = object.key();
        let scope = registry::by_kind(key.kind).and_then(|entry| (entry.scope)(snapshot, key.id));
        match scope {
            Some(scope) if self.sees(&scope, snapshot) => crud::describe(object),
            _ => "something of another project".to_owned(),
        }
    }

    /// How the change log names it.
    pub fn actor(&self, from: String, why: String) -> Actor {
        let who = match &self.identity {
            Identity::Nobody => "anonymous".to_owned(),
            Identity::Master => "master key".to_owned(),
            Identity::User { name, .. } => format!("user {name}"),
        };
        Actor { who, from, why }
    }
}

/// Finds out who presents these credentials. Keys are found by their digest, in constant time.
///
/// # Errors
/// 401 with a reason that does not help to guess.
pub fn authenticate(
    snapshot: &Snapshot,
    credentials: &Credentials,
    environment: &Environment,
    now: Timestamp,
) -> Result<Caller, ApiError> {
    match credentials {
        Credentials::None => Ok(Caller::nobody()),
        Credentials::Key(presented) => {
            let digest = key::digest(presented.expose());
            if bool::from(digest.ct_eq(&environment.master_key_digest)) {
                return Ok(Caller::master());
            }
            by_key(snapshot, &digest, now)
        }
        Credentials::Bearer(presented) => {
            let refused =
                || ApiError::unauthenticated("the session token is not valid or has ended; log in again");
            let claims = session::verify(presented.expose(), environment, now).ok_or_else(refused)?;
            let session = snapshot.get::<Session>(claims.jti).ok_or_else(refused)?;
            account(snapshot, session.spec.user, Some(session.id())).ok_or_else(refused)
        }
    }
}

fn by_key(snapshot: &Snapshot, digest: &[u8; 32], now: Timestamp) -> Result<Caller, ApiError> {
    let refused = || ApiError::unauthenticated("the API key is not valid; ask for a new one");
    let token = snapshot.claimed::<Token>(&Token::key_claim(&key::hex(digest))).ok_or_else(refused)?;
    if token.spec.is_expired(now) {
        return Err(ApiError::unauthenticated("the API key has expired; ask for a new one"));
    }
    match token.spec.owner {
        Owner::User(user) => account(snapshot, user, None).ok_or_else(refused),
        // The key of an agent opens the agents' door only.
        Owner::Agent(_) => Err(refused()),
    }
}

fn account(snapshot: &Snapshot, user: Id, session: Option<Id>) -> Option<Caller> {
    let user = snapshot.get::<User>(user).filter(|user| user.spec.enabled)?;
    let identity = Identity::User { id: user.id(), name: user.spec.name.clone() };
    Some(Caller { identity, role: user.spec.role, session })
}

/// Checks a request against its row: the caller's role, and that each object it names exists and is the
/// caller's to know. Runs before the handler, so that no handler can forget it.
///
/// # Errors
/// 401 without an identity, 403 for a role that is too low, 404 for an object that is absent or another
/// tenant's, 400 for a parameter that is no id.
pub fn authorize(
    row: &Row,
    ids: &[Id],
    query: &Query,
    body: &[u8],
    caller: &Caller,
    snapshot: &Snapshot,
) -> Result<(), ApiError> {
    permitted(row, caller)?;
    if row.permission == Permission::Public {
        return Ok(());
    }
    for (parameter, id) in row.parameters().zip(ids) {
        let entry = registry::by_parameter(parameter)
            .ok_or_else(|| ApiError::internal(format!("no kind has the parameter `{parameter}`")))?;
        visible(entry.kind, *id, caller, snapshot)?;
    }
    let already_named = named_by_target(row, ids, snapshot);
    let mut parsed: Option<Value> = None;
    for link in row.links {
        match *link {
            Link::Query(name, kind) => {
                if let Some(id) = query.parse::<Id>(name, "an id of 24 hexadecimal characters")? {
                    visible(kind, id, caller, snapshot)?;
                }
            }
            Link::Body(field, kind) => {
                let body = match &parsed {
                    Some(body) => body,
                    // A body that is read here and in the handler in two ways could name what nobody checks.
                    None => parsed.insert(freehold_web::json::read(body)?),
                };
                for id in named(body.get(field)).filter(|id| !already_named.contains(id)) {
                    visible(kind, id, caller, snapshot)?;
                }
            }
        }
    }
    Ok(())
}

fn permitted(row: &Row, caller: &Caller) -> Result<(), ApiError> {
    let enough = match row.permission {
        Permission::Public => return Ok(()),
        Permission::Account => true,
        Permission::Operator => caller.is_operator(),
        Permission::ProjectAdministrator => caller.role != Role::User,
    };
    if caller.identity == Identity::Nobody {
        return Err(ApiError::unauthenticated(
            "this needs credentials: send `X-API-Key`, or log in and send `Authorization: Bearer`",
        ));
    }
    if enough {
        return Ok(());
    }
    let needed = if row.permission == Permission::Operator { "superAdmin" } else { "projectAdmin" };
    Err(ApiError::forbidden(format!("this needs the role {needed}; ask an administrator")))
}

/// What the object that a request changes names already. Clients send it back, whoever may see it.
fn named_by_target(row: &Row, ids: &[Id], snapshot: &Snapshot) -> Vec<Id> {
    let target = row.parameters().zip(ids).last().and_then(|(parameter, id)| {
        snapshot.get_any(Key { kind: registry::by_parameter(parameter)?.kind, id: *id })
    });
    match target {
        Some(target) if row.method == "PUT" => target.references().into_iter().map(|link| link.id).collect(),
        _ => Vec::new(),
    }
}

fn named(field: Option<&Value>) -> impl Iterator<Item = Id> {
    let values = match field {
        Some(Value::Array(values)) => values.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    values.iter().filter_map(|value| value.as_str()?.parse().ok())
}

fn visible(kind: &'static str, id: Id, caller: &Caller, snapshot: &Snapshot) -> Result<(), ApiError> {
    let entry = registry::by_kind(kind)
        .ok_or_else(|| ApiError::internal(format!("the kind `{kind}` is not in the registry")))?;
    match (entry.scope)(snapshot, id) {
        Some(scope) if caller.sees(&scope, snapshot) => Ok(()),
        _ => Err(ApiError::not_found(format!("there is no {} with the id {id}", entry.noun))),
    }
}

/// Whether the caller may know of an object of a registered kind.
pub fn sees_object(key: Key, caller: &Caller, snapshot: &Snapshot) -> bool {
    visible(key.kind, key.id, caller, snapshot).is_ok()
}
