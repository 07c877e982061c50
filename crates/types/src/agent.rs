//! The protocol between controller and node, over one WebSocket that the node dials.
//!
//! Text frames, one JSON message each. Flow:
//!
//! 1. controller: [`ToNode::Challenge`] with a random nonce;
//! 2. node: [`ToController::Hello`] with a proof: HMAC-SHA-256 in lower-case hexadecimal, of
//!    [`proof_input`], under the SHA-256 digest of its key's text (the controller keeps only that digest);
//! 3. controller: [`ToNode::Welcome`], or [`ToNode::Refused`] and close;
//! 4. node: [`ToController::Facts`], then [`ToController::Observed`] with `full: true`;
//! 5. controller: [`ToNode::Slice`] with `full: true`, then one per change.
//!
//! A slice is level, not edge: it says what must be true. A `full` one replaces all that the node holds,
//! a partial one replaces the objects it names. Slices carry the store's lineage and revision; within one
//! lineage a node refuses a revision below the one it holds, and it refuses a partial slice of a lineage
//! other than the one it holds: the controller answers either refusal with a full slice, or with
//! nothing when a newer one is under way. A full resync is always correct. The node acknowledges each
//! slice that it stored with an [`Observation`] whose `held` names it.
//!
//! An object is never removed because it is *not* mentioned: its removal is a desired state of its own
//! ([`State::Absent`]), which the node makes true and reports as [`Phase::Absent`]. So a controller that
//! lost its memory cannot make a node destroy anything.
//!
//! Heartbeats are WebSocket pings, which carry no JSON; any frame counts as a sign of life.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::net::Mac;
use crate::secret::Secret;
use crate::service::{Balancer, BalancerDetail, DnsZone, Gateway, GatewayDetail, Share};
use crate::wire::{AgentType, OperatingSystem};

/// Path of the WebSocket.
pub const PATH: &str = "/agent/v1";

/// Version of this protocol; both ends must agree.
pub const PROTOCOL: u32 = 1;

/// Either end closes a connection on which it heard nothing for this long, in seconds.
pub const SILENCE_SECONDS: u64 = 20;

/// Either end sends at least one frame in this many seconds.
pub const HEARTBEAT_SECONDS: u64 = 6;

/// Largest message, in bytes.
pub const MESSAGE_LIMIT: usize = 64 << 20;

/// The bytes that a node signs with its key: the nonce bound to protocol and agent. The key of the HMAC
/// is the 32 bytes of the SHA-256 digest of the text of the agent's token.
pub fn proof_input(nonce: &str, agent: Id) -> String {
    format!("freehold-agent/{PROTOCOL}/{agent}/{nonce}")
}

/// What the controller says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToNode {
    Challenge { protocol: u32, nonce: String },
    Welcome,
    Refused { reason: String },
    Slice(Slice),
    Query { request: u64, query: Query },
}

/// What the node says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToController {
    Hello { protocol: u32, agent: Id, role: AgentType, version: String, proof: String },
    Facts(Box<Facts>),
    Observed(Observation),
    Refused { lineage: Id, revision: u64, held: u64 },
    Answer { request: u64, answer: Answer },
}

/// What must be true on the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Identity of the store's history; a restored backup has a new one.
    pub lineage: Id,
    /// Revision of the store that this says.
    pub revision: u64,
    /// Whether this replaces everything held.
    pub full: bool,
    pub objects: Vec<Desired>,
    /// Objects that the controller has no longer, after their removal was reported.
    #[serde(default)]
    pub forget: Vec<ObjectKey>,
}

/// One object on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    pub kind: ObjectKind,
    pub id: Id,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

/// What a node can hold, in the order in which it is made (removal goes the other way).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    Pool,
    Image,
    Volume,
    Segment,
    Machine,
    Gateway,
    Balancer,
    Share,
    DnsZone,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool => "pool",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Segment => "segment",
            Self::Machine => "machine",
            Self::Gateway => "gateway",
            Self::Balancer => "load balancer",
            Self::Share => "file share",
            Self::DnsZone => "DNS zone",
        })
    }
}

