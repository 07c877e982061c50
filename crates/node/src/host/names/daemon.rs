//! A server that outlives the node: started, found again, ended.
//!
//! Promises: a process is ours when pid, start time and its `--config-dir` are those of the record, or when
//! its `--config-dir` alone is ours and the record was lost with a crash; no other process is ever
//! signalled. One whose configuration or program has changed is not taken for the right one.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::host::HostError;
use crate::host::services::daemon::start_time as started;

/// How long a server may take to end by itself.
const GENTLE: Duration = Duration::from_secs(5);

/// A log larger than this is begun anew, in bytes.
const LOG_LIMIT: u64 = 8 << 20;

const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];

/// One server.
#[derive(Debug)]
pub(super) struct Daemon {
    program: &'static str,
    package: &'static str,
    /// Where its configuration is.
    directory: PathBuf,
    child: Option<Child>,
    found: Option<Record>,
}

/// What is remembered of a process between runs of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) pid: i32,
    /// In ticks after the boot.
    started: u64,
    /// Of what it was started with.
    fingerprint: String,
}

impl Daemon {
    pub(super) const fn new(program: &'static str, package: &'static str, directory: PathBuf) -> Self {
        Self { program, package, directory, child: None, found: None }
    }

    /// Whether the process that was started or found last still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        if let Some(child) = &mut self.child
            && !matches!(child.try_wait(), Ok(None))
        {
            self.child = None;
        }
        self.found.as_ref().is_some_and(|record| started(record.pid) == Some(record.started))
    }

    /// Takes up a process that was started before with the same; tells whether there is one.
    pub(super) fn adopt(&mut self, fingerprint: &str) -> bool {
        if !self.is_alive() {
            self.found = fs::read(self.record())
                .ok()
                .and_then(|text| serde_json::from_slice::<Record>(&text).ok())
                .filter(|record| started(record.pid) == Some(record.started) && self.is_ours(record.pid));
        }
        self.found.as_ref().is_some_and(|record| record.fingerprint == fingerprint)
    }

    /// Ends every process of ours, gently if it can be.
    pub(super) async fn stop(&mut self) -> Result<(), HostError> {
        let mine = self.processes();
        for (signal, patience) in [(Signal::SIGTERM, GENTLE), (Signal::SIGKILL, GENTLE)] {
            for (pid, since) in &mine {
                if started(*pid) == Some(*since) && self.is_ours(*pid) {
                    // It may have ended just now.
                    let _ = kill(Pid::from_raw(*pid), signal);
                }
            }
            let end = tokio::time::Instant::now() + patience;
            while tokio::time::Instant::now() < end {
                self.is_alive();
                if mine.iter().all(|(pid, since)| started(*pid) != Some(*since)) {
                    self.found = None;
                    return remove(&self.record());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Err(HostError::Failed(format!(
            "{} of {} does not end; see what holds it back: ps -ef | grep {}",
            self.program,
            self.directory.display(),
            self.program
        )))
    }

    /// Starts it. Whatever ran must have been ended.
    pub(super) fn start(&mut self, fingerprint: &str) -> Result<(), HostError> {
        let program = self.program()?;
        let failed = |error: io::Error| HostError::Failed(format!("{}: {error}", program.display()));
        let log =
            OpenOptions::new().create(true).append(true).mode(0o600).open(self.log()).map_err(failed)?;
        if log.metadata().map_err(failed)?.len() > LOG_LIMIT {
            log.set_len(0).map_err(failed)?;
        }
        let child = Command::new(&program)
            .arg(self.argument())
            .args(extra_argument(&program))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let pid = i32::try_from(child.id()).map_err(|error| failed(io::Error::other(error)))?;
        self.child = Some(child);
        let Some(started) = started(pid) else { return Err(self.ended()) };
        let record = Record { pid, started, fingerprint: fingerprint.to_owned() };
        let text = serde_json::to_vec(&record).map_err(|error| failed(error.into()))?;
        let path = self.record();
        let temporary = path.with_extension("new");
        fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &path)).map_err(failed)?;
        tracing::info!(program = self.program, pid, "started");
        self.found = Some(record);
        Ok(())
    }

    /// That it ended at once, with what it said.
    pub(super) fn ended(&self) -> HostError {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let mut lines: Vec<&str> = text.lines().rev().filter(|line| !line.is_empty()).take(4).collect();
        lines.reverse();
        HostError::Failed(format!(
            "{} does not run; the end of {}: {}",
            self.program,
            self.log().display(),
            lines.join(" | ")
        ))
    }

    /// Where the program is and which one it is, for fingerprints: an upgraded one is started anew.
    pub(super) fn version(&self) -> Result<String, HostError> {
        let program = self.program()?;
        let metadata = fs::metadata(&program)
            .map_err(|error| HostError::Failed(format!("{}: {error}", program.display())))?;
        Ok(format!("{}:{}:{}", metadata.ino(), metadata.mtime(), metadata.len()))
    }

    fn program(&self) -> Result<PathBuf, HostError> {
        DIRECTORIES
            .iter()
            .map(|directory| Path::new(directory).join(self.program))
            .find(|path| path.exists())
            .ok_or_else(|| {
                HostError::Failed(format!(
                    "{} is not on this host; install the package {}",
                    self.program, self.package
                ))
            })
    }

    fn argument(&self) -> String {
        format!("--config-dir={}", self.directory.display())
    }

    fn record(&self) -> PathBuf {
        self.directory.with_extension("json")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.with_extension("log")
    }

    fn is_ours(&self, pid: i32) -> bool {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        let program = words.next().is_some_and(|word| word.ends_with(self.program.as_bytes()));
        program && words.any(|word| word == self.argument().as_bytes())
    }

    /// Our processes with their start times, whether on record or not.
    fn processes(&self) -> Vec<(i32, u64)> {
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| self.is_ours(*pid))
            .filter_map(|pid| Some((pid, started(pid)?)))
            .collect()
    }
}

