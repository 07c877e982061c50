//! The Ceph cluster: its daemons' settings, pools, file systems and clients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{
    CephPoolName, Members, Name, NetworkName, Port, SecretText, Size, SystemName, Table, Uuid,
};

/// The Ceph cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ceph {
    /// Identity of the cluster; never changes.
    pub fsid: Uuid,
    /// The network of monitors and clients.
    pub public_network: NetworkName,
    /// The network between OSDs; the public one without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_network: Option<NetworkName>,
    /// Copies of data are kept on different ones of these.
    #[serde(default)]
    pub failure_domain: FailureDomain,
    /// Settings of OSDs.
    #[serde(default)]
    pub osd: OsdDefaults,
    /// Pools.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub pools: Table<Name, Pool>,
    /// File systems, each of two or more pools.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub filesystems: Table<Name, Filesystem>,
    /// Clients, each with what it may do.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub clients: Table<Name, CephClient>,
    /// The dashboard of the managers.
    #[serde(default)]
    pub dashboard: Dashboard,
    /// Further settings by section (`global`, `mon`, `osd`, `client`, ...), as in ceph.conf.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub config: Table<String, Table<String, String>>,
}

/// What copies are spread over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum FailureDomain {
    /// Disks: a laboratory of one machine.
    Osd,
    /// Machines.
    #[default]
    Host,
    /// Zones.
    Zone,
}

/// Settings of OSDs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OsdDefaults {
    /// Memory that each one aims at.
    pub memory_target: Size,
    /// Whether disks are encrypted.
    pub encrypted: bool,
    /// Most placement groups per OSD.
    #[schemars(range(min = 50, max = 2000))]
    pub max_pg_per_osd: u32,
}

impl Default for OsdDefaults {
    fn default() -> Self {
        Self { memory_target: Size::from_bytes(4 << 30), encrypted: false, max_pg_per_osd: 250 }
    }
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// What it is for.
    pub application: Application,
    /// Copies.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 10))]
    pub size: u8,
    /// Copies that must be there for reads and writes; by the size without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub min_size: Option<u8>,
    /// Placement groups, a power of two; chosen by Ceph without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub placement_groups: Option<u32>,
    /// Only on disks of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<super::DiskClass>,
    /// Most bytes in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Size>,
}

const fn three() -> u8 {
    3
}

/// What a pool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline, extend("x-instead" = { "fs": "cephfs" }))]
pub enum Application {
    /// Block devices.
    Rbd,
    /// File systems.
    Cephfs,
    /// Objects.
    Rgw,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filesystem {
    /// Pool of its metadata.
    pub metadata_pool: CephPoolName,
    /// Pools of its data; the first is the default one.
    pub data_pools: Vec<CephPoolName>,
    /// Metadata servers that are active at a time.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 32))]
    pub max_mds: u8,
}

const fn one() -> u8 {
    1
}

/// A client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CephClient {
    /// What it may do.
    pub caps: Caps,
    /// Its key; generated without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretText>,
    /// Machines or groups that have its keyring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyring_on: Vec<Members>,
    /// Account that may read the keyring; root without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<SystemName>,
}

/// What a client may do, in Ceph's language, such as `profile rbd pool=volumes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Caps {
    /// Towards monitors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mon: Option<String>,
    /// Towards managers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mgr: Option<String>,
    /// Towards OSDs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub osd: Option<String>,
    /// Towards metadata servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mds: Option<String>,
}

/// The dashboard of the managers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dashboard {
    /// Whether there is one.
    pub enabled: bool,
    /// Its port.
    pub port: Port,
    /// Password of its account `admin`; generated without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self { enabled: false, port: Port(8443), password: None }
    }
}
