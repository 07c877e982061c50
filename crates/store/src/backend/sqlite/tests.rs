//! What only SQLite's own limits can show: a full disk, and a write-ahead log that stays small.

use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::Sqlite;
use crate::entity::Entity;
use crate::registry::Registry;
use crate::seal::Sealer;
use crate::store::{CommitError, Store};
use crate::transaction::{Actor, Transaction};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
}

impl Entity for Note {
    const KIND: &'static str = "note";
    type Status = ();
}

fn open(directory: &TempDir) -> Sqlite {
    Sqlite::open(&directory.path().join("store.db"), Sealer::new(&[1; 32])).unwrap()
}

fn start(sqlite: Sqlite) -> Store {
    Store::open(sqlite, Registry::default().with::<Note>()).unwrap()
}

fn actor() -> Actor {
    Actor::internal("test", "")
}

async fn write(store: &Store, length: usize) -> Result<Id, CommitError> {
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, Note { text: "x".repeat(length) }, Timestamp::now());
    store.commit(transaction, actor()).await.map(|_| id)
}

fn ids(store: &Store) -> Vec<Id> {
    store.snapshot().all::<Note>().map(crate::object::Object::id).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let directory = TempDir::new().unwrap();
    let sqlite = open(&directory);
    sqlite.connection.pragma_update(None, "max_page_count", 100).unwrap();
    let store = start(sqlite);
    let mut written = Vec::new();
    let error = loop {
        match write(&store, 20_000).await {
            Ok(id) => written.push(id),
            Err(error) => break error,
        }
    };
    let source = std::error::Error::source(&error).unwrap();
    let cause = std::error::Error::source(source).unwrap();
    assert_eq!(cause.to_string(), "database or disk is full");
    assert!(written.len() > 5, "only {} fit", written.len());
    assert_eq!(ids(&store), written);
    assert_eq!(store.snapshot().revision(), written.len() as u64);

    // It goes on failing without harm, and removing something makes room.
    assert!(matches!(write(&store, 20_000).await, Err(CommitError::Backend(_))));
    let mut removal = Transaction::default();
    removal.delete(store.snapshot().get::<Note>(written.remove(0)).unwrap());
    removal.delete(store.snapshot().get::<Note>(written.remove(0)).unwrap());
    store.commit(removal, actor()).await.unwrap();
    written.push(write(&store, 20_000).await.unwrap());
    store.close().await;
    assert_eq!(ids(&start(open(&directory))), written);
}

#[tokio::test]
async fn the_write_ahead_log_is_cut() {
    let directory = TempDir::new().unwrap();
    let store = start(open(&directory));
    let wal = || directory.path().join("store.db-wal").metadata().unwrap().len();
    // One transaction that is larger than what is to be kept.
    let mut large = Transaction::default();
    for _ in 0..30 {
        large.create(Id::generate(), Note { text: "x".repeat(1 << 20) }, Timestamp::now());
    }
    store.commit(large, actor()).await.unwrap();
    assert!(wal() > 30 << 20);
    for _ in 0..3 {
        write(&store, 1).await.unwrap();
    }
    assert!(wal() <= 16 << 20, "{} bytes are kept", wal());
}
