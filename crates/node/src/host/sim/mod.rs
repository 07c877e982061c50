//! A host in memory, for tests of the node and for clouds of thousands of nodes in one process.
//!
//! It keeps the promises of the host's traits, and is stricter than a real host: a call that comes before
//! what it needs, or after what it needs was removed, fails *and* is noted as a [`World::violations`]. Faults
//! and delays are injected by call. Guests do as they are told: one that is asked to shut down does so at
//! once, unless [`SimConfig::deaf_guests`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freehold_types::Id;
use freehold_types::agent::{Facts, Image, Landing, ObjectKey, ObjectKind, Pool, Segment, Volume};
use freehold_types::service::{Balancer, DnsZone, Gateway, Share};
use freehold_types::size::GIB;
use tokio::sync::mpsc;

use super::{Host, HostError};

mod faults;
mod machines;
mod network;
mod services;
mod storage;

use faults::Faults;
pub use faults::When;
pub use machines::{Domain, Hardware, Life};

/// What a simulated host is like.
#[derive(Debug, Clone)]
pub struct SimConfig {
    pub facts: Facts,
    /// Bytes that each pool can hold.
    pub pool_capacity: u64,
    /// Virtual size of every image, in bytes.
    pub image_size: u64,
    pub latency: Latency,
    /// Guests ignore a request to shut down.
    pub deaf_guests: bool,
    /// No machine can be moved away.
    pub rooted_guests: bool,
    /// Keep a list of all calls. It grows without bound.
    pub record: bool,
}

/// How long calls take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latency {
    pub pool: Duration,
    pub image: Duration,
    pub volume: Duration,
    pub segment: Duration,
    pub machine: Duration,
    pub service: Duration,
}

impl Default for SimConfig {
    fn default() -> Self {
        let facts = Facts {
            hostname: "simulated".to_owned(),
            architecture: "x86_64".to_owned(),
            cpu_model: "Simulated".to_owned(),
            cpu_vendor: "Freehold".to_owned(),
            sockets: 1,
            cores: 16,
            threads: 32,
            memory: 128 * GIB,
            accelerator: "kvm".to_owned(),
            address: None,
            features: ["uefi", "bios", "vlan", "vxlan", "tpm"].map(str::to_owned).to_vec(),
            landing: Some(Landing {
                uri: "qemu+tls://simulated/system".to_owned(),
                directory: "/nowhere".to_owned(),
                display_listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            }),
            version: String::new(),
        };
        Self {
            facts,
            pool_capacity: 4096 * GIB,
            image_size: 2 * GIB,
            latency: Latency::default(),
            deaf_guests: false,
            rooted_guests: false,
            record: false,
        }
    }
}

/// One call of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    pub verb: Verb,
    pub key: ObjectKey,
}

/// What a call asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Ensure,
    Remove,
}

/// What exists on a simulated host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    pub pools: BTreeMap<Id, Pool>,
    pub images: BTreeMap<Id, Image>,
    pub volumes: BTreeMap<Id, Volume>,
    pub segments: BTreeMap<Id, Segment>,
    pub domains: BTreeMap<Id, Domain>,
    pub gateways: BTreeMap<Id, Gateway>,
    pub balancers: BTreeMap<Id, Balancer>,
    pub shares: BTreeMap<Id, Share>,
    pub zones: BTreeMap<Id, DnsZone>,
    /// Calls that came in the wrong order.
    pub violations: Vec<String>,
    /// How many calls there were.
    pub calls: u64,
    /// The calls in the order in which they took effect, when they are recorded.
    pub log: Vec<Call>,
    /// The largest number of calls at a time, images apart.
    pub most_at_once: usize,
}

impl World {
    /// What exists, without the record of how it came to be: equal for hosts in the same state.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (id, pool) in &self.pools {
            let _ = writeln!(text, "pool {id} {}", pool.name);
        }
        for (id, image) in &self.images {
            let _ = writeln!(text, "image {id} {}", image.name);
        }
        for (id, volume) in &self.volumes {
            let _ = writeln!(text, "volume {id} {} {}", volume.name, volume.bytes);
        }
        for (id, segment) in &self.segments {
            let _ = writeln!(text, "segment {id} {}", segment.bridge);
        }
        for (id, domain) in &self.domains {
            let _ = writeln!(text, "domain {id} {} {:?} {:?}", domain.name, domain.life, domain.hardware);
        }
        for (id, gateway) in &self.gateways {
            let _ = writeln!(text, "gateway {id} {}", gateway.name);
        }
        for (id, balancer) in &self.balancers {
            let _ = writeln!(text, "load balancer {id} {}", balancer.name);
        }
        for (id, share) in &self.shares {
            let _ = writeln!(text, "file share {id} {}", share.name);
        }
        for (id, zone) in &self.zones {
            let _ = writeln!(text, "DNS zone {id} {} {}", zone.domain, zone.names.len());
        }
        text
    }
}

