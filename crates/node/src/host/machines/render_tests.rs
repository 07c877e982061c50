//! Definitions as snapshots, and libvirt's own check of each.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use freehold_types::agent::{
    Firmware, Machine, Nic, Pool, PoolDriver, Power, PowerTarget, Seed, Volume, VolumeContent,
};
use freehold_types::net::Mac;
use freehold_types::size::GIB;
use freehold_types::wire::OperatingSystem;
use freehold_types::{Id, Secret};

use super::profile::{Accelerator, Architecture, Display, Profile};
use super::xml::{self, Definition};
use crate::host::MachinePlan;

/// A machine with the disks and bridges it stands on.
struct Case {
    machine: Machine,
    pools: Vec<Pool>,
    bridges: Vec<&'static str>,
    profile: Profile,
}

impl Case {
    fn new() -> Self {
        Self {
            machine: Machine {
                name: "web-1".to_owned(),
                description: "Front of the shop".to_owned(),
                os: OperatingSystem::Linux,
                vcpus: 2,
                memory: 2 * GIB,
                firmware: Firmware::Uefi,
                disks: vec![Id::from_u64(101)],
                nics: vec![nic(1)],
                seed: Seed {
                    user_data: Secret::new(String::new()),
                    meta_data: Secret::new(String::new()),
                    network_config: Secret::new(String::new()),
                },
                power: Power { serial: 1, target: PowerTarget::Running },
                reboots: 0,
                resets: 0,
                motion: None,
            },
            pools: vec![directory()],
            bridges: vec!["fhbr1"],
            profile: Profile {
                architecture: Architecture::X86_64,
                accelerator: Accelerator::Kvm,
                display: Display::Vnc,
                display_listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
                state_directory: "/var/lib/freehold".into(),
            },
        }
    }

    fn render(&self) -> Result<Definition, String> {
        let volumes: Vec<(Id, Volume)> = (101_u64..)
            .take(self.pools.len())
            .map(|number| {
                let volume = Volume {
                    pool: Id::from_u64(50),
                    name: format!("disk-{number}"),
                    content: VolumeContent::Empty,
                    bytes: 10 * GIB,
                };
                (Id::from_u64(number), volume)
            })
            .collect();
        let disks =
            volumes.iter().zip(&self.pools).map(|((id, volume), pool)| (*id, volume, volume.pool, pool));
        let plan = MachinePlan {
            id: Id::from_u64(7),
            machine: &self.machine,
            disks: disks.collect(),
            bridges: self.bridges.clone(),
        };
        xml::render(&plan, &self.profile).map_err(|refusal| refusal.0)
    }

    /// The definition, after libvirt's schema has approved of it.
    fn xml(&self) -> String {
        let xml = self.render().unwrap().xml;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, &xml).unwrap();
        let check = Command::new("virt-xml-validate")
            .arg(file.path())
            .arg("domain")
            .output()
            .expect("virt-xml-validate of libvirt-clients is installed");
        assert!(check.status.success(), "{}{xml}", String::from_utf8_lossy(&check.stderr));
        xml
    }
}

fn nic(number: u8) -> Nic {
    Nic { segment: Id::from_u64(60), mac: Mac::new([0xda, 0x1e, 0x70, 0, 0, number]), addresses: vec![] }
}

fn directory() -> Pool {
    Pool {
        name: "local".to_owned(),
        driver: PoolDriver::Directory { path: "/var/lib/freehold/pools/local/".to_owned() },
    }
}

#[test]
fn linux_uefi() {
    insta::assert_snapshot!(Case::new().xml());
}

#[test]
fn linux_bios_emulated() {
    let mut case = Case::new();
    case.machine.firmware = Firmware::Bios;
    case.machine.description = String::new();
    case.machine.vcpus = 1;
    case.profile.accelerator = Accelerator::Tcg;
    insta::assert_snapshot!(case.xml());
}

