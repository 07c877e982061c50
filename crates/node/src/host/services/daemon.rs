//! Daemons that outlive the node: started apart from it, known again by number and start time, followed by an
//! event when they end.
//!
//! *Expected flow:* [`Daemons::ensure`] for each call of a service; it starts what does not run, tells what runs of
//! changed files, and changes nothing otherwise.
//! *Guarantees:* only processes that were started here are signalled: a number that was given to another process
//! has another start time. *Must not:* put secrets into arguments.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_types::agent::ObjectKey;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::host::HostError;
use crate::host::network::wire::within;

/// A daemon that ends this soon after its start has a fault that its log tells.
const TRIAL: Duration = Duration::from_millis(150);
/// How long a daemon may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// Logs longer than this are begun anew at a start, and when the node looks around.
const LOG_LIMIT: u64 = 4 << 20;
/// How much of a log is told.
const TAIL: usize = 600;
/// Stack of a thread that only waits, in bytes.
const WATCH_STACK: usize = 64 << 10;

/// A daemon as it must run.
#[derive(Debug, Clone)]
pub(in crate::host) struct Daemon {
    /// Names its record and its log in the directory; the program's name.
    pub(in crate::host) program: &'static str,
    /// What to install when the program is not there.
    pub(in crate::host) package: &'static str,
    pub(in crate::host) arguments: Vec<String>,
    pub(in crate::host) environment: Vec<(&'static str, String)>,
    pub(in crate::host) directory: PathBuf,
    pub(in crate::host) namespace: Option<PathBuf>,
    /// Where it writes its number; an old one would make it believe that it runs.
    pub(in crate::host) pid_files: &'static [&'static str],
    /// What it reads again when it is told to; a change asks for that.
    pub(in crate::host) reloads: String,
    /// What it reads at its start only; a change starts it anew.
    pub(in crate::host) restarts: String,
    pub(in crate::host) reload: Signal,
}

/// What had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum Done {
    Nothing,
    Reloaded,
    Started,
}

/// What is remembered of a daemon, in a file beside its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    pid: i32,
    /// Field 22 of /proc/PID/stat: ticks since the boot.
    start: u64,
    reloads: String,
    restarts: String,
}

/// The daemons of one host.
#[derive(Debug)]
pub(in crate::host) struct Daemons {
    events: mpsc::UnboundedSender<ObjectKey>,
    watched: Arc<Mutex<BTreeMap<PathBuf, i32>>>,
}

impl Daemons {
    pub(in crate::host) fn new(events: mpsc::UnboundedSender<ObjectKey>) -> Self {
        Self { events, watched: Arc::default() }
    }

    /// Makes a daemon run, with its files as they are now.
    pub(in crate::host) async fn ensure(&self, key: ObjectKey, daemon: &Daemon) -> Result<Done, HostError> {
        bound_log(&log_file(&daemon.directory, daemon.program));
        let file = record_file(&daemon.directory, daemon.program);
        let wanted =
            (digest(&daemon.reloads), digest(&format!("{:?} {}", daemon.arguments, daemon.restarts)));
        if let Some(mut record) = read(&file)
            && let Some(process) = find(&record)
        {
            if record.restarts == wanted.1 && stands_in(record.pid, daemon.namespace.as_deref()) {
                let changed = record.reloads != wanted.0;
                if changed {
                    signal(&process, daemon.reload)?;
                    record.reloads = wanted.0;
                    write(&file, &record)?;
                }
                self.watch(key, &file, record.pid, process)?;
                return Ok(if changed { Done::Reloaded } else { Done::Nothing });
            }
            lock(&self.watched).remove(&file);
            end(daemon.program, &record, process).await?;
        }
        if file.exists() {
            end_orphans(daemon.program, &daemon.directory);
        }
        // What starts and is cut off before its record is written is an orphan for the next call.
        write(&file, &Record { pid: 0, start: 0, reloads: String::new(), restarts: String::new() })?;
        let pid = start(daemon).await?;
        let process = open(pid).ok_or_else(|| ended(daemon))?;
        let start = start_time(pid).ok_or_else(|| ended(daemon))?;
        write(&file, &Record { pid, start, reloads: wanted.0, restarts: wanted.1 })?;
        if ends_within(&process, TRIAL).await {
            reap(&process);
            return Err(ended(daemon));
        }
        tracing::info!(%key, daemon = daemon.program, pid, "started");
        self.watch(key, &file, pid, process)?;
        Ok(Done::Started)
    }

