//! Renders the devices of a machine: disks, seed, network cards, screen, console and the small ones.
//!
//! Same promises as [`super::xml`]: pure, deterministic, escaped.

use freehold_types::Id;
use freehold_types::agent::{Pool, PoolDriver};
use freehold_types::wire::OperatingSystem;

use super::element::Element;
use super::ports;
use super::profile::{Architecture, Display, Profile};
use crate::host::MachinePlan;

/// Why a machine cannot be defined on any host of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) String);

/// Queues beyond this bring nothing but memory use.
const MOST_QUEUES: u32 = 8;

/// The seed's place among the disks (`vdz`), so that adding a disk does not move it.
const SEED_POSITION: usize = 25;

/// Longest serial number of a virtio disk.
const SERIAL_LENGTH: usize = 20;

pub(super) fn render(plan: &MachinePlan<'_>, profile: &Profile) -> Result<Element, Refusal> {
    let machine = plan.machine;
    if machine.nics.len() != plan.bridges.len() {
        return Err(Refusal(format!(
            "machine {} has {} network cards, but the node found {} bridges for them",
            plan.id,
            machine.nics.len(),
            plan.bridges.len()
        )));
    }
    let windows = machine.os == OperatingSystem::Windows;
    let mut devices = Element::new("devices");
    for (position, (volume, _, _, pool)) in plan.disks.iter().enumerate() {
        devices = devices.child(disk(position, *volume, pool));
    }
    devices = devices.child(seed(plan, profile));
    // Named, or libvirt would choose an emulation of 1996 for the tablet.
    devices = devices.child(Element::new("controller").with("type", "usb").with("model", "qemu-xhci"));
    if windows {
        devices = devices.child(Element::new("controller").with("type", "sata").with("index", 0));
    }
    for (nic, bridge) in machine.nics.iter().zip(&plan.bridges) {
        let queues = machine.vcpus.min(MOST_QUEUES);
        let card = Element::new("interface")
            .with("type", "bridge")
            .child(Element::new("mac").with("address", nic.mac))
            .child(Element::new("source").with("bridge", bridge))
            // A name of ours, by which the packet filter knows it.
            .child(Element::new("target").with("dev", ports::port(nic.mac)))
            .child(Element::new("model").with("type", "virtio"))
            // Machines start from their disk; the network boot program would only delay them.
            .child(Element::new("rom").with("enabled", "no"));
        // No driver name: libvirt takes vhost where the kernel has it, and does without elsewhere.
        devices = devices.child(if queues > 1 {
            card.child(Element::new("driver").with("queues", queues))
        } else {
            card
        });
    }
    Ok(devices
        .children(console(plan.id, profile))
        .children(screen(windows, profile))
        .children(small(windows, profile)))
}

/// Name of the disk at a position: `vda` … `vdz`, `vdaa` …
pub(super) fn target(prefix: &str, position: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = position + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b"abcdefghijklmnopqrstuvwxyz"[rest % 26]));
        rest /= 26;
    }
    prefix.chars().chain(letters.into_iter().rev()).collect()
}

/// What the guest sees as the disk's serial number: the end of the volume's id.
fn serial(volume: Id) -> String {
    let text = volume.to_string();
    text[text.len() - SERIAL_LENGTH..].to_owned()
}

fn disk(position: usize, volume: Id, pool: &Pool) -> Element {
    let driver = |format| {
        Element::new("driver")
            .with("name", "qemu")
            .with("type", format)
            .with("cache", "writeback")
            .with("discard", "unmap")
            .with("iothread", 1)
    };
    let disk = |kind| Element::new("disk").with("type", kind).with("device", "disk");
    let disk = match &pool.driver {
        PoolDriver::Directory { path } => disk("file").child(driver("qcow2")).child(
            Element::new("source").with("file", format!("{}/{volume}.qcow2", path.trim_end_matches('/'))),
        ),
        PoolDriver::Logical { group } => disk("block")
            .child(driver("raw"))
            .child(Element::new("source").with("dev", format!("/dev/{group}/{volume}"))),
        PoolDriver::Rbd { pool, monitor, port, secret } => {
            let mut disk = disk("network").child(driver("raw"));
            if let Some(secret) = secret {
                disk = disk.child(
                    Element::new("auth")
                        .with("username", "libvirt")
                        .child(Element::new("secret").with("type", "ceph").with("uuid", secret)),
                );
            }
            disk.child(
                Element::new("source")
                    .with("protocol", "rbd")
                    .with("name", format!("{pool}/{volume}"))
                    .child(Element::new("host").with("name", monitor).with("port", port)),
            )
        }
    };
    let disk = disk.child(Element::new("target").with("dev", target("vd", position)).with("bus", "virtio"));
    let disk = if position == 0 { disk.child(Element::new("boot").with("order", 1)) } else { disk };
    disk.child(Element::text("serial", serial(volume)))
}

