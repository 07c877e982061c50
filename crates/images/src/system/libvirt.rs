//! libvirt: whether it answers, and starting it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::command::{Elevation, find_program};
use crate::command::{output, program, run};
use crate::{ImageError, Progress};

/// Where the hypervisor's libvirt is reached.
const URI: &str = "qemu:///system";
/// First start on a small machine takes a few seconds: it probes every QEMU.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(200);

/// A libvirt that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Libvirt {
    /// Version of the daemon, such as `9.0.0`.
    pub daemon: String,
    /// Version of the QEMU that it runs; `None` when it found none.
    pub qemu: Option<String>,
}

/// Asks libvirt for its versions.
///
/// # Errors
///
/// When it does not answer, with what virsh said.
pub fn observe_libvirt() -> Result<Libvirt, ImageError> {
    let mut command = program("virsh");
    let answer = output(command.args(["--connect", URI, "version", "--daemon"]), "libvirt-clients")?;
    let text = String::from_utf8_lossy(&answer.stdout);
    parse_versions(&text).ok_or_else(|| {
        let said = String::from_utf8_lossy(&answer.stderr);
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        ImageError::Host(format!("libvirt does not answer at {URI}: {}", said.join("; ")))
    })
}

/// Sees to it that libvirt answers: starts it when it does not, and waits until it does.
///
/// Under systemd its units are started; elsewhere the daemons themselves, which then stay until the host
/// stops or somebody ends them.
///
/// # Errors
///
/// When it is not installed, cannot be started, or does not answer within a minute.
pub fn start_libvirt(progress: Progress<'_>) -> Result<Libvirt, ImageError> {
    if let Ok(libvirt) = observe_libvirt() {
        return Ok(libvirt);
    }
    progress("starting libvirt");
    let root = Elevation::find().ok_or_else(|| {
        ImageError::Host(
            "libvirt does not answer and starting it needs root: run this as root, or be member of the group libvirt \
             and start it with 'systemctl start libvirtd'"
                .to_owned(),
        )
    })?;
    if Path::new("/run/systemd/system").is_dir() {
        let units = units(|unit| run(program("systemctl").args(["cat", unit]), "systemd").is_ok());
        run(root.command("systemctl").arg("start").args(units), "systemd")?;
    } else {
        for daemon in ["virtlogd", "libvirtd"] {
            start_daemon(root, daemon)?;
        }
    }
    let begin = Instant::now();
    loop {
        match observe_libvirt() {
            Err(error) if begin.elapsed() >= PATIENCE => {
                return Err(ImageError::Host(format!(
                    "libvirt was started and does not become usable: {error}; see 'journalctl -u libvirtd', or run \
                     'libvirtd --verbose' in a terminal"
                )));
            }
            Err(_) => std::thread::sleep(PAUSE),
            Ok(libvirt) => return Ok(libvirt),
        }
    }
}

/// The units to start: one daemon for all on Debian and Ubuntu, one for each part elsewhere.
fn units(exists: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let split = [
        "virtlogd.socket",
        "virtqemud.socket",
        "virtstoraged.socket",
        "virtnetworkd.socket",
        "virtsecretd.socket",
        "virtnodedevd.socket",
    ];
    if exists("libvirtd.service") {
        vec!["virtlogd.socket", "libvirtd.service"]
    } else {
        split.into_iter().filter(|unit| exists(unit)).collect()
    }
}

fn start_daemon(root: Elevation, name: &str) -> Result<(), ImageError> {
    let path = find_program(name).ok_or_else(|| ImageError::Missing {
        program: name.to_owned(),
        package: "libvirt-daemon-system".to_owned(),
    })?;
    let mut command = root.command(&path.to_string_lossy());
    match run(command.arg("--daemon"), "libvirt-daemon-system") {
        // Both refuse to run twice; whether the one that runs is usable shows in a moment.
        Err(ImageError::Command { reason, .. })
            if reason.contains("already running") || reason.contains("pid file") =>
        {
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}

/// Reads what `virsh version --daemon` prints. `None` without a daemon.
fn parse_versions(text: &str) -> Option<Libvirt> {
    let after =
        |label: &str| text.lines().find_map(|line| Some(line.trim().strip_prefix(label)?.trim().to_owned()));
    Some(Libvirt { daemon: after("Running against daemon:")?, qemu: after("Running hypervisor: QEMU") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let text = "Compiled against library: libvirt 9.0.0\nUsing library: libvirt 9.0.0\nUsing API: QEMU 9.0.0\n\
                    Running hypervisor: QEMU 7.2.22\nRunning against daemon: 9.0.0\n";
        let expected = Libvirt { daemon: "9.0.0".to_owned(), qemu: Some("7.2.22".to_owned()) };
        assert_eq!(parse_versions(text), Some(expected));
        assert_eq!(parse_versions("error: failed to connect"), None);
    }

    #[test]
    fn the_units_of_the_host_are_started() {
        assert_eq!(units(|_| true), ["virtlogd.socket", "libvirtd.service"]);
        assert_eq!(units(|unit| unit == "virtqemud.socket"), ["virtqemud.socket"]);
    }
}
