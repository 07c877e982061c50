//! Backup and restore, and the files themselves.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use freehold_store::backend::sqlite::{backup, restore};
use freehold_store::{BackendError, Memory, Sqlite, Store};
use freehold_types::Secret;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::entities::{Machine, Team, Token, registry};
use crate::harness::{Medium, create, describe, get, machine, sealer, team, write};

fn open(path: &Path) -> Store {
    Store::open(Sqlite::open(path, sealer()).unwrap(), registry()).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_restored_backup_is_equal_but_for_its_history() {
    let medium = Medium::sqlite();
    let store = medium.open();
    let red = team(&store, "red").await;
    machine(&store, &red, "one").await;
    create(&store, Token { value: Secret::new("hunter2".to_owned()) }).await;
    let directory = TempDir::new().unwrap();
    let (copy, restored) = (directory.path().join("copy"), directory.path().join("restored"));
    store.backup(&copy).unwrap();
    let later = team(&store, "later").await;

    restore(&copy, &restored).unwrap();
    let second = open(&restored);
    assert_eq!(second.snapshot().revision(), 3);
    assert_ne!(second.lineage(), store.lineage());
    write(&store, |transaction| transaction.delete(&later)).await;
    assert_eq!(describe(&second.snapshot()), describe(&store.snapshot()));
    second.close().await;
    assert_eq!(names(directory.path()), ["copy", "restored", "restored.lock"]);
    assert_eq!((mode(&copy), mode(&restored)), (0o600, 0o600));
    // Restored twice, it has two histories.
    let third = directory.path().join("third");
    restore(&copy, &third).unwrap();
    assert_ne!(open(&third).lineage(), second.lineage());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_while_writing_is_one_moment() {
    let medium = Medium::sqlite();
    let store = medium.open();
    let red = team(&store, "red").await;
    let one = machine(&store, &red, "one").await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let (store, stop, id) = (store.clone(), Arc::clone(&stop), one.id());
        writers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // The name and the vcpus always agree, and both with the revision.
                let plan = move |snapshot: &freehold_store::Snapshot| {
                    let mut transaction = freehold_store::Transaction::default();
                    let object = snapshot.get::<Machine>(id).unwrap();
                    let vcpus = snapshot.revision() + 1;
                    let spec = Machine { vcpus, name: vcpus.to_string(), ..object.spec.clone() };
                    transaction.update(object, spec);
                    Ok::<_, std::convert::Infallible>((transaction, ()))
                };
                store.transact(crate::harness::actor(), plan).await.unwrap().unwrap();
            }
        });
    }
    let directory = TempDir::new().unwrap();
    let mut last = 0;
    for number in 0..5 {
        let before = store.snapshot().revision();
        let (copy, restored) =
            (directory.path().join(format!("{number}")), directory.path().join(format!("r{number}")));
        let copying = store.clone();
        let to = copy.clone();
        tokio::task::spawn_blocking(move || copying.backup(&to)).await.unwrap().unwrap();
        restore(&copy, &restored).unwrap();
        let copied = open(&restored);
        let revision = copied.snapshot().revision();
        assert!(before <= revision && revision <= store.snapshot().revision());
        assert!(last <= revision);
        last = revision;
        if revision > 2 {
            let machine = get::<Machine>(&copied, one.id());
            assert_eq!((machine.spec.vcpus, machine.meta.revision), (revision, revision));
            assert_eq!(copied.snapshot().usage(red.id()).vcpus, revision);
        }
        copied.close().await;
    }
    stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let medium = Medium::sqlite();
    let path = medium.path().unwrap();
    let store = medium.open();
    team(&store, "red").await;
    let directory = TempDir::new().unwrap();
    let copy = directory.path().join("copy");
    store.backup(&copy).unwrap();
    let refused = store.backup(&copy).unwrap_err();
    assert!(matches!(refused, BackendError::Io { .. }), "{refused}");
    // A store in use, and one that is merely there.
    assert!(matches!(restore(&copy, &path), Err(BackendError::Locked { .. })));
    store.close().await;
    assert!(matches!(restore(&copy, &path), Err(BackendError::Io { .. })));
    // What a killed store left beside its file would be mixed in, so it is refused.
    let target = directory.path().join("target");
    std::fs::write(directory.path().join("target-wal"), "rest").unwrap();
    assert!(matches!(restore(&copy, &target), Err(BackendError::Io { .. })));
    std::fs::remove_file(directory.path().join("target-wal")).unwrap();
    restore(&copy, &target).unwrap();
}

