//! Machines by libvirt and QEMU.
//!
//! Promises: a machine is a persistent domain `fh-<id>` with our mark in its metadata, and only domains
//! with that mark are changed or removed; a domain that already is as desired is left untouched; libvirt
//! is never asked to start machines by itself, since this node decides that with its own memory; no call
//! of libvirt blocks an async thread; a restart of libvirtd is survived.
//!
//! Each pass reads the domain ([`apply`]), decides ([`plan`], pure) and acts. The definition is rendered
//! by [`xml`] (pure), the connection is held by [`link`].
//!
//! Why a machine is off decides whether it is started again: one that shut down in good order is not. So
//! on a host that is itself shutting down, this node must end before the service that shuts the guests
//! down: its unit is ordered `After=libvirtd.service libvirt-guests.service`.
//!
//! What lies on disk for a machine: its seed (`seeds/<id>.iso`) and the log of its serial console
//! (`serial/<id>.log`, rotated by virtlogd) under the state directory, and what libvirt keeps for it
//! (firmware variables, TPM state). All go with the machine: a console log can hold a guest's secrets, and
//! nobody could ask for it once the machine is gone.

mod apply;
mod devices;
mod element;
mod facts;
mod link;
mod motion;
mod plan;
pub mod ports;
mod profile;
mod remedy;
#[cfg(test)]
mod render_tests;
mod state;
mod virt_sys;
mod xml;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{Facts, Landing, Machine, MachineDetail, Motion, ObjectKey};
use tokio::sync::{mpsc, oneshot};

use self::apply::{Hand, Order};
use self::devices::Refusal;
use self::link::Link;
use self::profile::Profile;
pub use self::profile::{Accel, Accelerator, Architecture, Display};
use crate::host::{HostError, MachineMemory, MachinePlan, Machines, seed};

/// How to reach libvirt and what machines look like here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibvirtConfig {
    /// Address of libvirt: `qemu:///system`.
    pub uri: String,
    pub accel: Accel,
    /// Directory for seeds and serial logs; QEMU's user must be able to pass through it.
    pub state_directory: PathBuf,
    pub display: Display,
    /// Address on which screens listen. They have no password: anything but loopback is for a network
    /// that only administrators reach. "All addresses" is refused.
    pub display_listen: IpAddr,
    /// By which the libvirt of other hosts reaches this one; without it no machine comes from them.
    pub migration_uri: Option<String>,
}

impl LibvirtConfig {
    /// The system's libvirt, screens by VNC on loopback, acceleration as the host allows.
    pub fn new(state_directory: impl Into<PathBuf>) -> Self {
        Self {
            uri: "qemu:///system".to_owned(),
            accel: Accel::Auto,
            state_directory: state_directory.into(),
            display: Display::Vnc,
            display_listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            migration_uri: None,
        }
    }
}

/// The machines of one host.
pub struct Libvirt {
    link: Arc<Link>,
    profile: Arc<Profile>,
    landing: Option<Landing>,
    events: Mutex<Option<mpsc::UnboundedReceiver<ObjectKey>>>,
    /// Machines whose guest was asked to shut down in order to be started again. Lost with the process,
    /// and then the guest is asked once more.
    restarting: Mutex<BTreeSet<Id>>,
}

