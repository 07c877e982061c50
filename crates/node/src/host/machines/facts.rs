//! What a host is and can do, read from libvirt's capabilities. Asking blocks; reading is pure.

use std::collections::BTreeSet;

use freehold_types::agent::Facts;
use roxmltree::{Document, Node};

use super::has_swtpm;
use super::profile::{Accelerator, Architecture, Profile};
use super::virt_sys::Session;
use crate::host::HostError;

/// Asks libvirt, and reads its answers.
pub(super) fn observe(session: &Session, profile: &Profile) -> Result<Facts, HostError> {
    let connect = session.connect();
    let (machine, kind) = (profile.architecture.chipset(), profile.accelerator.domain_type());
    let architecture = Some(profile.architecture.name());
    let ask = || {
        let domain = connect.get_domain_capabilities(None, architecture, Some(machine), Some(kind), 0)?;
        Ok((connect.get_hostname()?, connect.get_capabilities()?, domain, connect.get_node_info()?))
    };
    let (hostname, capabilities, domain_capabilities, node) =
        ask().map_err(|error: virt::error::Error| {
            HostError::Failed(format!("libvirt does not tell what this host can do: {}", error.message()))
        })?;
    let sources = Sources {
        hostname,
        capabilities: &capabilities,
        domain_capabilities: &domain_capabilities,
        node: Processors {
            sockets: node.sockets * node.nodes,
            cores: node.cores * node.sockets * node.nodes,
            threads: node.cpus,
            memory: node.memory << 10,
        },
        swtpm: has_swtpm(),
    };
    facts(&sources, profile).map_err(HostError::Failed)
}

/// What libvirt and the host were asked.
#[derive(Debug, Clone)]
pub(super) struct Sources<'a> {
    pub(super) hostname: String,
    /// `virsh capabilities`.
    pub(super) capabilities: &'a str,
    /// `virsh domcapabilities` for the machine type and accelerator in use.
    pub(super) domain_capabilities: &'a str,
    /// The plain sums of `virsh nodeinfo`, for hosts that list no NUMA cells.
    pub(super) node: Processors,
    /// Whether the programs of a software TPM are installed; libvirt lists TPM even without them.
    pub(super) swtpm: bool,
}

