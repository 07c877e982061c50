//! From facts to checks. Pure.

use super::{Check, Clock, Facts, Feature, KvmDevice, Memory, Status};
use crate::system::Libvirt;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Below this a host is hardly of use, whatever the machines want.
const LEAST_MEMORY: u64 = GIB;
const INSTALL: &str = "apt-get install --no-install-recommends";

/// All checks, in the order in which they are best remedied.
pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![kvm(facts.kvm, facts.virtualization_flag), qemu(facts.qemu.as_deref())];
    checks.push(libvirt(facts.libvirt.as_ref()));
    checks.push(ovmf(facts));
    checks.push(swtpm(facts.swtpm));
    checks.extend(facts.kernel.iter().map(|(feature, found)| kernel(*feature, *found)));
    checks.push(memory(facts.memory));
    for (path, needed, available) in &facts.room {
        let name = format!("room in {}", path.display());
        checks.push(room(&name, *needed, available.as_ref()));
    }
    for (address, refusal) in &facts.listen {
        checks.push(port(&format!("{address}"), refusal.as_deref()));
    }
    checks.push(clock(facts.clock));
    checks
}

fn ok(name: &str, found: impl Into<String>) -> Check {
    Check { name: name.to_owned(), status: Status::Ok, found: found.into(), remedy: String::new() }
}

fn bad(name: &str, status: Status, found: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check { name: name.to_owned(), status, found: found.into(), remedy: remedy.into() }
}

fn kvm(device: KvmDevice, flag: bool) -> Check {
    let name = "hardware virtualisation";
    let slow = "machines run under emulation, many times slower";
    match (device, flag) {
        (KvmDevice::Usable, true) => ok(name, "KVM is usable"),
        (_, false) => bad(
            name,
            Status::Warning,
            format!("the processor offers none (neither svm nor vmx): {slow}"),
            "switch it on in the firmware's settings (AMD-V, SVM or VT-x); inside a virtual machine, let its host pass it on",
        ),
        (KvmDevice::Denied, true) => bad(
            name,
            Status::Warning,
            format!("/dev/kvm is there and may not be opened: {slow}"),
            "run as root, or join the group kvm: usermod --append --groups kvm $USER, then log in again",
        ),
        (KvmDevice::Absent, true) => bad(
            name,
            Status::Warning,
            format!("the processor offers it and /dev/kvm is missing: {slow}"),
            "load the module: modprobe kvm_intel or modprobe kvm_amd; in a container, pass the device on",
        ),
    }
}

fn qemu(version: Option<&str>) -> Check {
    match version {
        Some(version) => ok("QEMU", version),
        None => bad("QEMU", Status::Failed, "not installed", format!("{INSTALL} qemu-system-x86 qemu-utils")),
    }
}

fn libvirt(found: Result<&Libvirt, &String>) -> Check {
    let name = "libvirt";
    let libvirt = match found {
        Ok(libvirt) => libvirt,
        Err(reason) => {
            return bad(
                name,
                Status::Failed,
                reason,
                format!("{INSTALL} libvirt-daemon-system libvirt-clients; then systemctl start libvirtd"),
            );
        }
    };
    let Some(qemu) = &libvirt.qemu else {
        return bad(
            name,
            Status::Failed,
            format!("version {} answers and finds no QEMU", libvirt.daemon),
            format!("{INSTALL} qemu-system-x86; then restart libvirtd"),
        );
    };
    let pair = format!("version {} with QEMU {qemu}", libvirt.daemon);
    // libvirt 9 asks QEMU 10 for things that it no longer knows.
    if major(&libvirt.daemon) < 10 && major(qemu) >= 10 {
        return bad(
            name,
            Status::Failed,
            format!("{pair}: this libvirt is too old for this QEMU"),
            "take both from one suite: apt-get install --target-release bookworm-backports libvirt-daemon-system qemu-system-x86",
        );
    }
    ok(name, pair)
}

fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn ovmf(facts: &Facts) -> Check {
    match &facts.ovmf {
        Some(path) => ok("UEFI firmware", path.display().to_string()),
        None => bad(
            "UEFI firmware",
            Status::Warning,
            "not found: machines can start by legacy BIOS only",
            format!("{INSTALL} ovmf"),
        ),
    }
}

fn swtpm(found: bool) -> Check {
    if found {
        return ok("emulated TPM", "swtpm is installed");
    }
    bad(
        "emulated TPM",
        Status::Warning,
        "swtpm is not installed: machines cannot have a TPM",
        format!("{INSTALL} swtpm swtpm-tools"),
    )
}

fn kernel(feature: Feature, found: Option<bool>) -> Check {
    let (name, module, lost, status) = match feature {
        Feature::Bridge => ("kernel: bridge", "bridge", "machines cannot have networks", Status::Failed),
        Feature::Tap => ("kernel: tap devices", "tun", "machines cannot have network cards", Status::Failed),
        Feature::Nftables => {
            ("kernel: nftables", "nf_tables", "gateways and firewalls do not work", Status::Failed)
        }
        Feature::Vxlan => ("kernel: VXLAN", "vxlan", "VXLAN segments do not work here", Status::Warning),
        Feature::Vlan => ("kernel: VLAN", "8021q", "VLAN segments do not work here", Status::Warning),
    };
    match found {
        Some(true) => ok(name, "works"),
        Some(false) => bad(
            name,
            status,
            format!("does not work: {lost}"),
            format!(
                "modprobe {module}; when there is no such module, start a kernel that has it (Debian's and Ubuntu's do)"
            ),
        ),
        None => bad(name, Status::Warning, "cannot be tried without root", "run this check as root"),
    }
}

