//! A machine: what it is, how it is found and reached, and how its system is set up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::firewall::Firewall;
use super::interface::Interface;
use super::role::Role;
use crate::words::{
    Address, DiskId, GroupName, LinkName, Mac, Name, Port, SecretText, Size, SshKey, SubstrateName, Table,
    Uuid,
};

/// A machine. Each key may also stand in `defaults` and in the `settings` of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Machine {
    /// Groups whose settings it has; a later one is stronger than an earlier one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// What it does, beside what `roles` of the platform says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// A number of its own that never changes: the node id of Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9999))]
    pub number: Option<u16>,
    /// The region it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Name>,
    /// The zone of the region: what fails together. Ceph's failure domain `zone` and Kafka's racks are these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Name>,
    /// Its processor architecture.
    pub architecture: Architecture,
    /// Its operating system.
    pub system: OperatingSystem,
    /// Where it comes from; without one it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substrate: Option<SubstrateName>,
    /// What it has, or is to have where it is made by a substrate.
    pub hardware: Hardware,
    /// By what it is recognised when it starts from an image that all machines share.
    pub identity: Identity,
    /// How it is reached.
    pub ssh: Ssh,
    /// Its network interfaces.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub interfaces: Table<LinkName, Interface>,
    /// Its disks.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub disks: Table<Name, Disk>,
    /// Name servers, where those of the default route's network will not do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Address>,
    /// Lines for `/etc/hosts` beside those of the platform's machines: names, each with its address.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub hosts: Table<Name, Address>,
    /// What it lets in and passes on.
    pub firewall: Firewall,
    /// Packages beside those that roles need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub packages: Vec<String>,
    /// Kernel modules beside those that roles need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub modules: Vec<String>,
    /// Kernel settings beside those that roles need.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub sysctls: Table<String, String>,
    /// Whether AppArmor confines programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor: Option<bool>,
    /// Its clock.
    pub time: Time,
    /// Its SSH server.
    pub sshd: Sshd,
    /// Hash of root's password, in the form of crypt(3), for the console; without one root has no password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_password_hash: Option<SecretText>,
    /// Labels of its Kubernetes node.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub labels: Table<String, String>,
    /// Taints of its Kubernetes node, as `KEY=VALUE:EFFECT`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub taints: Vec<String>,
    /// Credential of its Freehold agent: id and key that the controller gave out, as `ID:KEY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_credential: Option<SecretText>,
}

/// A processor architecture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline, extend("x-instead" = { "x86_64": "amd64", "aarch64": "arm64" }))]
pub enum Architecture {
    /// 64-bit x86.
    #[default]
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

/// An operating system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum OperatingSystem {
    /// Debian 12.
    #[default]
    #[serde(rename = "debian-12")]
    Debian12,
    /// Debian 13.
    #[serde(rename = "debian-13")]
    Debian13,
    /// Ubuntu 24.04.
    #[serde(rename = "ubuntu-24.04")]
    Ubuntu2404,
}

/// What a machine has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hardware {
    /// Processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub cpus: Option<u32>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
}

/// By what a machine is recognised. Each thing that is given must match; at least one does for machines that
/// start from a shared image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Hardware addresses, any of which is enough, beside those of `interfaces`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<Mac>,
    /// Serial number in its firmware (DMI).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub serial: Option<String>,
    /// UUID in its firmware (DMI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Host name that a DHCP server gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub hostname: Option<String>,
}

/// How a machine is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ssh {
    /// Name or address; without one, the address on the network of the default route, else the first there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub host: Option<String>,
    /// Port.
    pub port: Port,
    /// Account; must be root or be allowed to use sudo without a password.
    pub user: String,
    /// File of the private key on the operator's machine; without one, those that SSH uses by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub key_file: Option<String>,
    /// Public keys that the machine may present; without any, the key seen first is kept and expected from then on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<SshKey>,
}

impl Default for Ssh {
    fn default() -> Self {
        Self { host: None, port: Port(22), user: "root".to_owned(), key_file: None, host_keys: Vec::new() }
    }
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Which disk it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<DiskId>,
    /// What it is for.
    #[serde(rename = "use")]
    pub purpose: DiskUse,
    /// Its size, where it is made by a substrate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// What kind of disk it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<DiskClass>,
    /// For `ceph-osd`: the number of its OSD, unique in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 99_999))]
    pub osd: Option<u32>,
    /// For `ceph-osd`: its share of the data; by its size in TB without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub weight: Option<f64>,
    /// For `ceph-osd`: another disk of the machine, with `use: ceph-db`, that holds its database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<Name>,
    /// For `volume-group`: the name of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_group: Option<Name>,
    /// For `filesystem`: where it is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "path"))]
    pub mount: Option<String>,
}

/// What a disk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum DiskUse {
    /// The operating system; it is never touched.
    System,
    /// An OSD of Ceph.
    CephOsd,
    /// Databases of OSDs on other disks.
    CephDb,
    /// A volume group of LVM.
    VolumeGroup,
    /// A file system (ext4).
    Filesystem,
    /// Nothing yet; it is never touched.
    Spare,
}

/// What kind of disk it is, as Ceph calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum DiskClass {
    /// Rotating.
    Hdd,
    /// Solid state.
    Ssd,
    /// Solid state on PCI Express.
    Nvme,
}

/// The clock of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Time {
    /// Time zone.
    #[schemars(length(min = 1))]
    pub zone: String,
    /// Time servers; those of the operating system without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub servers: Vec<String>,
}

impl Default for Time {
    fn default() -> Self {
        Self { zone: "Etc/UTC".to_owned(), servers: Vec::new() }
    }
}

/// The SSH server of a machine. Root never logs in with a password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sshd {
    /// Port.
    pub port: Port,
    /// Whether accounts other than root may log in with a password.
    pub passwords: bool,
    /// Whether root may log in with a key.
    pub root: bool,
    /// Ports of TCP may be forwarded through it.
    pub forwarding: bool,
}

impl Default for Sshd {
    fn default() -> Self {
        Self { port: Port(22), passwords: false, root: true, forwarding: false }
    }
}
