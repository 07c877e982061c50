//! A process that is killed while it writes: whatever it has answered is there, and nothing is half there.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use freehold_store::{Committed, LogQuery, Sqlite, Store};
use freehold_types::{Id, Timestamp};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::entities::{Machine, Team, registry};
use crate::harness::{create, get, sealer, write};

const ROUNDS: usize = 20;

/// Names the store for the process that is to be killed.
const STORE: &str = "FREEHOLD_TEST_KILLED_STORE";

fn open(path: &Path) -> Store {
    Store::open(Sqlite::open(path, sealer()).unwrap(), registry()).unwrap()
}

/// Says that a write was answered.
fn answered(action: &str, id: Id, committed: &Committed) {
    println!("answered {action} {id} {}", committed.revision);
}

/// Writes until it is killed; what it says on its output was answered.
async fn write_for_ever(store: Store, number: usize) {
    for round in 0.. {
        let name = format!("{number} {round} {}", Id::generate());
        let team = create(&store, Team { name: name.clone() }).await;
        let spec = Machine { address: Some(name), ..Machine::new(team.id(), "one") };
        let id = Id::generate();
        let created = write(&store, |t| t.create(id, spec.clone(), Timestamp::default())).await;
        answered("create", id, &created);
        let one = get::<Machine>(&store, id);
        let spec = Machine { vcpus: 7, ..spec };
        answered("update", id, &write(&store, |transaction| transaction.update(&one, spec)).await);
        let one = get::<Machine>(&store, id);
        answered(
            "status",
            id,
            &write(&store, |transaction| transaction.observe(&one, "up".to_owned())).await,
        );
        if round % 2 == 0 {
            let one = get::<Machine>(&store, id);
            let both = write(&store, |transaction| {
                transaction.delete(&one);
                transaction.delete(&team);
            });
            answered("delete", id, &both.await);
        }
    }
}

/// Not a test of its own: the process that [`what_was_answered_outlives_a_kill`] starts and kills.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let store = open(Path::new(&path));
    let mut writers = JoinSet::new();
    for number in 0..16 {
        writers.spawn(write_for_ever(store.clone(), number));
    }
    writers.join_all().await;
}

/// Lets a process write for a while, kills it, and returns what it has said.
fn killed_after(path: &Path, life: Duration) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::victim", "--nocapture"])
        .env(STORE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        output.read_to_end(&mut said).unwrap();
        String::from_utf8(said).unwrap()
    });
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    said.join().unwrap()
}

/// The revisions that were answered, by object, each with what was done.
fn answers(said: &str) -> BTreeMap<Id, Vec<(u64, String)>> {
    let mut answers: BTreeMap<Id, Vec<_>> = BTreeMap::new();
    // The last line may have been cut in the middle.
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        // The test harness puts its own words before the first line.
        let Some((_, answer)) = line.split_once("answered ") else { continue };
        let words: Vec<_> = answer.split(' ').collect();
        let [action, id, revision] = words[..] else { panic!("unreadable: {line}") };
        answers.entry(id.parse().unwrap()).or_default().push((revision.parse().unwrap(), action.to_owned()));
    }
    answers
}

async fn check(store: &Store, id: Id, answered: &[(u64, String)]) {
    let query = LogQuery { id: Some(id), limit: 1_000, ..LogQuery::default() };
    let mut log: Vec<_> =
        store.log(query).await.unwrap().into_iter().map(|line| (line.revision, line.action)).collect();
    log.reverse();
    assert_eq!(log[..answered.len()], *answered, "the log of {id}");
    assert!(log.len() <= answered.len() + 1, "more than one write of {id} was under way: {log:?}");
    let (revision, action) = log.last().unwrap();
    let snapshot = store.snapshot();
    assert!(*revision <= snapshot.revision());
    let found = snapshot.get::<Machine>(id);
    if action == "delete" {
        assert_eq!(found, None);
        return;
    }
    let found = found.unwrap();
    let expected = if action == "create" { 1 } else { 7 };
    assert_eq!((found.meta.revision, found.spec.vcpus), (*revision, expected));
    assert_eq!(found.status, if action == "status" { "up" } else { "" });
}

fn check_consistency(store: &Store) {
    let snapshot = store.snapshot();
    for machine in snapshot.all::<Machine>() {
        assert!(snapshot.get::<Team>(machine.spec.team).is_some(), "{machine:?} has lost its team");
        assert!(machine.meta.revision <= snapshot.revision());
    }
    for object in snapshot.everything() {
        for claim in object.claims() {
            assert_eq!(snapshot.claim(&claim), Some(object.key()));
        }
        assert!(snapshot.referrers::<Machine>(object.key().id).count() <= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_outlives_a_kill() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let (mut lineage, mut revision, mut total) = (None, 0, 0);
    for _ in 0..ROUNDS {
        let life = Duration::from_millis(rand::random_range(0..200));
        let answers = answers(&killed_after(&path, life));
        let store = open(&path);
        assert_eq!(*lineage.get_or_insert(store.lineage()), store.lineage());
        assert!(revision <= store.snapshot().revision());
        revision = store.snapshot().revision();
        for (id, answered) in &answers {
            check(&store, *id, answered).await;
            total += answered.len();
        }
        check_consistency(&store);
        store.close().await;
    }
    assert!(total > 0, "no round lived long enough to write anything");
}
