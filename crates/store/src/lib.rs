//! Revisioned objects in transactions, held in memory and made durable.
//!
//! The whole state is one immutable [`Snapshot`]; a read is a pointer load. A write is a [`Transaction`]:
//! puts and deletes with the revisions they were decided on. From the objects themselves follow their
//! *claims* (unique keys with one owner), *references* (which must exist, and block removal), *usage*
//! (amounts added up per target) and *rank* (an order within a group). So an index can not drift from
//! the objects, and a claim can not outlive its owner.
//!
//! One writer validates transactions in order and makes them durable in groups; an answered commit
//! survives a power cut, and is visible to every snapshot taken afterwards.
//!
//! This crate knows no kind: they are registered as [`Entity`] types.

pub mod backend;
mod conflict;
mod entity;
mod object;
mod registry;
mod seal;
mod snapshot;
mod store;
mod transaction;
mod watch;
mod writer;

pub use backend::{Backend, BackendError, Head, LogEntry, LogQuery, Record, memory::Memory, sqlite::Sqlite};
pub use conflict::Conflict;
pub use entity::{Amounts, Entity, OnDelete, Reference};
pub use object::{AnyObject, Key, Meta, Object};
pub use registry::{DecodeError, Registry};
pub use seal::{SealError, Sealer};
pub use snapshot::Snapshot;
pub use store::{CommitError, Committed, OpenError, Store};
pub use transaction::{Actor, Transaction};
pub use watch::{Change, Commit, Event, Watch};