/// Puts them together; an error says which document cannot be read.
pub(super) fn facts(sources: &Sources<'_>, profile: &Profile) -> Result<Facts, String> {
    let capabilities = Document::parse(sources.capabilities)
        .map_err(|error| format!("libvirt's capabilities cannot be read: {error}"))?;
    let domain = Document::parse(sources.domain_capabilities)
        .map_err(|error| format!("libvirt's domain capabilities cannot be read: {error}"))?;
    let host = child(capabilities.root_element(), "host");
    let cpu = host.and_then(|host| child(host, "cpu"));
    let text = |name| {
        cpu.and_then(|cpu| child(cpu, name)).and_then(|node| node.text()).unwrap_or_default().to_owned()
    };
    let listed = Processors::of(host);
    let count = if listed.threads > 0 && listed.memory > 0 { listed } else { sources.node };
    Ok(Facts {
        hostname: sources.hostname.clone(),
        architecture: profile.architecture.name().to_owned(),
        cpu_model: text("model"),
        cpu_vendor: text("vendor"),
        sockets: count.sockets,
        cores: count.cores,
        threads: count.threads,
        memory: count.memory,
        accelerator: profile.accelerator.to_string(),
        address: None,
        features: features(domain.root_element(), profile, sources.swtpm),
        landing: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// How much of them there is; memory in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Processors {
    sockets: u32,
    cores: u32,
    threads: u32,
    memory: u64,
}

impl Processors {
    /// Counts over all NUMA cells. A core's number is unique only within its die and socket, and a die's
    /// only within its socket; a socket may span cells.
    fn of(host: Option<Node<'_, '_>>) -> Self {
        let mut sockets = BTreeSet::new();
        let mut cores = BTreeSet::new();
        let mut total = Self::default();
        let cells =
            host.and_then(|host| child(host, "topology")).and_then(|topology| child(topology, "cells"));
        for cell in cells.iter().flat_map(Node::children).filter(|node| node.has_tag_name("cell")) {
            total.memory += child(cell, "memory").map_or(0, bytes);
            for cpu in cell.descendants().filter(|node| node.has_tag_name("cpu")) {
                let number = |name| cpu.attribute(name).and_then(|text| text.parse::<u32>().ok());
                let socket = number("socket_id");
                sockets.insert(socket);
                cores.insert((socket, number("die_id"), number("core_id")));
                total.threads += 1;
            }
        }
        total.sockets = u32::try_from(sockets.len()).unwrap_or(u32::MAX);
        total.cores = u32::try_from(cores.len()).unwrap_or(u32::MAX);
        total
    }
}

/// An amount of memory, in bytes; libvirt writes KiB, and says so.
fn bytes(node: Node<'_, '_>) -> u64 {
    let scale = match node.attribute("unit") {
        Some("b" | "bytes") => 1,
        Some("MiB") => 1 << 20,
        Some("GiB") => 1 << 30,
        _ => 1 << 10,
    };
    node.text().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0) * scale
}

fn features(domain: Node<'_, '_>, profile: &Profile, swtpm: bool) -> Vec<String> {
    let os = child(domain, "os");
    let loader = os.and_then(|os| child(os, "loader"));
    let devices = child(domain, "devices");
    let uefi = os.is_some_and(|os| offers(os, "firmware", "efi"));
    let secure = uefi && loader.is_some_and(|loader| offers(loader, "secure", "yes"));
    let tpm = devices
        .and_then(|devices| child(devices, "tpm"))
        .is_some_and(|tpm| offers(tpm, "backendModel", "emulator"));
    [
        ("bios", profile.architecture == Architecture::X86_64),
        ("kvm", profile.accelerator == Accelerator::Kvm),
        ("secureboot", secure),
        ("tpm", tpm && swtpm),
        ("uefi", uefi),
    ]
    .into_iter()
    .filter(|(_, has)| *has)
    .map(|(name, _)| name.to_owned())
    .collect()
}

/// Whether `<enum name='NAME'>` of the node holds the value.
fn offers(node: Node<'_, '_>, name: &str, value: &str) -> bool {
    node.children()
        .filter(|child| child.has_tag_name("enum") && child.attribute("name") == Some(name))
        .flat_map(|list| list.children())
        .any(|item| item.text() == Some(value))
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::profile::Display;
    use super::*;

    const CAPABILITIES: &str = "<capabilities><host><cpu><arch>x86_64</arch><model>Cascadelake-Server</model>\
        <vendor>Intel</vendor><topology sockets='1' dies='1' cores='2' threads='2'/></cpu>\
        <topology><cells num='2'>\
        <cell id='0'><memory unit='KiB'>1048576</memory><cpus num='4'>\
        <cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0,2'/>\
        <cpu id='1' socket_id='0' die_id='0' core_id='1' siblings='1,3'/>\
        <cpu id='2' socket_id='0' die_id='0' core_id='0' siblings='0,2'/>\
        <cpu id='3' socket_id='0' die_id='0' core_id='1' siblings='1,3'/></cpus></cell>\
        <cell id='1'><memory unit='KiB'>2097152</memory><cpus num='2'>\
        <cpu id='4' socket_id='1' die_id='0' core_id='0' siblings='4'/>\
        <cpu id='5' socket_id='1' die_id='0' core_id='1' siblings='5'/></cpus></cell>\
        </cells></topology></host></capabilities>";

    const DOMAIN: &str = "<domainCapabilities><os supported='yes'><enum name='firmware'><value>efi</value></enum>\
        <loader supported='yes'><enum name='secure'><value>yes</value><value>no</value></enum></loader></os>\
        <devices><tpm supported='yes'><enum name='backendModel'><value>emulator</value></enum></tpm></devices>\
        </domainCapabilities>";

    fn profile(accelerator: Accelerator) -> Profile {
        Profile {
            architecture: Architecture::X86_64,
            accelerator,
            display: Display::Vnc,
            display_listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            state_directory: "/var/lib/freehold".into(),
        }
    }

    fn read(capabilities: &str, swtpm: bool, accelerator: Accelerator) -> Facts {
        let sources = Sources {
            hostname: "node-1".to_owned(),
            capabilities,
            domain_capabilities: DOMAIN,
            node: Processors { sockets: 1, cores: 3, threads: 5, memory: 7 },
            swtpm,
        };
        facts(&sources, &profile(accelerator)).unwrap()
    }

    #[test]
    fn cores_of_different_sockets_are_told_apart() {
        let facts = read(CAPABILITIES, true, Accelerator::Tcg);
        assert_eq!((facts.sockets, facts.cores, facts.threads), (2, 4, 6));
        assert_eq!(facts.memory, 3 << 30);
        assert_eq!((facts.cpu_model.as_str(), facts.cpu_vendor.as_str()), ("Cascadelake-Server", "Intel"));
        // Cells may have processors alone or memory alone, and there may be many.
        let mut cells =
            "<cell id='2'><cpus num='1'><cpu id='6' socket_id='1' die_id='0' core_id='2'/></cpus></cell>\
            <cell id='3'><memory unit='KiB'>0</memory><cpus num='1'>\
            <cpu id='7' socket_id='1' die_id='0' core_id='3'/></cpus></cell>"
                .to_owned();
        for id in 4..64 {
            let cell = format!("<cell id='{id}'><memory unit='MiB'>512</memory><cpus num='0'/></cell>");
            cells.push_str(&cell);
        }
        let odd = CAPABILITIES.replace("</cells>", &format!("{cells}</cells>"));
        let facts = read(&odd, true, Accelerator::Tcg);
        assert_eq!((facts.sockets, facts.cores, facts.threads), (2, 6, 8));
        assert_eq!(facts.memory, (3 << 30) + 60 * (512 << 20));
    }

    #[test]
    fn features_are_what_works() {
        assert_eq!(
            read(CAPABILITIES, true, Accelerator::Kvm).features,
            ["bios", "kvm", "secureboot", "tpm", "uefi"]
        );
        assert_eq!(read(CAPABILITIES, false, Accelerator::Tcg).features, ["bios", "secureboot", "uefi"]);
    }

    #[test]
    fn a_host_without_numa_cells_has_processors_all_the_same() {
        let facts = read("<capabilities><host/></capabilities>", true, Accelerator::Tcg);
        assert_eq!((facts.sockets, facts.cores, facts.threads, facts.memory), (1, 3, 5, 7));
    }
}