#[tokio::test]
async fn what_is_no_backup_is_refused_and_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let bad = directory.path().join("bad");
    assert!(restore(&bad, &path).is_err());
    std::fs::write(&bad, "not a database, but long enough to be read as the start of one".repeat(9)).unwrap();
    assert!(restore(&bad, &path).is_err());
    // A backup that was cut short.
    let medium = Medium::sqlite();
    let store = medium.open();
    for number in 0..300 {
        team(&store, &number.to_string()).await;
    }
    let copy = directory.path().join("copy");
    store.backup(&copy).unwrap();
    let content = std::fs::read(&copy).unwrap();
    std::fs::write(&bad, &content[..content.len() / 2]).unwrap();
    assert!(restore(&bad, &path).is_err());
    assert_eq!(names(directory.path()), ["bad", "copy", "store.lock"]);
    // A half copy of a killed restore is no obstacle.
    std::fs::write(directory.path().join("store.partial"), "half").unwrap();
    restore(&copy, &path).unwrap();
    assert_eq!(open(&path).snapshot().count::<Team>(), 300);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("photos.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE photos (name TEXT)").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    let refused = Sqlite::open(&path, sealer()).unwrap_err();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(source, "it is a database of another program; name another file");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::write(&path, "plain text, and quite a lot of it".repeat(100)).unwrap();
    assert!(Sqlite::open(&path, sealer()).is_err());
}

#[tokio::test]
async fn another_format_is_refused() {
    let medium = Medium::sqlite();
    let path = medium.path().unwrap();
    let store = medium.open();
    team(&store, "red").await;
    let directory = TempDir::new().unwrap();
    let copy = directory.path().join("copy");
    store.backup(&copy).unwrap();
    store.close().await;
    for file in [&path, &copy] {
        rusqlite::Connection::open(file).unwrap().execute("UPDATE head SET format = 9", []).unwrap();
    }
    let refused = Sqlite::open(&path, sealer()).unwrap_err();
    assert!(matches!(refused, BackendError::Format { found: 9, known: 1, .. }), "{refused}");
    let refused = restore(&copy, &directory.path().join("restored"));
    assert!(matches!(refused, Err(BackendError::Format { found: 9, .. })));
}

#[tokio::test]
async fn the_files_are_private_and_small() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("deep/er/store.db");
    let store = open(&path);
    assert_eq!((mode(&directory.path().join("deep")), mode(path.parent().unwrap())), (0o700, 0o700));
    for name in names(path.parent().unwrap()) {
        assert_eq!(mode(&path.with_file_name(&name)), 0o600, "{name}");
    }
    store.close().await;
    assert_eq!(names(path.parent().unwrap()), ["store.db", "store.db.lock"]);
    let size = path.metadata().unwrap().len();
    assert!(size <= 64 << 10, "an empty store has {size} bytes");
    // One that was made readable by others is made private again.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    open(&path).close().await;
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn memory_has_no_file_to_copy() {
    let store = Store::open(Memory::default(), registry()).unwrap();
    let directory = TempDir::new().unwrap();
    let to = directory.path().join("copy");
    assert!(matches!(store.backup(&to), Err(BackendError::Unsupported)));
    assert!(backup(&directory.path().join("nothing"), &to).is_err());
    assert_eq!(names(directory.path()), Vec::<String>::new());
}