    /// The number of one of these daemons that runs, and shows its namespace.
    pub(in crate::host) fn living(directory: &Path, names: &[&str]) -> Option<i32> {
        let records = names.iter().filter_map(|name| read(&record_file(directory, name)));
        records
            .filter(|record| find(record).is_some() && namespace_of(record.pid).is_some())
            .map(|record| record.pid)
            .next()
    }

    /// Ends a daemon, if it runs.
    pub(in crate::host) async fn stop(&self, directory: &Path, name: &'static str) -> Result<(), HostError> {
        let file = record_file(directory, name);
        if let Some(record) = read(&file)
            && let Some(process) = find(&record)
        {
            lock(&self.watched).remove(&file);
            end(name, &record, process).await?;
        }
        if file.exists() {
            end_orphans(name, directory);
        }
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&file, &error)),
            _ => Ok(()),
        }
    }

    /// Tells of the end of a daemon, once. A thread waits for it: the kernel has an event, the runtime no safe
    /// way to hear it.
    fn watch(&self, key: ObjectKey, file: &Path, pid: i32, process: OwnedFd) -> Result<(), HostError> {
        if lock(&self.watched).insert(file.to_owned(), pid) == Some(pid) {
            return Ok(());
        }
        let (events, watched, file) = (self.events.clone(), Arc::clone(&self.watched), file.to_owned());
        let wait = move || {
            if !wait_for_end(&process, None) {
                return;
            }
            reap(&process);
            let mut watched = lock(&watched);
            if watched.get(&file) == Some(&pid) {
                watched.remove(&file);
                tracing::warn!(%key, pid, "a daemon ended by itself");
                // Nobody listens any more when the node stops.
                let _ = events.send(key);
            }
        };
        std::thread::Builder::new()
            .name("daemon-watch".to_owned())
            .stack_size(WATCH_STACK)
            .spawn(wait)
            .map(drop)
            .map_err(|error| HostError::Failed(format!("process {pid} cannot be followed: {error}")))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(in crate::host) fn record_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.process"))
}

fn log_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.log"))
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .fold(String::new(), |a, b| a + &b)
}

fn read(file: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

fn write(file: &Path, record: &Record) -> Result<(), HostError> {
    let text = serde_json::to_vec(record).map_err(|error| failed(file, &error.into()))?;
    replace(file, &text).map(drop)
}

/// Writes a file in one step, readable by nobody else, unless it holds these bytes. Says whether it changed.
pub(in crate::host) fn replace(file: &Path, bytes: &[u8]) -> Result<bool, HostError> {
    if fs::read(file).is_ok_and(|held| held == bytes) {
        return Ok(false);
    }
    let directory = file.parent().unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(directory).and_then(|mut new| {
        new.write_all(bytes)?;
        new.persist(file).map_err(|error| error.error)
    });
    written.map(|_| true).map_err(|error| failed(file, &error))
}

fn failed(file: &Path, error: &io::Error) -> HostError {
    HostError::Failed(format!("{}: {error}", file.display()))
}

/// The process of a record, if it is still the same and lives.
fn find(record: &Record) -> Option<OwnedFd> {
    let process = open(record.pid)?;
    (start_time(record.pid) == Some(record.start)).then_some(process)
}

/// Whether a process is in a network namespace; any will do when none is asked for. One that hides where it is, as
/// those do that have other rights than the node, counts as being there.
fn stands_in(pid: i32, namespace: Option<&Path>) -> bool {
    let wanted = namespace.and_then(|path| fs::metadata(path).ok()).map(|found| found.ino());
    wanted.zip(namespace_of(pid)).is_none_or(|(wanted, found)| wanted == found)
}

/// The number of the network namespace of a process, if it shows it.
fn namespace_of(pid: i32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/net")).map(|found| found.ino()).ok()
}

fn open(pid: i32) -> Option<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::NONBLOCK).ok()
}

