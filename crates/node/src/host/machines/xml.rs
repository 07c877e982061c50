//! Renders a machine as a libvirt domain definition.
//!
//! Promises: the same plan on the same host gives the same bytes; every value is escaped; a screen never
//! listens without a password on an address that was not chosen. It reads nothing and asks nobody: what
//! the host can do comes as a [`Profile`], and a wish that no host of that kind can meet is refused here.
//!
//! A definition carries two digests in its metadata. `definition` covers all of it and tells whether
//! libvirt holds what is desired; `hardware` leaves out what a running machine need not notice, and
//! tells whether it must be started again to become what is desired.

use freehold_types::Id;
use freehold_types::agent::{Firmware, Machine};
use freehold_types::wire::OperatingSystem;
use sha2::{Digest, Sha256};

use super::devices::{self, Refusal};
use super::element::Element;
use super::profile::{Accelerator, Architecture, Profile};
use crate::host::MachinePlan;

/// Namespace of our metadata, by which our machines are told from those of others.
pub(super) const NAMESPACE: &str = "urn:freehold:machine:1";

/// Prefix of the names of our domains.
const PREFIX: &str = "fh-";

/// A rendered domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) xml: String,
    /// Digest of all of it.
    pub(super) digest: String,
    /// Digest of what a running machine cannot change.
    pub(super) hardware: String,
    /// What the host must offer for it, in the words of its facts.
    pub(super) needs: Vec<&'static str>,
}

/// Name of a machine's domain.
pub(super) fn domain_name(id: Id) -> String {
    format!("{PREFIX}{id}")
}

/// The machine that a domain of this name would be.
pub(super) fn machine_of(domain: &str) -> Option<Id> {
    domain.strip_prefix(PREFIX)?.parse().ok()
}

/// The UUID that follows from an id, the same on each host, in the form of version 8 of RFC 9562.
pub(super) fn uuid(id: Id) -> String {
    let digest = Sha256::new().chain_update(b"freehold machine\0").chain_update(id.as_bytes()).finalize();
    let mut hex = String::with_capacity(36);
    for (index, byte) in digest.iter().take(16).enumerate() {
        let byte = match index {
            6 => (byte & 0x0f) | 0x80,
            8 => (byte & 0x3f) | 0x80,
            _ => *byte,
        };
        if matches!(index, 4 | 6 | 8 | 10) {
            hex.push('-');
        }
        hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
        hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
    }
    hex
}

/// The definition of a machine on this host, or why it can have none.
pub(super) fn render(plan: &MachinePlan<'_>, profile: &Profile) -> Result<Definition, Refusal> {
    let machine = plan.machine;
    let body = body(plan, profile)?;
    let hardware = digest(&[], &body);
    let labels = labels(machine);
    let digest = digest(&labels, &body);
    let mark = Element::new("freehold:machine")
        .with("xmlns:freehold", NAMESPACE)
        .with("id", plan.id)
        .with("definition", &digest)
        .with("hardware", &hardware);
    let xml = Element::new("domain")
        .with("type", profile.accelerator.domain_type())
        .child(Element::text("name", domain_name(plan.id)))
        .child(Element::text("uuid", uuid(plan.id)))
        .children(labels)
        .child(Element::new("metadata").child(mark))
        .children(body)
        .to_string();
    Ok(Definition { xml, digest, hardware, needs: needs(machine, profile) })
}

fn needs(machine: &Machine, profile: &Profile) -> Vec<&'static str> {
    [
        ("uefi", uses_uefi(machine, profile)),
        ("secureboot", secure_boot(machine, profile)),
        ("tpm", machine.os == OperatingSystem::Windows),
    ]
    .into_iter()
    .filter(|(_, needed)| *needed)
    .map(|(name, _)| name)
    .collect()
}

/// What only people read.
fn labels(machine: &Machine) -> Vec<Element> {
    let mut labels = vec![Element::text("title", machine.name.replace(['\n', '\r'], " "))];
    if !machine.description.is_empty() {
        labels.push(Element::text("description", &machine.description));
    }
    labels
}

fn digest(labels: &[Element], body: &[Element]) -> String {
    let mut hash = Sha256::new();
    for element in labels.iter().chain(body) {
        hash.update(element.to_string());
    }
    format!("{:x}", hash.finalize())
}

fn body(plan: &MachinePlan<'_>, profile: &Profile) -> Result<Vec<Element>, Refusal> {
    let machine = plan.machine;
    if machine.vcpus == 0 || machine.memory == 0 {
        return Err(Refusal(format!(
            "machine {} asks for {} virtual processors and {} bytes of memory: give it at least one of each",
            plan.id, machine.vcpus, machine.memory
        )));
    }
    let mut body = vec![
        Element::text("memory", machine.memory).with("unit", "b"),
        Element::text("currentMemory", machine.memory).with("unit", "b"),
        Element::text("vcpu", machine.vcpus).with("placement", "static"),
        Element::text("iothreads", 1),
        os(machine, profile),
        features(machine, profile),
        cpu(machine, profile),
        clock(machine, profile),
        Element::text("on_poweroff", "destroy"),
        Element::text("on_reboot", "restart"),
        Element::text("on_crash", "destroy"),
    ];
    if machine.os == OperatingSystem::Windows && profile.architecture == Architecture::X86_64 {
        body.push(
            Element::new("pm")
                .child(Element::new("suspend-to-mem").with("enabled", "no"))
                .child(Element::new("suspend-to-disk").with("enabled", "no")),
        );
    }
    body.push(devices::render(plan, profile)?);
    Ok(body)
}

