//! Simulated machines: power, verbs and what a running one was started with.

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{
    Departure, Facts, Machine, MachineDetail, Motion, ObjectKey, ObjectKind, Outcome, Outgoing, PowerTarget,
};
use tokio::sync::mpsc;

use super::{Sim, Verb, World, violation};
use crate::host::{HostError, MachineMemory, MachinePlan, Machines};

/// A simulated machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    pub name: String,
    /// As defined.
    pub hardware: Hardware,
    /// What it was started with; nothing while it is off.
    pub running: Option<Hardware>,
    pub life: Life,
    /// How often each thing was done, ever.
    pub starts: u64,
    pub stops: u64,
    pub shutdowns: u64,
    pub reboots: u64,
    pub resets: u64,
}

/// What a running machine cannot change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    pub vcpus: u32,
    pub memory: u64,
    pub disks: Vec<Id>,
    pub bridges: Vec<String>,
}

/// Whether a simulated machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Running,
    Paused,
    Off {
        /// Its guest switched it off, rather than someone from outside.
        by_guest: bool,
    },
}

impl Domain {
    fn new(name: String, hardware: Hardware) -> Self {
        Self {
            name,
            hardware,
            running: None,
            life: Life::Off { by_guest: false },
            starts: 0,
            stops: 0,
            shutdowns: 0,
            reboots: 0,
            resets: 0,
        }
    }

    /// Whether it is defined with a volume, or still runs with it.
    pub fn uses_volume(&self, volume: Id) -> bool {
        self.hardwares().any(|hardware| hardware.disks.contains(&volume))
    }

    /// Whether it is defined on a bridge, or still runs on it.
    pub fn uses_bridge(&self, bridge: &str) -> bool {
        self.hardwares().any(|hardware| hardware.bridges.iter().any(|used| used == bridge))
    }

    fn hardwares(&self) -> impl Iterator<Item = &Hardware> {
        std::iter::once(&self.hardware).chain(&self.running)
    }

    /// It ends at once, and not by its guest.
    pub(super) fn cut(&mut self) {
        self.running = None;
        self.life = Life::Off { by_guest: false };
    }

    fn is_off(&self) -> bool {
        matches!(self.life, Life::Off { .. })
    }

    fn start(&mut self) {
        self.starts += 1;
        self.running = Some(self.hardware.clone());
        self.life = Life::Running;
    }

    fn stop(&mut self) {
        self.stops += 1;
        self.cut();
    }

    /// Brings it to its power target, verbs included; says whether anything was done.
    fn bring(&mut self, machine: &Machine, memory: &mut MachineMemory, deaf: bool) -> bool {
        let before = self.clone();
        let power = machine.power;
        if memory.power_serial == power.serial {
            self.keep(power.target, memory);
        } else {
            self.apply(power.target, deaf);
            memory.power_serial = power.serial;
            memory.guest_off = false;
        }
        // A machine that was just started has seen every reboot that was asked for.
        if self.life == Life::Running && self.starts == before.starts {
            self.resets += machine.resets.saturating_sub(memory.resets);
            self.reboots += machine.reboots.saturating_sub(memory.reboots);
        }
        memory.resets = machine.resets;
        memory.reboots = machine.reboots;
        *self != before
    }

    fn apply(&mut self, target: PowerTarget, deaf: bool) {
        match target {
            PowerTarget::Running if self.is_off() => self.start(),
            PowerTarget::Running => self.life = Life::Running,
            PowerTarget::Paused => {
                if self.is_off() {
                    self.start();
                }
                self.life = Life::Paused;
            }
            PowerTarget::Off | PowerTarget::ShutDown if self.is_off() => {}
            PowerTarget::Off => self.stop(),
            PowerTarget::ShutDown => {
                self.shutdowns += 1;
                if !deaf {
                    self.cut();
                    self.life = Life::Off { by_guest: true };
                }
            }
        }
    }

    /// A target that was applied before: only what was cut off comes back.
    fn keep(&mut self, target: PowerTarget, memory: &mut MachineMemory) {
        let runs = matches!(target, PowerTarget::Running | PowerTarget::Paused);
        match self.life {
            Life::Off { by_guest: true } if runs => memory.guest_off = true,
            Life::Off { .. } if runs && !memory.guest_off => {
                self.start();
                if target == PowerTarget::Paused {
                    self.life = Life::Paused;
                }
            }
            Life::Running | Life::Paused | Life::Off { .. } => {}
        }
    }

