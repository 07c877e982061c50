//! Host subsystems: what a node does to its machine, each real and simulated.
//!
//! Each call is level-triggered and idempotent: `ensure_*` reads the world, makes the smallest change
//! that leads to the specification, and tells what it found; a second call changes nothing. `remove_*`
//! of something absent succeeds. Nothing that Freehold did not make is ever touched: everything made
//! here carries the object's id in its name or metadata, and only such things are removed.
//!
//! A call may be dropped at any await point (shutdown) and must leave a state from which the next call
//! goes on. Errors say what to do about them.

pub mod edge;
pub mod machines;
pub mod names;
pub mod network;
pub mod seed;
pub mod services;
pub mod sim;
pub mod storage;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{
    Departure, Detail, Facts, Image, Machine, MachineDetail, ObjectKey, Pool, Segment, Volume,
};
use freehold_types::service::{Balancer, BalancerDetail, DnsZone, Gateway, GatewayDetail, Share};
use tokio::sync::{mpsc, watch};

/// The subsystems of one host.
#[derive(Clone)]
pub struct Host {
    pub storage: Arc<dyn Storage>,
    pub network: Arc<dyn Network>,
    pub machines: Arc<dyn Machines>,
    pub services: Arc<dyn Services>,
    pub names: Arc<dyn Names>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}

/// Why a subsystem could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The request cannot be met on this host, however often it is tried.
    #[error("{0}")]
    Refused(String),
    /// It may work later.
    #[error("{0}")]
    Failed(String),
}

/// Storage: pools, images and volumes.
#[async_trait]
pub trait Storage: Send + Sync {
    async fn ensure_pool(&self, id: Id, pool: &Pool) -> Result<Detail, HostError>;
    async fn remove_pool(&self, id: Id, pool: &Pool) -> Result<(), HostError>;

    /// Fetches, verifies and unpacks; `progress` gets [`Detail::Image`] values on the way. A fetch that
    /// was cut off starts again, and never leaves a half image under the final name.
    async fn ensure_image(
        &self,
        id: Id,
        image: &Image,
        pool: &Pool,
        progress: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError>;
    async fn remove_image(&self, id: Id, image: &Image, pool: &Pool) -> Result<(), HostError>;

    /// Makes the volume, or grows it; a running machine that has it attached is told of the new size.
    async fn ensure_volume(&self, id: Id, volume: &Volume, pool: &Pool) -> Result<Detail, HostError>;
    async fn remove_volume(&self, id: Id, volume: &Volume, pool: &Pool) -> Result<(), HostError>;
}

/// Networks: bridges and what joins them.
#[async_trait]
pub trait Network: Send + Sync {
    async fn ensure_segment(&self, id: Id, segment: &Segment) -> Result<(), HostError>;
    async fn remove_segment(&self, id: Id, segment: &Segment) -> Result<(), HostError>;
}

/// A machine with all it stands on, ready to be defined.
#[derive(Debug, Clone, PartialEq)]
pub struct MachinePlan<'a> {
    pub id: Id,
    pub machine: &'a Machine,
    /// The disks in order: volume, its specification, its pool and the pool's id.
    pub disks: Vec<(Id, &'a Volume, Id, &'a Pool)>,
    /// Name of the bridge for each of the machine's cards, in order.
    pub bridges: Vec<&'a str>,
}

/// What the ledger remembers of a machine between calls, so that each verb is done once, even across a
/// crash of the node or the host. The caller stores it durably after each call that changed it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MachineMemory {
    /// Serial of the last power target that was applied.
    pub power_serial: u64,
    pub reboots: u64,
    pub resets: u64,
    /// The guest switched itself off after the last applied target: it stays off until the next serial.
    pub guest_off: bool,
    /// How the last move away ended, so that none is made twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
}

/// Machines: definition and life cycle.
#[async_trait]
pub trait Machines: Send + Sync {
    /// Facts about processor, memory and features of this host.
    async fn facts(&self) -> Result<Facts, HostError>;

    /// Defines or redefines the machine and brings it to its power target, verbs included. A change that
    /// a running machine cannot take is left for its next start (`restart_needed`). One that is in motion is
    /// made ready for, or sent away.
    async fn ensure_machine(
        &self,
        plan: &MachinePlan<'_>,
        memory: &mut MachineMemory,
    ) -> Result<MachineDetail, HostError>;

    /// What it is doing now; `None` when it does not exist. Never changes anything.
    async fn observe_machine(&self, id: Id) -> Result<Option<MachineDetail>, HostError>;

    /// Stops it hard and removes definition, firmware variables and seed. Volumes stay.
    async fn remove_machine(&self, id: Id, machine: &Machine) -> Result<(), HostError>;

    /// Where its screen is, as a URL without secrets.
    async fn console(&self, id: Id) -> Result<String, HostError>;

    /// Keys of objects whose observed state changed by itself (libvirt's events). Called once.
    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey>;
}

/// A service with the segments that its ports are in, by their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct ServicePlan<'a, S> {
    pub id: Id,
    pub service: &'a S,
    pub segments: BTreeMap<Id, &'a Segment>,
}

/// Network services: namespaces with daemons in them. What runs goes on when the node stops.
#[async_trait]
pub trait Services: Send + Sync {
    /// Makes the gateway, or changes it: as one step for its rules, without cutting what is connected.
    async fn ensure_gateway(&self, plan: &ServicePlan<'_, Gateway>) -> Result<GatewayDetail, HostError>;
    async fn remove_gateway(&self, id: Id) -> Result<(), HostError>;

    /// Makes the balancer, or changes it without cutting what is connected.
    async fn ensure_balancer(&self, plan: &ServicePlan<'_, Balancer>) -> Result<BalancerDetail, HostError>;
    async fn remove_balancer(&self, id: Id) -> Result<(), HostError>;

    /// Makes the share, or changes it, and tells how many bytes are in use.
    async fn ensure_share(&self, plan: &ServicePlan<'_, Share>) -> Result<u64, HostError>;

    /// Removes the share with its files.
    async fn remove_share(&self, id: Id, share: &Share) -> Result<(), HostError>;

    /// Keys of services whose observed state changed by itself. Called once.
    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey>;
}

/// Names: what a DNS server of this host answers for.
#[async_trait]
pub trait Names: Send + Sync {
    async fn ensure_zone(&self, id: Id, zone: &DnsZone) -> Result<(), HostError>;
    async fn remove_zone(&self, id: Id, zone: &DnsZone) -> Result<(), HostError>;

    /// Ends what runs for the sake of names, of a host that is to answer for none any more.
    async fn retire(&self) -> Result<(), HostError> {
        Ok(())
    }
}