impl std::fmt::Debug for Libvirt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Libvirt").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Libvirt {
    /// Connects, and stays connected until dropped. A daemon that does not answer yet is no error: the
    /// calls fail until it does.
    ///
    /// # Errors
    /// The configuration cannot work on this host.
    pub async fn connect(config: LibvirtConfig) -> Result<Self, HostError> {
        blocking("connect to libvirt", move || Self::connect_blocking(&config)).await?
    }

    fn connect_blocking(config: &LibvirtConfig) -> Result<Self, HostError> {
        if config.display_listen.is_unspecified() {
            return Err(HostError::Refused(format!(
                "screens would listen on {}, every address of this host, without a password: give one address, best \
                 127.0.0.1",
                config.display_listen
            )));
        }
        let architecture = Architecture::from_name(std::env::consts::ARCH).ok_or_else(|| {
            HostError::Refused(format!(
                "machines run on x86_64 and aarch64 only, and this host is {}",
                std::env::consts::ARCH
            ))
        })?;
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let accelerator = profile::choose_accelerator(
            config.accel,
            profile::kvm_opens(Path::new("/dev/kvm")),
            profile::cpu_virtualises(architecture, &cpuinfo),
        )
        .map_err(HostError::Refused)?;
        let profile = Profile {
            architecture,
            accelerator,
            display: config.display,
            display_listen: config.display_listen,
            state_directory: config.state_directory.clone(),
        };
        seed::make_passable(&profile.state_directory)
            .map_err(|error| HostError::Failed(error.to_string()))?;
        if let Some(closed) = remedy::closed_directory(&profile.state_directory) {
            tracing::warn!(
                directory = %closed.display(),
                "machines cannot read their seeds unless QEMU runs as root: let others pass through this directory \
                 (chmod o+x)"
            );
        }
        let (changed, events) = mpsc::unbounded_channel();
        let link = Link::start(&config.uri, changed).map_err(HostError::Failed)?;
        Ok(Self {
            link: Arc::new(link),
            landing: config.migration_uri.clone().map(|uri| Landing {
                uri,
                directory: profile.state_directory.display().to_string(),
                display_listen: profile.display_listen,
            }),
            profile: Arc::new(profile),
            events: Mutex::new(Some(events)),
            restarting: Mutex::new(BTreeSet::new()),
        })
    }

    fn order(&self, plan: &MachinePlan<'_>) -> Result<Order, HostError> {
        let machine = plan.machine;
        let definition =
            xml::render(plan, &self.profile).map_err(|Refusal(reason)| HostError::Refused(reason))?;
        let seed = seed::render(&machine.seed).map_err(|error| {
            HostError::Refused(format!("seed of machine {} ({}): {error}", machine.name, plan.id))
        })?;
        Ok(Order {
            definition,
            seed,
            power: machine.power,
            reboots: machine.reboots,
            resets: machine.resets,
            restarting: self.with_restarting(|restarting| restarting.contains(&plan.id)),
            disks: machine.disks.clone(),
            nics: machine.nics.clone(),
        })
    }

    fn hand(&self, id: Id, name: &str) -> Result<Hand, HostError> {
        Ok(Hand { session: self.link.session()?, id, name: name.to_owned() })
    }

    fn with_restarting<T>(&self, act: impl FnOnce(&mut BTreeSet<Id>) -> T) -> T {
        act(&mut self.restarting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Machines for Libvirt {
    async fn facts(&self) -> Result<Facts, HostError> {
        let session = self.link.session()?;
        let profile = Arc::clone(&self.profile);
        let read = move || facts::observe(&session, &profile);
        let facts = blocking("read the capabilities of libvirt", read).await??;
        Ok(Facts { landing: self.landing.clone(), ..facts })
    }

    async fn ensure_machine(
        &self,
        plan: &MachinePlan<'_>,
        memory: &mut MachineMemory,
    ) -> Result<MachineDetail, HostError> {
        let order = self.order(plan)?;
        let hand = self.hand(plan.id, &plan.machine.name)?;
        let profile = Arc::clone(&self.profile);
        let mut done = memory.clone();
        match plan.machine.motion.clone() {
            Some(Motion::Incoming) => {
                let receive = move || hand.receive(&order, &profile);
                return blocking("make ready for a machine", receive).await?;
            }
            Some(Motion::Outgoing(outgoing)) => {
                let (outcome, done) = on_own_thread("move a machine", move || {
                    (hand.send(&outgoing, &order, &profile, &mut done), done)
                })
                .await?;
                *memory = done;
                return outcome;
            }
            None => done.departure = None,
        }
        let (outcome, done, restarting) = blocking("bring a machine to its target", move || {
            let mut restarting = order.restarting;
            let outcome = hand.ensure(&order, &profile, &mut done, &mut restarting);
            (outcome, done, restarting)
        })
        .await?;
        *memory = done;
        self.with_restarting(|set| if restarting { set.insert(plan.id) } else { set.remove(&plan.id) });
        outcome
    }

    async fn observe_machine(&self, id: Id) -> Result<Option<MachineDetail>, HostError> {
        let hand = self.hand(id, &xml::domain_name(id))?;
        blocking("observe a machine", move || hand.observe()).await?
    }

    async fn remove_machine(&self, id: Id, machine: &Machine) -> Result<(), HostError> {
        let hand = self.hand(id, &machine.name)?;
        let profile = Arc::clone(&self.profile);
        let nics = machine.nics.clone();
        blocking("remove a machine", move || hand.remove(&profile, &nics)).await??;
        self.with_restarting(|restarting| restarting.remove(&id));
        Ok(())
    }

    async fn console(&self, id: Id) -> Result<String, HostError> {
        let hand = self.hand(id, &xml::domain_name(id))?;
        blocking("find the screen of a machine", move || hand.console()).await?
    }

    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        let taken = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Asked a second time, a channel that has ended.
        taken.unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}

/// Runs a call that blocks on a thread meant for that.
async fn blocking<T: Send + 'static>(
    what: &str,
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostError> {
    tokio::task::spawn_blocking(act)
        .await
        .map_err(|error| HostError::Failed(format!("the attempt to {what} was cut off: {error}")))
}

/// Runs a call that can take hours on a thread that the end of the node does not wait for.
async fn on_own_thread<T: Send + 'static>(
    what: &str,
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostError> {
    let (sender, receiver) = oneshot::channel();
    let failed = |reason: String| HostError::Failed(format!("the attempt to {what} failed: {reason}"));
    std::thread::Builder::new()
        .name("libvirt-move".to_owned())
        // Who waited may be gone, and then the next node asks libvirt.
        .spawn(move || drop(sender.send(act())))
        .map_err(|error| failed(error.to_string()))?;
    receiver.await.map_err(|_| failed("a fault of the node, which its log tells".to_owned()))
}

/// Whether the programs of a software TPM are installed.
fn has_swtpm() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["swtpm", "swtpm_setup"]
        .iter()
        .all(|program| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}