fn memory(memory: Memory) -> Check {
    let found = format!("{} MiB available of {} MiB", memory.available / MIB, memory.total / MIB);
    if memory.available < memory.wanted.max(LEAST_MEMORY) {
        let wanted = memory.wanted.max(LEAST_MEMORY) / MIB;
        return bad(
            "memory",
            Status::Warning,
            found,
            format!("free some until {wanted} MiB are available, or run fewer machines"),
        );
    }
    ok("memory", found)
}

fn room(name: &str, needed: u64, available: Result<&u64, &String>) -> Check {
    match available {
        Err(reason) => bad(name, Status::Failed, reason.as_str(), "make the directory, or name another one"),
        Ok(available) if *available < needed => bad(
            name,
            Status::Failed,
            format!("{} MiB are free", available / MIB),
            format!("free some until there are {} MiB, or name another directory", needed.div_ceil(MIB)),
        ),
        Ok(available) => ok(name, format!("{} MiB are free", available / MIB)),
    }
}

fn port(address: &str, refusal: Option<&str>) -> Check {
    let name = format!("address {address}");
    match refusal {
        None => ok(&name, "free"),
        Some(reason) => bad(
            &name,
            Status::Failed,
            reason,
            "see who listens with 'ss --tcp --listening --processes'; end that, or choose another address",
        ),
    }
}

fn clock(clock: Clock) -> Check {
    let name = "clock";
    if clock.program.is_some_and(|program| clock.now < program) {
        return bad(
            name,
            Status::Failed,
            "it is set to a time before this program was made: certificates will be refused",
            "set it: timedatectl set-ntp true, or date --set",
        );
    }
    match clock.synchronized {
        Some(true) => ok(name, "kept by a time service"),
        Some(false) => bad(
            name,
            Status::Warning,
            "no time service keeps it: hosts drift apart",
            "switch one on: timedatectl set-ntp true",
        ),
        None => ok(name, "plausible; no time service could be asked"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn healthy() -> Facts {
        Facts {
            kvm: KvmDevice::Usable,
            virtualization_flag: true,
            libvirt: Ok(Libvirt { daemon: "11.3.0".to_owned(), qemu: Some("10.0.2".to_owned()) }),
            qemu: Some("QEMU emulator version 10.0.2".to_owned()),
            ovmf: Some(PathBuf::from("/usr/share/OVMF/OVMF_CODE_4M.fd")),
            swtpm: true,
            kernel: [Feature::Bridge, Feature::Vxlan, Feature::Vlan, Feature::Tap, Feature::Nftables]
                .map(|feature| (feature, Some(true)))
                .to_vec(),
            listen: vec![(([127, 0, 0, 1], 8080).into(), None)],
            room: vec![(PathBuf::from("/var/lib/freehold"), GIB, Ok(20 * GIB))],
            memory: Memory { wanted: 2 * GIB, available: 8 * GIB, total: 16 * GIB },
            clock: Clock { now: 2_000_000_000, program: Some(1_900_000_000), synchronized: Some(true) },
        }
    }

    #[test]
    fn a_healthy_host_has_nothing_to_remedy() {
        let checks = judge(&healthy());
        assert!(
            checks.iter().all(|check| check.status == Status::Ok && check.remedy.is_empty()),
            "{checks:#?}"
        );
        assert_eq!(checks.len(), 14);
    }

    #[test]
    fn a_bare_host_is_told_what_to_do_about_everything() {
        let facts = Facts {
            kvm: KvmDevice::Absent,
            virtualization_flag: false,
            libvirt: Err("libvirt does not answer at qemu:///system: no such file".to_owned()),
            qemu: None,
            ovmf: None,
            swtpm: false,
            kernel: healthy().kernel.into_iter().map(|(feature, _)| (feature, Some(false))).collect(),
            listen: vec![(([127, 0, 0, 1], 8080).into(), Some("Address already in use".to_owned()))],
            room: vec![(PathBuf::from("/var/lib/freehold"), GIB, Ok(MIB))],
            memory: Memory { wanted: 2 * GIB, available: GIB, total: 2 * GIB },
            clock: Clock { now: 1, program: Some(1_900_000_000), synchronized: None },
        };
        let text: Vec<String> = judge(&facts)
            .iter()
            .map(|check| format!("{:?} {}: {}\n  -> {}", check.status, check.name, check.found, check.remedy))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn an_old_libvirt_with_a_new_qemu_fails() {
        let mut facts = healthy();
        facts.libvirt = Ok(Libvirt { daemon: "9.0.0".to_owned(), qemu: Some("10.0.2".to_owned()) });
        let check = judge(&facts).into_iter().find(|check| check.name == "libvirt").unwrap();
        assert_eq!(check.status, Status::Failed);
        assert!(check.remedy.contains("bookworm-backports"));
        facts.libvirt = Ok(Libvirt { daemon: "9.0.0".to_owned(), qemu: Some("7.2.22".to_owned()) });
        assert!(judge(&facts).iter().all(|check| check.status == Status::Ok));
    }

    #[test]
    fn a_device_without_the_processor_flag_does_not_count() {
        let facts = Facts { virtualization_flag: false, ..healthy() };
        assert_eq!(judge(&facts)[0].status, Status::Warning);
    }
}