/// An object and what it must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    pub key: ObjectKey,
    /// Grows with each change of the object's specification.
    pub generation: u64,
    pub state: State,
}

/// What an object must be. `Absent` keeps the specification, since it says where the object is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Present(Specification),
    Absent(Specification),
}

impl State {
    /// The specification, whether wanted or not.
    pub const fn specification(&self) -> &Specification {
        match self {
            Self::Present(specification) | Self::Absent(specification) => specification,
        }
    }
}

/// What an object is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Specification {
    Pool(Pool),
    Image(Image),
    Volume(Volume),
    Segment(Segment),
    Machine(Box<Machine>),
    Gateway(Box<Gateway>),
    Balancer(Box<Balancer>),
    Share(Share),
    DnsZone(DnsZone),
}

/// A storage pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its public name, for people; the node names things by id.
    pub name: String,
    pub driver: PoolDriver,
}

/// How a pool stores volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolDriver {
    /// qcow2 files in a directory; clones are overlays.
    Directory { path: String },
    /// Ceph images.
    Rbd { pool: String, monitor: String, port: u16, secret: Option<String> },
    /// LVM volumes of a volume group.
    Logical { group: String },
}

/// An image that system disks are cloned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub pool: Id,
    pub name: String,
    /// `http:`, `https:` or `file:` URL of raw or qcow2 data, plain or compressed (gzip, xz, zstd).
    pub source: String,
    /// Hexadecimal SHA-256 of the file as served.
    pub sha256: Option<String>,
    /// Largest virtual size accepted, in bytes.
    pub limit: u64,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub pool: Id,
    pub name: String,
    pub content: VolumeContent,
    /// Virtual size in bytes. It only grows; an image larger than it decides instead.
    pub bytes: u64,
}

/// What a volume starts as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeContent {
    /// All zeros.
    Empty,
    /// A copy-on-write clone of an image of the same pool.
    Clone { image: Id },
}

/// A layer-2 network as present on this node: a bridge, and a port that joins it to other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub name: String,
    /// Name of the bridge, at most 15 bytes.
    pub bridge: String,
    pub mtu: u32,
    pub link: SegmentLink,
    /// Addresses that the host itself holds on the bridge (single-node set-ups, where it is the gateway).
    #[serde(default)]
    pub host_addresses: Vec<Ipv4Net>,
}

/// How a segment reaches other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentLink {
    /// Not at all.
    Local,
    /// The node's uplink itself is a port of the bridge.
    Untagged,
    /// A tagged sub-interface of the node's uplink.
    Vlan { tag: u16 },
    /// A VXLAN device, flooding to the peers.
    Vxlan { vni: u32, peers: Vec<IpAddr> },
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub name: String,
    pub description: String,
    pub os: OperatingSystem,
    pub vcpus: u32,
    /// Bytes.
    pub memory: u64,
    pub firmware: Firmware,
    /// In order: the first is `vda`, and boots.
    pub disks: Vec<Id>,
    pub nics: Vec<Nic>,
    pub seed: Seed,
    pub power: Power,
    /// How often the guest was asked to reboot, ever; each is done once. A node that meets the machine
    /// for the first time takes this and `resets` as done.
    pub reboots: u64,
    /// How often the machine was reset hard, ever; each is done once.
    pub resets: u64,
    /// Set while it moves from one node to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub motion: Option<Motion>,
}

/// The part of a node in the move of a machine. Disks of local pools are copied; the nodes' libvirt daemons
/// talk to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// It is to come: what it stands on is made ready, and nothing is defined or started.
    Incoming,
    /// It is to go, once. What became of that is told as [`MachineDetail::departure`].
    Outgoing(Outgoing),
}

/// How a machine leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Tells this move from others of the machine.
    pub id: Id,
    /// Whether the guest goes on running; otherwise it is shut down first.
    pub live: bool,
    /// Whether it ran when the move began: it is started again, there or here.
    pub restart: bool,
    /// The disks that the other node does not see, in the order of the machine's disks.
    pub copies: Vec<Id>,
    pub landing: Landing,
}

