//! Runs `qemu-img`.
//!
//! Promises: arguments are passed as they are, never through a shell; paths are absolute, so that none
//! is taken for an option or a protocol; the format of each file is said, never guessed; each run has a
//! bound in time; a run whose future is dropped is killed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::host::HostError;

/// Bound on runs that write no more than a few clusters.
const SHORT: Duration = Duration::from_mins(1);
/// Bound on runs that read a whole image.
const LONG: Duration = Duration::from_hours(2);

/// What `qemu-img info` says of an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Info {
    pub(super) format: String,
    /// Bytes.
    pub(super) virtual_size: u64,
    pub(super) backing_filename: Option<String>,
    #[serde(default)]
    pub(super) encrypted: bool,
    #[serde(default)]
    pub(super) format_specific: FormatSpecific,
}

/// The part of [`Info`] that depends on the format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct FormatSpecific {
    #[serde(default)]
    pub(super) data: FormatData,
}

/// What qcow2 adds to [`Info`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FormatData {
    pub(super) data_file: Option<String>,
    #[serde(default)]
    pub(super) corrupt: bool,
}

/// Whether a qcow2 file is sound inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Soundness {
    Sound,
    Damaged(String),
}

/// Looks at a qcow2 file, which may be in use.
pub(super) async fn info(path: &Path) -> Result<Info, HostError> {
    let arguments: [&OsStr; 6] = [
        "info".as_ref(),
        "--force-share".as_ref(),
        "--output=json".as_ref(),
        "-f".as_ref(),
        "qcow2".as_ref(),
        path.as_os_str(),
    ];
    let output = succeed(&arguments, SHORT).await?;
    serde_json::from_slice(&output).map_err(|error| {
        HostError::Failed(format!("qemu-img says about {} what cannot be read: {error}", path.display()))
    })
}

/// Checks the inner references of a qcow2 file. Leaked space counts as sound, since it costs only space.
pub(super) async fn check(path: &Path) -> Result<Soundness, HostError> {
    const DAMAGED: i32 = 2;
    const LEAKED: i32 = 3;
    let arguments: [&OsStr; 6] = [
        "check".as_ref(),
        "--force-share".as_ref(),
        "-q".as_ref(),
        "-f".as_ref(),
        "qcow2".as_ref(),
        path.as_os_str(),
    ];
    let run = run(&arguments, LONG).await?;
    match run.code {
        Some(0 | LEAKED) => Ok(Soundness::Sound),
        Some(DAMAGED) => Ok(Soundness::Damaged(run.complaint)),
        _ => Err(run.failure(&arguments)),
    }
}

/// Converts a raw file to qcow2, leaving out what is zero.
pub(super) async fn convert(raw: &Path, target: &Path) -> Result<(), HostError> {
    let arguments: [&OsStr; 7] = [
        "convert".as_ref(),
        "-f".as_ref(),
        "raw".as_ref(),
        "-O".as_ref(),
        "qcow2".as_ref(),
        raw.as_os_str(),
        target.as_os_str(),
    ];
    succeed(&arguments, LONG).await.map(|_| ())
}

/// Makes an empty qcow2 file of a virtual size in bytes.
pub(super) async fn create_empty(target: &Path, bytes: u64) -> Result<(), HostError> {
    let bytes = bytes.to_string();
    let arguments: [&OsStr; 6] = [
        "create".as_ref(),
        "-q".as_ref(),
        "-f".as_ref(),
        "qcow2".as_ref(),
        target.as_os_str(),
        bytes.as_ref(),
    ];
    succeed(&arguments, SHORT).await.map(|_| ())
}

/// Makes a qcow2 file that is a copy-on-write clone. The name of the backing file is written as it
/// stands, and is relative to the directory of `target`.
pub(super) async fn create_overlay(target: &Path, backing: &str, bytes: u64) -> Result<(), HostError> {
    let bytes = bytes.to_string();
    let arguments: [&OsStr; 10] = [
        "create".as_ref(),
        "-q".as_ref(),
        "-f".as_ref(),
        "qcow2".as_ref(),
        "-b".as_ref(),
        backing.as_ref(),
        "-F".as_ref(),
        "qcow2".as_ref(),
        target.as_os_str(),
        bytes.as_ref(),
    ];
    succeed(&arguments, SHORT).await.map(|_| ())
}

/// Grows a qcow2 file that nobody uses; QEMU's own locks refuse one that is in use.
pub(super) async fn grow(path: &Path, bytes: u64) -> Result<(), HostError> {
    let bytes = bytes.to_string();
    let arguments: [&OsStr; 6] =
        ["resize".as_ref(), "-q".as_ref(), "-f".as_ref(), "qcow2".as_ref(), path.as_os_str(), bytes.as_ref()];
    succeed(&arguments, SHORT).await.map(|_| ())
}

struct Run {
    code: Option<i32>,
    output: Vec<u8>,
    /// What it wrote to standard error, shortened.
    complaint: String,
}

impl Run {
    fn failure(&self, arguments: &[&OsStr]) -> HostError {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"));
        let complaint = if self.complaint.is_empty() { "it gave no reason" } else { &self.complaint };
        HostError::Failed(format!("qemu-img {} ended with {code}: {complaint}", name(arguments)))
    }
}

async fn succeed(arguments: &[&OsStr], bound: Duration) -> Result<Vec<u8>, HostError> {
    let run = run(arguments, bound).await?;
    if run.code == Some(0) { Ok(run.output) } else { Err(run.failure(arguments)) }
}

async fn run(arguments: &[&OsStr], bound: Duration) -> Result<Run, HostError> {
    let mut command = Command::new("qemu-img");
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(bound, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(HostError::Failed(
                "qemu-img is not installed on this host: install the package qemu-utils".to_owned(),
            ));
        }
        Ok(Err(error)) => return Err(HostError::Failed(format!("qemu-img cannot be run: {error}"))),
        Err(_) => {
            return Err(HostError::Failed(format!(
                "qemu-img {} did not end within {} seconds and was killed: see whether the disk of the pool answers",
                name(arguments),
                bound.as_secs()
            )));
        }
    };
    Ok(Run { code: output.status.code(), output: output.stdout, complaint: shorten(&output.stderr) })
}

fn name(arguments: &[&OsStr]) -> String {
    arguments.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The first lines of a complaint, on one line.
fn shorten(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect::<Vec<_>>().join("; ")
}
