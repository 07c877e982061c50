//! The ledger's file: an append-only log of checksummed lines, rewritten when it has grown.
//!
//! `ledger.log` holds one record per line: 16 hexadecimal digits of the SHA-256 of the text, a space,
//! the [`Change`] as JSON. The first record is a whole state; it is written to `ledger.new`, synced and
//! renamed, so a journal always begins whole. A change is one line, appended and synced before it counts.
//!
//! After a kill or a power cut only the last line can be torn. It was never acknowledged, so it is cut
//! off: what remains is the state before it. A bad line elsewhere means a damaged disk or a meddling
//! hand. What precedes it is a state of long ago, whose machines may run on other hosts by now; to follow
//! it could start a machine twice on one disk. So a damaged journal is set aside under another name, the
//! node starts with nothing held, touches nothing on the host, and gets its objects from the controller.
//!
//! The file holds secrets: mode 0600, in a directory of mode 0700.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use freehold_types::Timestamp;
use sha2::{Digest, Sha256};

use super::{Change, FORMAT, State};

const LOG: &str = "ledger.log";
const NEW: &str = "ledger.new";
const LOCK: &str = "lock";

/// A journal is rewritten when it is this much larger than twice its first record.
const SLACK: u64 = 1 << 20;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{path}: the node's state cannot be written; check the file system and its free space")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path}: the node's state cannot be read; check the file's owner and the file system")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: another node uses this state directory; stop it, or give this one another `state`")]
    InUse { path: PathBuf },
}

/// Where changes go.
#[derive(Debug)]
pub(super) enum Journal {
    /// Nowhere.
    Memory,
    Disk(Disk),
}

/// A journal file.
#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    /// `None` after a failed write, whose remains must not be appended to: the next append rewrites.
    file: Option<File>,
    /// Size of the file.
    bytes: u64,
    /// Size of its first record.
    base: u64,
    /// Held as long as the journal is, so that no second node uses the directory.
    _lock: File,
}

/// A journal with the state that it tells of.
pub(super) struct Opened {
    pub(super) state: State,
    pub(super) journal: Journal,
}

impl Journal {
    /// Makes a change durable. `state` is the state before it.
    pub(super) async fn append(&mut self, state: &State, change: &Change) -> Result<(), LedgerError> {
        let Self::Disk(disk) = self else { return Ok(()) };
        if disk.file.is_none() {
            let mut after = state.clone();
            after.apply(change.clone());
            return disk.rewrite(&after).await;
        }
        let path = disk.directory.join(LOG);
        let line = encode(change).map_err(|source| LedgerError::Write { path: path.clone(), source })?;
        let Some(mut file) = disk.file.take() else { return Ok(()) };
        let bytes = line.len() as u64;
        let written = blocking(move || {
            file.write_all(&line)?;
            file.sync_data()?;
            Ok(file)
        })
        .await;
        disk.file = Some(written.map_err(|source| LedgerError::Write { path, source })?);
        disk.bytes += bytes;
        Ok(())
    }

    /// Rewrites a journal that has grown. A failure only costs room: the journal stays as it is.
    pub(super) async fn compact_if_due(&mut self, state: &State) {
        let Self::Disk(disk) = self else { return };
        if disk.file.is_some()
            && disk.bytes > 2 * disk.base + SLACK
            && let Err(error) = disk.rewrite(state).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the ledger could not be made smaller");
        }
    }
}

#[cfg(test)]
impl Journal {
    /// Puts a file in place that cannot be written.
    pub(super) fn break_file(&mut self) {
        if let Self::Disk(disk) = self {
            disk.file = Some(File::open(disk.directory.join(LOG)).unwrap());
        }
    }
}

impl Disk {
    async fn rewrite(&mut self, state: &State) -> Result<(), LedgerError> {
        let directory = self.directory.clone();
        let path = directory.join(NEW);
        let line =
            encode(&state.snapshot()).map_err(|source| LedgerError::Write { path: path.clone(), source })?;
        let bytes = line.len() as u64;
        let file = blocking(move || replace(&directory, &line))
            .await
            .map_err(|source| LedgerError::Write { path, source })?;
        (self.file, self.bytes, self.base) = (Some(file), bytes, bytes);
        Ok(())
    }
}