    /// Goes to another host, once; or stays, where that is set.
    fn leave(&mut self, outgoing: &Outgoing, memory: &mut MachineMemory, rooted: bool) -> MachineDetail {
        let known = memory.departure.take().filter(|departure| departure.id == outgoing.id);
        let departure = known.unwrap_or_else(|| {
            let outcome = if rooted {
                Outcome::Stayed { reason: "the simulated host lets no machine go".to_owned() }
            } else {
                self.running = None;
                self.life = Life::Off { by_guest: true };
                Outcome::Left
            };
            Departure { id: outgoing.id, outcome }
        });
        memory.departure = Some(departure.clone());
        MachineDetail { departure: Some(departure), ..self.detail() }
    }

    fn detail(&self) -> MachineDetail {
        let (state, reason) = match self.life {
            Life::Running => ("Running", "Booted"),
            Life::Paused => ("Paused", "User"),
            Life::Off { by_guest: true } => ("Shutoff", "Shutdown"),
            Life::Off { by_guest: false } => ("Shutoff", "Destroyed"),
        };
        let restart_needed = self.running.as_ref().is_some_and(|running| *running != self.hardware);
        MachineDetail { restart_needed, ..MachineDetail::new(state, reason) }
    }
}

impl World {
    fn check(&mut self, plan: &MachinePlan<'_>) -> Result<(), HostError> {
        for (volume, ..) in &plan.disks {
            if !self.volumes.contains_key(volume) {
                return violation(
                    self,
                    format!("machine {} was to be made before its volume {volume}", plan.id),
                );
            }
        }
        for bridge in &plan.bridges {
            if !self.segments.values().any(|segment| segment.bridge == *bridge) {
                return violation(
                    self,
                    format!("machine {} was to be made before its bridge {bridge}", plan.id),
                );
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Machines for Sim {
    async fn facts(&self) -> Result<Facts, HostError> {
        Ok(self.inner.config.facts.clone())
    }

    async fn ensure_machine(
        &self,
        plan: &MachinePlan<'_>,
        memory: &mut MachineMemory,
    ) -> Result<MachineDetail, HostError> {
        let (id, machine) = (plan.id, plan.machine);
        let config = &self.inner.config;
        let key = ObjectKey { kind: ObjectKind::Machine, id };
        let mut moved = false;
        let result = self
            .call(Verb::Ensure, key, |world| {
                world.check(plan)?;
                // As with QEMU, guests together may ask for more than there is, but none of them alone.
                if machine.memory > config.facts.memory {
                    return Err(HostError::Failed(format!(
                        "the host has less memory than machine {id} asks for"
                    )));
                }
                if machine.motion == Some(Motion::Incoming) {
                    return Ok(MachineDetail::new("No State", "Migration"));
                }
                let hardware = Hardware {
                    vcpus: machine.vcpus,
                    memory: machine.memory,
                    disks: plan.disks.iter().map(|(volume, ..)| *volume).collect(),
                    bridges: plan.bridges.iter().map(|bridge| (*bridge).to_owned()).collect(),
                };
                let domain = world
                    .domains
                    .entry(id)
                    .or_insert_with(|| Domain::new(machine.name.clone(), hardware.clone()));
                domain.name.clone_from(&machine.name);
                domain.hardware = hardware;
                if let Some(Motion::Outgoing(outgoing)) = &machine.motion {
                    return Ok(domain.leave(outgoing, memory, config.rooted_guests));
                }
                memory.departure = None;
                moved = domain.bring(machine, memory, config.deaf_guests);
                Ok(domain.detail())
            })
            .await;
        // Libvirt tells of what it was asked to do, too.
        if moved {
            self.tell(key);
        }
        result
    }

    async fn observe_machine(&self, id: Id) -> Result<Option<MachineDetail>, HostError> {
        Ok(self.look(|world| world.domains.get(&id).map(Domain::detail)))
    }

    async fn remove_machine(&self, id: Id, _machine: &Machine) -> Result<(), HostError> {
        let key = ObjectKey { kind: ObjectKind::Machine, id };
        self.call(Verb::Remove, key, |world| {
            world.domains.remove(&id);
            Ok(())
        })
        .await
    }

    async fn console(&self, id: Id) -> Result<String, HostError> {
        let place = self.look(|world| {
            let running = world.domains.iter().filter(|(_, domain)| !domain.is_off());
            running.map(|(id, _)| *id).position(|running| running == id)
        });
        let place = place.ok_or_else(|| HostError::Failed(format!("machine {id} does not run; start it")))?;
        Ok(format!("vnc://127.0.0.1:{}", 5900 + place))
    }

    /// Unlike a real host it can be asked again, by the next node on it.
    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state().events = Some(sender);
        receiver
    }
}
