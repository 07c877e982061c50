//! The kinds that a store holds, and how their documents are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_types::Id;
use serde_json::Value;

use crate::entity::Entity;
use crate::object::{AnyObject, Object};

type Decode = fn(Id, u64, &str) -> Result<Arc<dyn AnyObject>, serde_json::Error>;
type Upgrade = fn(u32, Value) -> Result<Value, String>;

#[derive(Debug, Clone, Copy)]
struct Row {
    index: usize,
    ranked: bool,
    schema: u32,
    decode: Decode,
    upgrade: Upgrade,
}

/// The list of kinds.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    rows: BTreeMap<&'static str, Row>,
}

/// Why a document at rest cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("this version does not know the kind `{0}`; start the version that wrote it")]
    UnknownKind(String),
    #[error(
        "{kind} {id} has schema {found}, newer than the {known} known here; start the version that wrote it"
    )]
    Newer { kind: String, id: Id, found: u32, known: u32 },
    #[error("{kind} {id} cannot be upgraded: {reason}")]
    Upgrade { kind: String, id: Id, reason: String },
    #[error("the document of {kind} {id} is damaged")]
    Damaged { kind: String, id: Id, source: serde_json::Error },
}

impl Registry {
    /// Adds a kind.
    #[must_use]
    pub fn with<E: Entity>(mut self) -> Self {
        let index = self.rows.len();
        self.rows.entry(E::KIND).or_insert(Row {
            index,
            ranked: E::RANKED,
            schema: E::SCHEMA,
            decode: decode::<E>,
            upgrade: E::upgrade,
        });
        self
    }

    /// How many kinds there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The place of a kind in tables that are indexed by kind.
    pub(crate) fn index(&self, kind: &str) -> Option<usize> {
        self.rows.get(kind).map(|row| row.index)
    }

    /// The places of the kinds whose objects are ranked.
    pub(crate) fn ranked(&self) -> impl Iterator<Item = usize> {
        self.rows.values().filter(|row| row.ranked).map(|row| row.index)
    }

    /// Reads a document, upgrading it step by step. The flag says whether it was upgraded.
    pub(crate) fn decode(
        &self,
        kind: &str,
        id: Id,
        revision: u64,
        schema: u32,
        document: &str,
    ) -> Result<(Arc<dyn AnyObject>, bool), DecodeError> {
        let row = self.rows.get(kind).ok_or_else(|| DecodeError::UnknownKind(kind.to_owned()))?;
        let damaged = |source| DecodeError::Damaged { kind: kind.to_owned(), id, source };
        if schema > row.schema {
            return Err(DecodeError::Newer { kind: kind.to_owned(), id, found: schema, known: row.schema });
        }
        if schema == row.schema {
            return Ok(((row.decode)(id, revision, document).map_err(damaged)?, false));
        }
        let mut value: Value = serde_json::from_str(document).map_err(damaged)?;
        for from in schema..row.schema {
            value = (row.upgrade)(from, value).map_err(|reason| DecodeError::Upgrade {
                kind: kind.to_owned(),
                id,
                reason,
            })?;
        }
        Ok(((row.decode)(id, revision, &value.to_string()).map_err(damaged)?, true))
    }
}

fn decode<E: Entity>(id: Id, revision: u64, document: &str) -> Result<Arc<dyn AnyObject>, serde_json::Error> {
    let mut object: Object<E> = serde_json::from_str(document)?;
    object.meta.id = id;
    object.meta.revision = revision;
    Ok(Arc::new(object))
}