/// Opens the journal of a directory, or makes it.
pub(super) fn open(directory: &Path) -> Result<Opened, LedgerError> {
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| LedgerError::Write { path, source }
    };
    make_private(directory).map_err(write(directory))?;
    let lock = lock(&directory.join(LOCK))?;
    let path = directory.join(LOG);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(LedgerError::Read { path, source }),
    };
    let (state, file, bytes, base) = match replay(&bytes) {
        Replayed::Whole { state, valid, base } => {
            let file = reopen(&path, valid, bytes.len() as u64).map_err(write(&path))?;
            (state, file, valid, base)
        }
        begun @ (Replayed::Nothing | Replayed::Damaged { .. }) => {
            if let Replayed::Damaged { reason } = begun {
                let aside = directory.join(format!("{LOG}.damaged-{}", Timestamp::now().as_millis()));
                std::fs::rename(&path, &aside).map_err(write(&path))?;
                tracing::error!(
                    set_aside = %aside.display(),
                    reason,
                    "the ledger is damaged and was set aside; nothing on this host is touched until the \
                     controller sends the node's objects again"
                );
            }
            let state = State::default();
            let line = encode(&state.snapshot()).map_err(write(&path))?;
            let file = replace(directory, &line).map_err(write(&path))?;
            (state, file, line.len() as u64, line.len() as u64)
        }
    };
    let disk = Disk { directory: directory.to_owned(), file: Some(file), bytes, base, _lock: lock };
    Ok(Opened { state, journal: Journal::Disk(disk) })
}

/// What the bytes of a journal tell.
#[derive(Debug, PartialEq)]
pub(super) enum Replayed {
    /// There is no journal yet.
    Nothing,
    /// The state after the last whole record, which ends at `valid`; the first one ends at `base`.
    Whole {
        state: State,
        valid: u64,
        base: u64,
    },
    Damaged {
        reason: String,
    },
}

pub(super) fn replay(bytes: &[u8]) -> Replayed {
    if bytes.is_empty() {
        return Replayed::Nothing;
    }
    let mut state = State::default();
    let (mut valid, mut base) = (0, 0);
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 1..]));
        let change = if end.is_some() { decode(line) } else { Err("it ends within a record".to_owned()) };
        match change {
            Ok(Change::Snapshot(snapshot)) if valid == 0 && snapshot.format == FORMAT => {
                state.apply(Change::Snapshot(snapshot));
                base = line.len() as u64 + 1;
            }
            Ok(Change::Snapshot(snapshot)) if valid == 0 => {
                let reason = format!("its format is {}, and this node reads {FORMAT}", snapshot.format);
                return Replayed::Damaged { reason };
            }
            Ok(_) if valid == 0 => {
                return Replayed::Damaged { reason: "it does not begin with a whole state".to_owned() };
            }
            Ok(change) => state.apply(change),
            // The last record of a journal that has begun may be torn: it never counted.
            Err(_) if after.is_empty() && valid > 0 => break,
            Err(reason) => return Replayed::Damaged { reason: format!("at byte {valid}: {reason}") },
        }
        valid += line.len() as u64 + 1;
        rest = after;
    }
    Replayed::Whole { state, valid, base }
}

fn encode(change: &Change) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(change)?;
    let mut line = Vec::with_capacity(json.len() + 18);
    write!(line, "{} ", checksum(&json))?;
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

fn decode(line: &[u8]) -> Result<Change, String> {
    let (sum, json) = line.split_at_checked(16).ok_or("a record is too short")?;
    let json = json.strip_prefix(b" ").ok_or("a record has no checksum")?;
    if checksum(json).as_bytes() != sum {
        return Err("a record does not match its checksum".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| format!("a record cannot be read: {error}"))
}

fn checksum(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    format!("{:016x}", u64::from_be_bytes(number))
}

/// Makes the directory for this user alone. Those above are left open to pass through, since other parts
/// of the node keep things there that other users read.
fn make_private(directory: &Path) -> io::Result<()> {
    if let Some(parent) = directory.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
        }
        made => made,
    }
}

fn lock(path: &Path) -> Result<File, LedgerError> {
    let file = options().create(true).truncate(false).open(path);
    let file = file.map_err(|source| LedgerError::Write { path: path.to_owned(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(LedgerError::Write { path: path.to_owned(), source }),
    }
}

/// Opens a journal for appending after its last whole record.
fn reopen(path: &Path, valid: u64, bytes: u64) -> io::Result<File> {
    let file = OpenOptions::new().append(true).open(path)?;
    if valid < bytes {
        tracing::warn!(
            bytes = bytes - valid,
            "the last record of the ledger was not finished and is dropped"
        );
        file.set_len(valid)?;
        file.sync_all()?;
    }
    Ok(file)
}

/// Writes a journal that begins with `line` in place of the present one, durably.
fn replace(directory: &Path, line: &[u8]) -> io::Result<File> {
    let new = directory.join(NEW);
    let mut file = options().create(true).truncate(true).open(&new)?;
    file.write_all(line)?;
    file.sync_all()?;
    std::fs::rename(&new, directory.join(LOG))?;
    File::open(directory)?.sync_all()?;
    Ok(file)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