/// Where machines can come to on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// Address of its libvirt for those of other nodes, such as `qemu+tls://host2.example.org/system`.
    pub uri: String,
    /// Where the node keeps what machines need besides their disks.
    pub directory: String,
    /// Address on which screens listen there.
    pub display_listen: IpAddr,
}

/// What became of a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is on the other node now.
    Left,
    /// It stayed, and nothing of it is there.
    Stayed { reason: String },
}

/// How a move ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The move, by [`Outgoing::id`].
    pub id: Id,
    pub outcome: Outcome,
}

/// How a machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firmware {
    Uefi,
    Bios,
}

/// A network card of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    pub segment: Id,
    pub mac: Mac,
    #[serde(default)]
    pub addresses: Vec<Ipv4Addr>,
}

/// The `NoCloud` seed of a machine: three texts on a disk labelled `cidata`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    pub user_data: Secret<String>,
    pub meta_data: Secret<String>,
    pub network_config: Secret<String>,
}

/// Whether a machine must run. A target is applied once per serial, so that a guest that shuts itself
/// down stays down until someone starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Power {
    /// Starts at 1, so that a node that knows nothing of the machine applies the first target.
    pub serial: u64,
    pub target: PowerTarget,
}

/// What a machine must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerTarget {
    Running,
    /// Off, at once.
    Off,
    /// Off, by asking the guest; never forced.
    ShutDown,
    /// Frozen in memory.
    Paused,
}

/// What the node found, all of it or what changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The slice that the node holds, if any.
    pub held: Option<(Id, u64)>,
    /// Whether this lists every object of the node.
    pub full: bool,
    pub objects: Vec<Observed>,
}

/// An object as found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub key: ObjectKey,
    /// The generation that this tells of.
    pub generation: u64,
    pub phase: Phase,
    /// Why it is not ready, and what to do; empty when there is nothing to say.
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub detail: Option<Detail>,
}

/// How far an object has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Being made or changed.
    Working,
    /// As desired.
    Ready,
    /// Tried and failed; it is tried again.
    Failed,
    /// Removed, or never made.
    Absent,
}

/// What is known of an object beyond its phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    Pool { capacity: u64, allocated: u64, available: u64 },
    Image { virtual_size: u64, fetched: u64, total: Option<u64> },
    Volume { bytes: u64 },
    Machine(MachineDetail),
    Gateway(GatewayDetail),
    Balancer(BalancerDetail),
    Share { bytes: u64 },
}

/// What a machine is doing. The texts are those of the public contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineDetail {
    /// `Running`, `Shutoff`, `Paused`...
    pub state: String,
    pub reason: String,
    /// A change waits for the next start.
    #[serde(default)]
    pub restart_needed: bool,
    /// How the last move away from this node ended, while it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
}

impl MachineDetail {
    /// A machine that does this, and waits for nothing.
    pub fn new(state: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { state: state.into(), reason: reason.into(), restart_needed: false, departure: None }
    }
}

/// What a node is and has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub hostname: String,
    /// Kernel's name of the architecture: `x86_64`, `aarch64`.
    pub architecture: String,
    pub cpu_model: String,
    pub cpu_vendor: String,
    pub sockets: u32,
    pub cores: u32,
    pub threads: u32,
    /// Bytes.
    pub memory: u64,
    /// `kvm` or `tcg`.
    pub accelerator: String,
    /// Address by which other nodes reach this one.
    pub address: Option<IpAddr>,
    /// What the node can do: `uefi`, `bios`, `vlan`, `vxlan`, `tpm`...
    pub features: Vec<String>,
    /// Where machines of other nodes can come to; nothing when the node takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing: Option<Landing>,
    pub version: String,
}

/// A question that needs an answer now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// Where the screen of a machine is.
    Console { machine: Id },
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Console { url: String },
    Failed { reason: String },
}
