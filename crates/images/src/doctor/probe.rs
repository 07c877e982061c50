//! Gathering facts. Nothing here decides.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use freehold_types::Timestamp;

use super::{Clock, Facts, Feature, KvmDevice, Memory, Question};
use crate::command::{program, run};
use crate::system::{find_program, observe_libvirt};

/// Where the releases keep the UEFI firmware of 4 MiB, then of 2 MiB.
const OVMF: [&str; 4] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_CODE.fd",
    "/usr/share/edk2/ovmf/OVMF_CODE.fd",
    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
];

/// Looks at this host. Takes a second or so.
pub fn probe(question: &Question) -> Facts {
    Facts {
        kvm: kvm_device(),
        virtualization_flag: has_virtualization_flag(&read("/proc/cpuinfo")),
        libvirt: observe_libvirt().map_err(|error| error.to_string()),
        qemu: qemu_version(),
        ovmf: OVMF.iter().map(PathBuf::from).find(|path| path.exists()),
        swtpm: find_program("swtpm").is_some() && find_program("swtpm_setup").is_some(),
        kernel: [Feature::Bridge, Feature::Tap, Feature::Nftables, Feature::Vxlan, Feature::Vlan]
            .map(|feature| (feature, try_feature(feature)))
            .to_vec(),
        listen: question.listen.iter().map(|address| (*address, refusal(*address))).collect(),
        room: question.room.iter().map(|(path, needed)| (path.clone(), *needed, room(path))).collect(),
        memory: memory(&read("/proc/meminfo"), question.memory),
        clock: clock(),
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn kvm_device() -> KvmDevice {
    match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => KvmDevice::Usable,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => KvmDevice::Denied,
        Err(_) => KvmDevice::Absent,
    }
}

fn has_virtualization_flag(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().filter(|line| line.starts_with("flags") || line.starts_with("Features"));
    flags.flat_map(str::split_whitespace).any(|flag| matches!(flag, "svm" | "vmx"))
}

fn qemu_version() -> Option<String> {
    let path = find_program(&format!("qemu-system-{}", std::env::consts::ARCH))?;
    let text = run(program(path).arg("--version"), "qemu-system-x86").ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// Tries the feature in a network namespace of its own, which goes with the process. Looking for modules
/// would not do: a feature may be built in, or its module be there and be forbidden.
fn try_feature(feature: Feature) -> Option<bool> {
    let inside = |words: &[&str]| {
        let mut command = program("unshare");
        command.arg("--net");
        if !crate::system::is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        run(command.arg("--").args(words), "util-linux").is_ok()
    };
    if !inside(&["true"]) {
        return None;
    }
    Some(match feature {
        Feature::Bridge => inside(&["ip", "link", "add", "fh0", "type", "bridge"]),
        Feature::Vxlan => {
            inside(&["ip", "link", "add", "fh0", "type", "vxlan", "id", "1", "dstport", "4789"])
        }
        Feature::Vlan => {
            inside(&["ip", "link", "add", "link", "lo", "name", "fh0", "type", "vlan", "id", "1"])
        }
        Feature::Tap => inside(&["ip", "tuntap", "add", "dev", "fh0", "mode", "tap"]),
        Feature::Nftables => inside(&["nft", "add", "table", "inet", "freehold"]),
    })
}

fn refusal(address: SocketAddr) -> Option<String> {
    TcpListener::bind(address).err().map(|error| error.to_string())
}

/// Bytes free at a path, or at what of it exists already.
fn room(path: &Path) -> Result<u64, String> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    fs4::available_space(existing).map_err(|error| format!("{}: {error}", existing.display()))
}

fn memory(meminfo: &str, wanted: u64) -> Memory {
    let bytes = |label: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_default();
        let kilobytes: u64 =
            line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
        kilobytes * 1024
    };
    Memory { wanted, available: bytes("MemAvailable:"), total: bytes("MemTotal:") }
}

fn clock() -> Clock {
    let program_file = std::env::current_exe().and_then(std::fs::metadata).and_then(|found| found.modified());
    let program =
        program_file.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
    Clock { now: Timestamp::now().as_seconds(), program, synchronized: synchronized() }
}

fn synchronized() -> Option<bool> {
    let mut command = program("timedatectl");
    let text = run(command.args(["show", "--property=NTPSynchronized", "--value"]), "systemd").ok()?;
    match text.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_whole_words() {
        assert!(has_virtualization_flag("flags\t\t: fpu vmx sse\n"));
        assert!(!has_virtualization_flag("flags\t\t: fpu vmxext\nvmx flags\t: x\n"));
    }

    #[test]
    fn memory_is_in_bytes() {
        let text = "MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\n";
        assert_eq!(memory(text, 5), Memory { wanted: 5, available: 8 << 20, total: 16 << 20 });
    }

    #[test]
    fn a_taken_port_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(refusal(listener.local_addr().unwrap()).is_some());
    }

    #[test]
    fn room_is_told_for_directories_yet_to_be_made() {
        assert!(room(Path::new("/tmp/freehold-not-there/below")).unwrap() > 0);
    }

    #[test]
    fn this_host_can_be_probed() {
        let facts = probe(&Question::default());
        assert!(facts.memory.total > 0);
        assert_eq!(facts.kernel.len(), 5);
    }
}