/// When a process was started; `None` when it is none any more.
pub(in crate::host) fn start_time(pid: i32) -> Option<u64> {
    start_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Of a line of `/proc/PID/stat`; the name in it, in parentheses, may hold anything.
fn start_of(line: &str) -> Option<u64> {
    let mut words = line.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?;
    if matches!(state, "Z" | "X") { None } else { words.nth(18)?.parse().ok() }
}

async fn start(daemon: &Daemon) -> Result<i32, HostError> {
    for name in daemon.pid_files {
        // There is none, most often.
        let _ = fs::remove_file(daemon.directory.join(name));
    }
    let log = log_file(&daemon.directory, daemon.program);
    bound_log(&log);
    let open_log = || File::options().create(true).append(true).open(&log);
    let output = open_log().map_err(|error| failed(&log, &error))?;
    let errors = output.try_clone().map_err(|error| failed(&log, &error))?;
    let mut command = Command::new(daemon.program);
    command
        .args(&daemon.arguments)
        .envs(daemon.environment.iter().map(|(name, value)| (*name, value)))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir(&daemon.directory)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        // Signals to the node's group are not for it.
        .process_group(0);
    let spawned = within(daemon.namespace.as_deref(), move || command.spawn()).await?;
    match spawned {
        // A process number fits: the kernel's limit is 2^22.
        Ok(child) => Ok(i32::try_from(child.id()).unwrap_or(i32::MAX)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(HostError::Refused(format!(
            "{} is not installed: apt-get install {}",
            daemon.program, daemon.package
        ))),
        Err(error) => Err(HostError::Failed(format!("{} cannot be started: {error}", daemon.program))),
    }
}

/// Begins a log anew that has grown too long; who appends to it goes on at its start.
fn bound_log(log: &Path) {
    if fs::metadata(log).is_ok_and(|found| found.len() > LOG_LIMIT)
        && let Err(error) = File::options().write(true).open(log).and_then(|log| log.set_len(0))
    {
        tracing::warn!(log = %log.display(), %error, "a log has grown too long and cannot be cut");
    }
}

/// Why a daemon is no more, by the end of its log.
fn ended(daemon: &Daemon) -> HostError {
    let log = log_file(&daemon.directory, daemon.program);
    let text = fs::read(&log).unwrap_or_default();
    let tail = String::from_utf8_lossy(text.get(text.len().saturating_sub(TAIL)..).unwrap_or_default())
        .trim()
        .to_owned();
    HostError::Failed(format!(
        "{} ended right after its start; {} says: {tail}",
        daemon.program,
        log.display()
    ))
}

fn signal(process: &impl AsFd, signal: Signal) -> Result<(), HostError> {
    match rustix::process::pidfd_send_signal(process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(HostError::Failed(format!("a process cannot be signalled: {error}"))),
    }
}

/// Ends a process.
async fn end(name: &str, record: &Record, process: OwnedFd) -> Result<(), HostError> {
    signal(&process, Signal::TERM)?;
    if !ends_within(&process, PATIENCE).await {
        tracing::warn!(daemon = name, pid = record.pid, "it does not end by itself and is killed");
        signal(&process, Signal::KILL)?;
        // What cannot be killed is in the kernel, and is gone when it comes back.
        ends_within(&process, PATIENCE).await;
    }
    reap(&process);
    Ok(())
}

/// Kills what a daemon that died has left behind: processes of the same program that stand in its directory, or were
/// given files of it, which is nobody else's. Its group tells nothing: daemons make groups of their own.
fn end_orphans(program: &str, directory: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for pid in numbers.filter(|pid| is_of(*pid, program, directory)) {
        let Some(process) = open(pid) else { continue };
        tracing::warn!(pid, program, "killing what a daemon that died has left behind");
        // One that is gone by now needs nothing.
        let _ = signal(&process, Signal::KILL);
        wait_for_end(&process, Some(TRIAL));
    }
}

fn is_of(pid: i32, program: &str, directory: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    if name.trim_end() != program {
        return false;
    }
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    fs::read_link(process.join("cwd")).is_ok_and(|stands| stands == directory)
        || String::from_utf8_lossy(&arguments).contains(&*directory.to_string_lossy())
}

/// Whether a process ends within a time.
async fn ends_within(process: &OwnedFd, time: Duration) -> bool {
    let Ok(process) = process.try_clone() else { return false };
    tokio::task::spawn_blocking(move || wait_for_end(&process, Some(time))).await.unwrap_or(false)
}

/// Waits until a process has ended; `false` when the time is over, or it cannot be waited for.
fn wait_for_end(process: &OwnedFd, time: Option<Duration>) -> bool {
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    let mut asked = [PollFd::new(process, PollFlags::IN)];
    loop {
        match poll(&mut asked, time.as_ref()) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Takes leave of a child; those of an earlier node are not ours to take leave of.
fn reap(process: &impl AsFd) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let _ = rustix::process::waitid(WaitId::PidFd(process.as_fd()), options);
}

#[cfg(test)]
#[path = "daemon_tests.rs"]
mod tests;