/// From 5.2 on, the resolver reads configurations of this form only when told to.
fn extra_argument(program: &Path) -> Option<&'static str> {
    let said = Command::new(program).arg("--version").env_clear().stdin(Stdio::null()).output().ok()?;
    let text = [said.stdout, said.stderr].concat();
    needs_old_settings(&String::from_utf8_lossy(&text)).then_some("--enable-old-settings")
}

fn needs_old_settings(version: &str) -> bool {
    let number = version.split("PowerDNS Recursor ").nth(1).unwrap_or_default();
    let mut parts = number.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (5, 2)
}

fn remove(path: &Path) -> Result<(), HostError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(HostError::Failed(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_resolvers_are_told_to_read_this_form_of_configuration() {
        assert!(!needs_old_settings("Nov 27 PowerDNS Recursor 4.8.8 (C) 2001"));
        assert!(!needs_old_settings("PowerDNS Recursor 5.1.9 (C)"));
        assert!(needs_old_settings("PowerDNS Recursor 5.2.0 (C)"));
        assert!(needs_old_settings("PowerDNS Recursor 6.0.1"));
        assert!(!needs_old_settings("PowerDNS Authoritative Server 9.9"));
    }

    #[tokio::test]
    async fn a_stranger_with_the_pid_on_record_is_neither_adopted_nor_ended() {
        let state = tempfile::tempdir().unwrap();
        let mut daemon = Daemon::new("pdns_server", "pdns-server", state.path().join("authoritative"));
        let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(stranger.id()).unwrap();
        let record = Record { pid, started: started(pid).unwrap(), fingerprint: "x".to_owned() };
        fs::write(daemon.record(), serde_json::to_vec(&record).unwrap()).unwrap();
        assert!(!daemon.adopt("x"));
        daemon.stop().await.unwrap();
        assert!(stranger.try_wait().unwrap().is_none());
        assert!(!daemon.record().exists());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
