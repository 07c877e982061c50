//! How many commits a second many writers get, beside what the medium gives to single commits.
//!
//! `cargo run --release -p freehold-store --example commits [DIRECTORY]`; name a directory on the disk in
//! question, as the temporary one may be in memory.
#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use freehold_store::{Actor, Entity, Memory, Registry, Sealer, Sqlite, Store, Transaction};
use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

const WRITERS: usize = 64;
const SPAN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Thing {
    name: String,
    description: String,
}

impl Entity for Thing {
    const KIND: &'static str = "thing";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![format!("name/{}", self.name)]
    }
}

fn thing() -> Thing {
    Thing { name: Id::generate().to_string(), description: "about as long as most of them are".repeat(12) }
}

/// Rows of the same size as a thing, one commit each.
fn raw(path: &Path) -> Result<f64, Box<dyn Error>> {
    let connection = rusqlite::Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE rows (id BLOB PRIMARY KEY, document BLOB) WITHOUT ROWID")?;
    let mut insert = connection.prepare("INSERT INTO rows VALUES (?1, ?2)")?;
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < SPAN {
        insert.execute((Id::generate().as_bytes(), serde_json::to_vec(&thing())?))?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

async fn write(store: Store, until: Instant) -> Result<u32, String> {
    let mut count = 0;
    while Instant::now() < until {
        let mut transaction = Transaction::default();
        transaction.create(Id::generate(), thing(), Timestamp::now());
        let actor = Actor::internal("example", "measurement");
        store.commit(transaction, actor).await.map_err(|error| error.to_string())?;
        count += 1;
    }
    Ok(count)
}

async fn grouped(store: &Store, writers: usize) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        tasks.spawn(write(store.clone(), begun + SPAN));
    }
    let counts: Result<Vec<_>, _> = tasks.join_all().await.into_iter().collect();
    Ok(f64::from(counts?.iter().sum::<u32>()) / begun.elapsed().as_secs_f64())
}

fn say(what: &str, per_second: f64) {
    println!("{what:<42} {per_second:>10.0} commits/s");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = match std::env::args().nth(1) {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let registry = || Registry::default().with::<Thing>();
    let raw = raw(&directory.path().join("raw.db"))?;
    say("SQLite alone, a row a commit", raw);
    let sqlite = Sqlite::open(&directory.path().join("store.db"), Sealer::new(&[0; 32]))?;
    let store = Store::open(sqlite, registry())?;
    say("the store, one writer", grouped(&store, 1).await?);
    let many = grouped(&store, WRITERS).await?;
    say(&format!("the store, {WRITERS} writers"), many);
    println!("{:<42} {:>10.1} times", "which is", many / raw);
    store.close().await;
    let store = Store::open(Memory::default(), registry())?;
    say(&format!("the store in memory, {WRITERS} writers"), grouped(&store, WRITERS).await?);
    Ok(())
}