/// A simulated host. Clones are the same host.
#[derive(Debug, Clone)]
pub struct Sim {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: SimConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    world: World,
    faults: Faults,
    /// Calls under way, images apart.
    busy: usize,
    events: Option<mpsc::UnboundedSender<ObjectKey>>,
}

impl Sim {
    /// An empty host.
    pub fn new(config: SimConfig) -> Self {
        Self { inner: Arc::new(Inner { config, state: Mutex::default() }) }
    }

    /// The host's subsystems, for a node.
    pub fn host(&self) -> Host {
        let this = Arc::new(self.clone());
        Host {
            storage: this.clone(),
            network: this.clone(),
            machines: this.clone(),
            services: this.clone(),
            names: this,
        }
    }

    /// What exists now.
    pub fn world(&self) -> World {
        self.state().world.clone()
    }

    /// Looks at what exists without copying it.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.state().world)
    }

    /// How often the guest of a machine was rebooted.
    pub fn reboots(&self, machine: Id) -> u64 {
        self.look(|world| world.domains.get(&machine).map_or(0, |domain| domain.reboots))
    }

    /// Fails the call with this number, counted from now and from 1.
    pub fn fail_call(&self, number: u64, when: When) {
        self.state().faults.fail_call(number, when);
    }

    /// Fails each call whose number is a multiple of this.
    pub fn fail_every(&self, number: u64, when: When) {
        self.state().faults.fail_every(number, when);
    }

    /// Fails every call for an object.
    pub fn fail_object(&self, key: ObjectKey) {
        self.state().faults.fail_object(key);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.state().faults = Faults::default();
    }

    /// The guest of a machine switches itself off.
    pub fn guest_off(&self, machine: Id) {
        self.off(machine, true);
    }

    /// The machine's emulator dies.
    pub fn crash(&self, machine: Id) {
        self.off(machine, false);
    }

    /// The host loses power and comes back: nothing runs, and what lived in the kernel is gone. The node
    /// must be started anew, as it would be.
    pub fn power_cut(&self) {
        let mut state = self.state();
        state.events = None;
        state.world.segments.clear();
        state.world.gateways.clear();
        state.world.balancers.clear();
        for domain in state.world.domains.values_mut() {
            domain.cut();
        }
    }

    /// Tells the node that an object changed.
    pub fn tell(&self, key: ObjectKey) {
        if let Some(events) = &self.state().events {
            // A node that is gone hears nothing.
            let _ = events.send(key);
        }
    }

    fn off(&self, machine: Id, by_guest: bool) {
        let mut state = self.state();
        if let Some(domain) = state.world.domains.get_mut(&machine) {
            domain.cut();
            domain.life = Life::Off { by_guest };
        }
        drop(state);
        self.tell(ObjectKey { kind: ObjectKind::Machine, id: machine });
    }

    /// One call: takes its time, fails when it must, else acts on the world in one step.
    async fn call<T>(
        &self,
        verb: Verb,
        key: ObjectKey,
        act: impl FnOnce(&mut World) -> Result<T, HostError> + Send,
    ) -> Result<T, HostError> {
        let (fault, _busy) = self.begin(key);
        let latency = self.latency(key);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let failure = || HostError::Failed(format!("{key}: a simulated fault"));
        if fault == Some(When::Before) {
            return Err(failure());
        }
        let mut state = self.state();
        let done = act(&mut state.world)?;
        if self.inner.config.record {
            state.world.log.push(Call { verb, key });
        }
        if fault == Some(When::After) { Err(failure()) } else { Ok(done) }
    }

    fn begin(&self, key: ObjectKey) -> (Option<When>, Option<Busy>) {
        let mut state = self.state();
        state.world.calls += 1;
        let busy = (key.kind != ObjectKind::Image).then(|| {
            state.busy += 1;
            state.world.most_at_once = state.world.most_at_once.max(state.busy);
            Busy(self.clone())
        });
        (state.faults.judge(key), busy)
    }

    fn latency(&self, key: ObjectKey) -> Duration {
        let latency = &self.inner.config.latency;
        match key.kind {
            ObjectKind::Pool => latency.pool,
            // An image that is here is not fetched again.
            ObjectKind::Image if self.look(|world| world.images.contains_key(&key.id)) => Duration::ZERO,
            ObjectKind::Image => latency.image,
            ObjectKind::Volume => latency.volume,
            ObjectKind::Segment => latency.segment,
            ObjectKind::Machine => latency.machine,
            ObjectKind::Gateway | ObjectKind::Balancer | ObjectKind::Share | ObjectKind::DnsZone => {
                latency.service
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a call as under way until it ends or is dropped.
struct Busy(Sim);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
    }
}

/// Notes a call in the wrong order, and refuses it.
fn violation<T>(world: &mut World, text: String) -> Result<T, HostError> {
    world.violations.push(text.clone());
    Err(HostError::Failed(text))
}

#[cfg(test)]
mod tests;
