//! Acting as root, and finding programs that are outside a user's search path.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{program, run};

/// How this process gets to act as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elevation {
    /// It is root.
    Root,
    /// Through sudo, which asks on the terminal when it needs to.
    Sudo,
    /// Through sudo, without being asked.
    SilentSudo,
}

impl Elevation {
    /// `None` when there is no way.
    pub(super) fn find() -> Option<Self> {
        if is_root() {
            return Some(Self::Root);
        }
        find_program("sudo")?;
        if run(program("sudo").args(["-n", "true"]), "sudo").is_ok() {
            return Some(Self::SilentSudo);
        }
        // Without a terminal sudo could not ask.
        std::io::IsTerminal::is_terminal(&std::io::stdin()).then_some(Self::Sudo)
    }

    /// A command that runs as root.
    pub(super) fn command(self, name: &str) -> Command {
        match self {
            Self::Root => program(name),
            Self::Sudo | Self::SilentSudo => {
                let mut command = program("sudo");
                if self == Self::SilentSudo {
                    command.arg("-n");
                }
                command.arg(name);
                command
            }
        }
    }
}

/// Whether this process acts as root.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_user(&status) == Some(0)
}

/// The effective user of `/proc/PID/status`: the second number after `Uid:`.
fn effective_user(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()
}

/// Where a program is, in the search path or among the programs for administrators.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_counts() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t1\n"), Some(0));
        assert_eq!(effective_user(""), None);
    }

    #[test]
    fn programs_are_found() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("freehold-no-such-program"), None);
    }
}
