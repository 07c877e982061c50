//! How long a store with many objects takes to open, and what it then weighs.
//!
//! `cargo run --release -p freehold-store --example load [OBJECTS]` (100,000 unless told otherwise).
#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use freehold_store::{
    Actor, Amounts, Backend, Entity, Object, Reference, Registry, Sealer, Sqlite, Store, Transaction,
};
use freehold_types::{Id, Timestamp};
use serde::{Deserialize, Serialize};

const OBJECTS: usize = 100_000;
const HOSTS: usize = 500;
const PROJECTS: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Project {
    name: String,
}

impl Entity for Project {
    const KIND: &'static str = "project";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![format!("name/project/{}", self.name)]
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Host {
    zone: Id,
}

impl Entity for Host {
    const KIND: &'static str = "host";
    const RANKED: bool = true;
    type Status = ();

    fn rank(&self, usage: &Amounts) -> Option<(Id, u64)> {
        Some((self.zone, usage.memory))
    }
}

/// About as much as an instance: three claims, two references, usage of two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Instance {
    project: Id,
    host: Id,
    name: String,
    description: String,
    address: String,
    mac: String,
    amounts: Amounts,
    metadata: Vec<(String, String)>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct InstanceStatus {
    state: String,
    message: String,
    seen_generation: u64,
}

impl Entity for Instance {
    const KIND: &'static str = "instance";
    type Status = InstanceStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        vec![
            format!("name/{}/{}", self.project, self.name),
            format!("ip/{}/{}", self.project, self.address),
            format!("mac/{}", self.mac),
        ]
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::strong::<Project>(self.project), Reference::strong::<Host>(self.host)]
    }

    fn usage(&self) -> Vec<(Id, Amounts)> {
        vec![(self.project, self.amounts), (self.host, self.amounts)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

fn registry() -> Registry {
    Registry::default().with::<Project>().with::<Host>().with::<Instance>()
}

fn instance(number: usize, project: Id, host: Id) -> Instance {
    let [_, a, b, c] = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    Instance {
        project,
        host,
        name: format!("instance-{number}"),
        description: format!("number {number} of many, described in a sentence of ordinary length"),
        address: format!("10.{a}.{b}.{c}"),
        mac: format!("52:54:00:{a:02x}:{b:02x}:{c:02x}"),
        amounts: Amounts { instances: 1, vcpus: 4, memory: 8 << 30, storage: 40 << 30 },
        metadata: (0..3).map(|key| (format!("key-{key}"), format!("value {key} of {number}"))).collect(),
    }
}

/// Fills a store.
async fn fill(store: &Store, objects: usize) -> Result<(), Box<dyn Error>> {
    let actor = || Actor::internal("example", "measurement");
    let now = Timestamp::now();
    let zone = Id::generate();
    let hosts: Vec<_> = (0..HOSTS).map(|_| Id::generate()).collect();
    let projects: Vec<_> = (0..PROJECTS).map(|_| Id::generate()).collect();
    let mut transaction = Transaction::default();
    for host in &hosts {
        transaction.create(*host, Host { zone }, now);
    }
    for (number, project) in projects.iter().enumerate() {
        transaction.create(*project, Project { name: format!("project-{number}") }, now);
    }
    store.commit(transaction, actor()).await?;
    let mut number = 0;
    while number < objects {
        let mut transaction = Transaction::default();
        for _ in 0..1_000.min(objects - number) {
            let spec = instance(number, projects[number % PROJECTS], hosts[number % HOSTS]);
            let object = Object {
                status: InstanceStatus { state: "running".to_owned(), ..InstanceStatus::default() },
                ..Object::new(Id::generate(), spec, now)
            };
            transaction.put(object);
            number += 1;
        }
        store.commit(transaction, actor()).await?;
    }
    Ok(())
}

/// Memory of this process that is in use and not a file's, in bytes.
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon in status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

fn say(what: &str, took: Duration) {
    println!("{what:<42} {:>9.3} s", took.as_secs_f64());
}

fn measure(objects: usize) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("store.db");
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;

    let empty = resident()?;
    let store = Store::open(Sqlite::open(&path, Sealer::new(&[0; 32]))?, registry())?;
    println!("{:<42} {:>9} KiB", "an empty store in memory", (resident()? - empty) >> 10);
    println!("{:<42} {:>9} KiB", "an empty store on disk", fs::metadata(&path)?.len() >> 10);

    let begun = Instant::now();
    runtime.block_on(fill(&store, objects))?;
    say(&format!("writing {objects} objects, 1,000 a commit"), begun.elapsed());
    runtime.block_on(store.close());
    drop(store);
    println!("{:<42} {:>9} MiB", "on disk, with the log", fs::metadata(&path)?.len() >> 20);

    let begun = Instant::now();
    let (mut count, mut bytes) = (0, 0);
    Sqlite::open(&path, Sealer::new(&[0; 32]))?.load(&mut |record| {
        count += 1;
        bytes += record.document.len();
        ControlFlow::Continue(())
    })?;
    say("reading the records alone", begun.elapsed());
    println!("{:<42} {:>9} bytes", "a document on average", bytes / count);

    // In a process of its own, so that nothing of the above is in the way.
    let opened = Command::new(std::env::current_exe()?).arg("open").arg(&path).output()?;
    print!("{}", String::from_utf8(opened.stdout)?);
    Ok(())
}

/// Opens a store that was filled, and says what that took.
fn open(path: &Path) -> Result<(), Box<dyn Error>> {
    let before = resident()?;
    let begun = Instant::now();
    let store = Store::open(Sqlite::open(path, Sealer::new(&[0; 32]))?, registry())?;
    say("opening: read, decode, index", begun.elapsed());
    let count = u64::try_from(store.snapshot().everything().count())?;
    println!("{:<42} {:>9} bytes", "resident memory an object", (resident()? - before) / count.max(1));

    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for _ in 0..1_000 {
            let snapshot = store.snapshot();
            let object = snapshot.all::<Instance>().next().ok_or("the store is empty")?;
            let mut transaction = Transaction::default();
            let spec = Instance { description: Id::generate().to_string(), ..object.spec.clone() };
            transaction.update(object, spec);
            store.commit(transaction, Actor::internal("example", "measurement")).await?;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    say("1,000 updates, one after the other", begun.elapsed());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("open"), Some(path)) => open(Path::new(&path)),
        (Some(objects), _) => measure(objects.parse()?),
        (None, _) => measure(OBJECTS),
    }
}