/// Windows starts by UEFI only (with Secure Boot), and so does everything on 64-bit ARM.
fn uses_uefi(machine: &Machine, profile: &Profile) -> bool {
    machine.firmware == Firmware::Uefi
        || machine.os == OperatingSystem::Windows
        || profile.architecture == Architecture::Aarch64
}

/// Whether the firmware checks signatures.
fn secure_boot(machine: &Machine, profile: &Profile) -> bool {
    machine.os == OperatingSystem::Windows && profile.architecture == Architecture::X86_64
}

fn os(machine: &Machine, profile: &Profile) -> Element {
    let kind = Element::text("type", "hvm")
        .with("arch", profile.architecture.name())
        .with("machine", profile.architecture.chipset());
    if !uses_uefi(machine, profile) {
        return Element::new("os").child(kind).child(Element::new("bios").with("useserial", "yes"));
    }
    let feature = |name, enabled: bool| {
        Element::new("feature").with("enabled", if enabled { "yes" } else { "no" }).with("name", name)
    };
    let firmware = if secure_boot(machine, profile) {
        Element::new("firmware").child(feature("enrolled-keys", true)).child(feature("secure-boot", true))
    } else {
        // Said in words, since libvirt prefers the firmware with enrolled keys, which starts signed systems only.
        Element::new("firmware").child(feature("secure-boot", false))
    };
    Element::new("os").with("firmware", "efi").child(kind).child(firmware)
}

fn features(machine: &Machine, profile: &Profile) -> Element {
    let kvm = profile.accelerator == Accelerator::Kvm;
    let state = |name, state| Element::new(name).with("state", state);
    let features = Element::new("features").child(Element::new("acpi"));
    match profile.architecture {
        Architecture::Aarch64 if kvm => features.child(Element::new("gic").with("version", "host")),
        Architecture::Aarch64 => features,
        Architecture::X86_64 => {
            let mut features = features.child(Element::new("apic")).child(Element::new("pae"));
            if machine.os == OperatingSystem::Windows && kvm {
                features = features.child(enlightenments());
            }
            features = features.child(state("pmu", "off"));
            if secure_boot(machine, profile) {
                features = features.child(state("smm", "on"));
            }
            features
        }
    }
}

/// What Windows asks of a Hyper-V host; KVM speaks it, emulation does not.
fn enlightenments() -> Element {
    let state = |name| Element::new(name).with("state", "on");
    Element::new("hyperv").with("mode", "custom").children([
        state("relaxed"),
        state("vapic"),
        state("spinlocks").with("retries", 8191),
        state("vpindex"),
        state("runtime"),
        state("synic"),
        state("stimer"),
        state("reset"),
        state("frequencies"),
        state("tlbflush"),
        state("ipi"),
    ])
}

fn cpu(machine: &Machine, profile: &Profile) -> Element {
    let cpu = Element::new("cpu");
    let cpu = match (profile.accelerator, profile.architecture) {
        (Accelerator::Kvm, Architecture::X86_64) => cpu.with("mode", "host-model").with("check", "partial"),
        // KVM on ARM has no named models.
        (Accelerator::Kvm, Architecture::Aarch64) => {
            cpu.with("mode", "host-passthrough").with("check", "none")
        }
        (Accelerator::Tcg, _) => cpu.with("mode", "maximum").with("check", "none"),
    };
    // One socket, since desktop editions of Windows use no more than two.
    cpu.child(
        Element::new("topology")
            .with("sockets", 1)
            .with("dies", 1)
            .with("cores", machine.vcpus)
            .with("threads", 1),
    )
}

fn clock(machine: &Machine, profile: &Profile) -> Element {
    let windows = machine.os == OperatingSystem::Windows;
    let clock = Element::new("clock").with("offset", if windows { "localtime" } else { "utc" });
    if profile.architecture != Architecture::X86_64 {
        return clock;
    }
    let timer = |name| Element::new("timer").with("name", name);
    let mut clock = clock.children([
        timer("rtc").with("tickpolicy", "catchup"),
        timer("pit").with("tickpolicy", "delay"),
        timer("hpet").with("present", "no"),
    ]);
    if profile.accelerator == Accelerator::Kvm {
        clock = clock.child(timer(if windows { "hypervclock" } else { "kvmclock" }).with("present", "yes"));
    }
    clock
}