#[test]
fn windows() {
    let mut case = Case::new();
    case.machine.os = OperatingSystem::Windows;
    case.machine.firmware = Firmware::Bios;
    insta::assert_snapshot!(case.xml());
}

#[test]
fn windows_by_spice_emulated() {
    let mut case = Case::new();
    case.machine.os = OperatingSystem::Windows;
    case.profile.display = Display::Spice;
    case.profile.accelerator = Accelerator::Tcg;
    insta::assert_snapshot!(case.xml());
}

#[test]
fn arm() {
    let mut case = Case::new();
    case.machine.firmware = Firmware::Bios;
    case.profile.architecture = Architecture::Aarch64;
    insta::assert_snapshot!(case.xml());
    case.profile.accelerator = Accelerator::Tcg;
    case.machine.os = OperatingSystem::Windows;
    case.xml();
}

#[test]
fn disks_and_cards() {
    let mut case = Case::new();
    case.machine.vcpus = 12;
    case.machine.nics = vec![nic(1), nic(2), nic(3)];
    case.bridges = vec!["fhbr1", "fhbr2", "fhbr1"];
    let rbd = |secret: Option<&str>| Pool {
        name: "ceph".to_owned(),
        driver: PoolDriver::Rbd {
            pool: "vms".to_owned(),
            monitor: "10.0.0.1".to_owned(),
            port: 3300,
            secret: secret.map(str::to_owned),
        },
    };
    let logical =
        Pool { name: "lvm".to_owned(), driver: PoolDriver::Logical { group: "freehold".to_owned() } };
    case.pools = vec![directory(), rbd(Some("0d15ea5e-0000-4000-8000-000000000001")), rbd(None), logical];
    insta::assert_snapshot!(case.xml());
}

#[test]
fn the_seed_never_takes_the_name_of_a_disk() {
    let mut case = Case::new();
    case.pools = vec![directory(); 30];
    let xml = case.xml();
    assert!(xml.contains("dev='vdad'") && xml.contains("dev='vdae'"), "{xml}");
}

#[test]
fn names_cannot_break_out() {
    let mut case = Case::new();
    case.machine.name = "</title><os/>".to_owned();
    case.machine.description = "a\u{1}'\"&\n<b>".to_owned();
    let xml = case.xml();
    assert!(xml.contains("<title>&lt;/title&gt;&lt;os/&gt;</title>"), "{xml}");
}

#[test]
fn labels_change_the_definition_but_not_the_hardware() {
    let mut case = Case::new();
    let before = case.render().unwrap();
    case.machine.description = "Another".to_owned();
    let renamed = case.render().unwrap();
    assert_ne!(before.digest, renamed.digest);
    assert_eq!(before.hardware, renamed.hardware);
    case.machine.memory += GIB;
    assert_ne!(renamed.hardware, case.render().unwrap().hardware);
    // Neither power nor secrets are part of it.
    let after = case.render().unwrap();
    case.machine.power.serial += 1;
    case.machine.seed.user_data = Secret::new("x".to_owned());
    assert_eq!(after, case.render().unwrap());
}

#[test]
fn what_cannot_be_is_refused() {
    let mut case = Case::new();
    case.bridges.clear();
    assert!(case.render().unwrap_err().contains("1 network cards, but the node found 0 bridges"));
    let mut case = Case::new();
    case.machine.vcpus = 0;
    assert!(case.render().unwrap_err().contains("at least one"));
}

#[test]
fn uuids_are_stable_and_well_formed() {
    let uuid = xml::uuid(Id::from_u64(7));
    assert_eq!(uuid, xml::uuid(Id::from_u64(7)));
    assert_ne!(uuid, xml::uuid(Id::from_u64(8)));
    assert_eq!(uuid.as_bytes()[14], b'8');
    assert_eq!(xml::machine_of(&xml::domain_name(Id::from_u64(7))), Some(Id::from_u64(7)));
    assert_eq!(xml::machine_of("fh-web"), None);
    assert_eq!(xml::machine_of("web"), None);
}