/// The seed: a read-only virtio disk, since cloud kernels have no driver for the SATA of q35; for
/// Windows a CD-ROM, since there it is the virtio driver that may be missing.
fn seed(plan: &MachinePlan<'_>, profile: &Profile) -> Element {
    let windows = plan.machine.os == OperatingSystem::Windows && profile.architecture == Architecture::X86_64;
    let (device, target, bus) = if windows {
        ("cdrom", "sda".to_owned(), "sata")
    } else {
        ("disk", target("vd", plan.disks.len().max(SEED_POSITION)), "virtio")
    };
    Element::new("disk")
        .with("type", "file")
        .with("device", device)
        .child(Element::new("driver").with("name", "qemu").with("type", "raw"))
        .child(Element::new("source").with("file", profile.seed_path(plan.id).display()))
        .child(Element::new("target").with("dev", target).with("bus", bus))
        .child(Element::new("readonly"))
        .child(Element::text("serial", "cloudinit"))
}

/// A serial port on a pty, copied to a file so that the boot can be read afterwards.
fn console(id: Id, profile: &Profile) -> Vec<Element> {
    let log = || Element::new("log").with("file", profile.serial_log(id).display()).with("append", "on");
    let serial = Element::new("serial").with("type", "pty").child(log());
    let serial = match profile.architecture {
        Architecture::X86_64 => {
            serial.child(Element::new("target").with("type", "isa-serial").with("port", 0))
        }
        Architecture::Aarch64 => serial.child(
            Element::new("target")
                .with("type", "system-serial")
                .with("port", 0)
                .child(Element::new("model").with("name", "pl011")),
        ),
    };
    let console = Element::new("console")
        .with("type", "pty")
        .child(log())
        .child(Element::new("target").with("type", "serial").with("port", 0));
    let agent = Element::new("channel")
        .with("type", "unix")
        .child(Element::new("target").with("type", "virtio").with("name", "org.qemu.guest_agent.0"));
    vec![serial, console, agent]
}

fn screen(windows: bool, profile: &Profile) -> Vec<Element> {
    let input = |kind| Element::new("input").with("type", kind).with("bus", "usb");
    let graphics = |kind| {
        Element::new("graphics")
            .with("type", kind)
            .with("autoport", "yes")
            .child(Element::new("listen").with("type", "address").with("address", profile.display_listen))
    };
    let model = match (windows, profile.display, profile.architecture) {
        // Windows brings no driver for virtio's screen.
        (true, Display::Vnc, Architecture::X86_64) => Element::new("model").with("type", "vga"),
        (true, Display::Spice, Architecture::X86_64) => {
            Element::new("model").with("type", "qxl").with("ram", 65536).with("vram", 65536).with("heads", 1)
        }
        (false, _, _) | (true, _, Architecture::Aarch64) => {
            Element::new("model").with("type", "virtio").with("heads", 1)
        }
    };
    let mut screen = vec![input("tablet"), input("keyboard")];
    match profile.display {
        Display::Vnc => screen.push(graphics("vnc")),
        Display::Spice => {
            screen.push(graphics("spice"));
            screen.push(Element::new("audio").with("id", 1).with("type", "spice"));
            screen.push(
                Element::new("channel")
                    .with("type", "spicevmc")
                    .child(Element::new("target").with("type", "virtio").with("name", "com.redhat.spice.0")),
            );
            if windows {
                screen.push(
                    Element::new("sound").with("model", "ich9").child(Element::new("audio").with("id", 1)),
                );
                screen.push(Element::new("redirdev").with("bus", "usb").with("type", "spicevmc"));
            }
        }
    }
    screen.push(Element::new("video").child(model));
    screen
}

fn small(windows: bool, profile: &Profile) -> Vec<Element> {
    let mut devices = Vec::new();
    if windows {
        let model = match profile.architecture {
            Architecture::X86_64 => "tpm-crb",
            Architecture::Aarch64 => "tpm-tis",
        };
        devices.push(
            Element::new("tpm")
                .with("model", model)
                .child(Element::new("backend").with("type", "emulator").with("version", "2.0")),
        );
    }
    devices.push(Element::new("memballoon").with("model", "virtio").with("autodeflate", "on"));
    devices.push(
        Element::new("rng")
            .with("model", "virtio")
            .child(Element::text("backend", "/dev/urandom").with("model", "random")),
    );
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_count_like_the_kernel_does() {
        for (position, name) in
            [(0, "vda"), (25, "vdz"), (26, "vdaa"), (51, "vdaz"), (52, "vdba"), (702, "vdaaa")]
        {
            assert_eq!(target("vd", position), name);
        }
    }
}
