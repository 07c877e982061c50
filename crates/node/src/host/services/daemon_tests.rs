use freehold_types::Id;
use freehold_types::agent::ObjectKind;
use tokio::time::timeout;

use super::*;

const KEY: ObjectKey = ObjectKey { kind: ObjectKind::Gateway, id: Id::from_u64(1) };
const SOON: Duration = Duration::from_secs(10);

fn sleeper(directory: &Path, seconds: &str) -> Daemon {
    Daemon {
        program: "sleep",
        package: "coreutils",
        arguments: vec![seconds.to_owned()],
        environment: Vec::new(),
        directory: directory.to_owned(),
        namespace: None,
        pid_files: &[],
        reloads: String::new(),
        restarts: String::new(),
        reload: Signal::CONT,
    }
}

fn pid(directory: &Path) -> i32 {
    read(&record_file(directory, "sleep")).unwrap().pid
}

fn running(directory: &Path) -> usize {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|pid| is_of(*pid, "sleep", directory) && start_time(*pid).is_some()).count()
}

#[tokio::test]
async fn a_daemon_is_known_again_by_the_next_node() {
    let place = tempfile::tempdir().unwrap();
    let mut daemon = sleeper(place.path(), "1000");
    let (events, _told) = mpsc::unbounded_channel();
    let first = Daemons::new(events.clone());
    assert_eq!(first.ensure(KEY, &daemon).await.unwrap(), Done::Started);
    let number = pid(place.path());
    drop(first);
    let second = Daemons::new(events);
    assert_eq!(second.ensure(KEY, &daemon).await.unwrap(), Done::Nothing);
    "another".clone_into(&mut daemon.reloads);
    assert_eq!(second.ensure(KEY, &daemon).await.unwrap(), Done::Reloaded);
    assert_eq!(second.ensure(KEY, &daemon).await.unwrap(), Done::Nothing);
    assert_eq!(pid(place.path()), number);
    "another".clone_into(&mut daemon.restarts);
    assert_eq!(second.ensure(KEY, &daemon).await.unwrap(), Done::Started);
    assert_eq!((pid(place.path()) == number, running(place.path())), (false, 1));
    second.stop(place.path(), "sleep").await.unwrap();
    second.stop(place.path(), "sleep").await.unwrap();
    assert_eq!(running(place.path()), 0);
}

#[tokio::test]
async fn none_runs_twice_when_a_start_was_cut_off() {
    let place = tempfile::tempdir().unwrap();
    let daemon = sleeper(place.path(), "1000");
    let (events, _told) = mpsc::unbounded_channel();
    let daemons = Daemons::new(events);
    // Cut off at every point that there is: after so many times of being asked to go on.
    for polls in 0..12 {
        {
            let mut start = std::pin::pin!(daemons.ensure(KEY, &daemon));
            for _ in 0..polls {
                if futures::poll!(&mut start).is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        // Threads that it left behind end, as they do with the node.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemons.ensure(KEY, &daemon).await.unwrap();
    assert_eq!(running(place.path()), 1);
    // One that was started and never recorded.
    let lost = Record { pid: 0, start: 0, reloads: String::new(), restarts: String::new() };
    write(&record_file(place.path(), "sleep"), &lost).unwrap();
    assert_eq!(daemons.ensure(KEY, &daemon).await.unwrap(), Done::Started);
    assert_eq!(running(place.path()), 1);
    daemons.stop(place.path(), "sleep").await.unwrap();
    assert_eq!(running(place.path()), 0);
}

#[tokio::test]
async fn its_end_is_told_unless_it_was_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let mut daemon = sleeper(place.path(), "1000");
    let (events, mut told) = mpsc::unbounded_channel();
    let daemons = Daemons::new(events);
    daemons.ensure(KEY, &daemon).await.unwrap();
    "another".clone_into(&mut daemon.restarts);
    daemons.ensure(KEY, &daemon).await.unwrap();
    assert!(timeout(Duration::from_millis(300), told.recv()).await.is_err());
    signal(&open(pid(place.path())).unwrap(), Signal::KILL).unwrap();
    assert_eq!(timeout(SOON, told.recv()).await.unwrap(), Some(KEY));
    assert_eq!(daemons.ensure(KEY, &daemon).await.unwrap(), Done::Started);
    daemons.stop(place.path(), "sleep").await.unwrap();
}

#[tokio::test]
async fn errors_name_the_package_or_what_the_log_says() {
    let place = tempfile::tempdir().unwrap();
    let (events, _told) = mpsc::unbounded_channel();
    let daemons = Daemons::new(events);
    let missing = Daemon { program: "charon-gone", package: "charon", ..sleeper(place.path(), "") };
    let error = daemons.ensure(KEY, &missing).await.unwrap_err();
    assert!(matches!(&error, HostError::Refused(text) if text.contains("apt-get install charon")), "{error}");
    let error = daemons.ensure(KEY, &sleeper(place.path(), "soon")).await.unwrap_err().to_string();
    assert!(error.contains("invalid time interval"), "{error}");
}

#[test]
fn start_times_are_read_past_any_name() {
    let line =
        |state: &str| format!("7 (a b) c) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21");
    assert_eq!(start_of(&line("S")), Some(4711));
    assert_eq!(start_of(&line("Z")), None);
    assert_eq!(start_of("7 (a"), None);
    assert!(start_time(i32::try_from(std::process::id()).unwrap()).is_some());
}
