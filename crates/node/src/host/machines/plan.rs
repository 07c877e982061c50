//! Decides what to do with one machine: what is found, what is remembered and what is desired give a list
//! of actions. Pure; nothing here talks to libvirt.
//!
//! Promises, each a property test below: when the actions of a plan succeed, the next plan is empty; each
//! power target is applied once per serial and each reboot or reset once; a guest that switched itself
//! off stays off until the next serial; a machine that stopped for any other reason while it should run
//! (the host was cut off, QEMU died) is started again; a guest asked to shut down is never forced.
//!
//! [`Action::Remember`] stands after the actions it records, so that a failure between leaves them to be
//! done again rather than forgotten.

use freehold_types::agent::{Power, PowerTarget};

use crate::host::MachineMemory;

/// What a domain is doing, as far as decisions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    Paused,
    /// Suspended by the guest itself (S3).
    Asleep,
    /// On its way off.
    Stopping,
    /// Dead, with its memory kept for inspection.
    Crashed,
    Off {
        /// It shut down in good order, rather than being cut off.
        by_guest: bool,
    },
}

impl Life {
    const fn is_off(self) -> bool {
        matches!(self, Self::Off { .. })
    }
}

/// A domain of ours as libvirt has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Digest of the stored definition; none when it is gone but the machine still runs.
    pub(super) definition: Option<String>,
    /// Hardware digest of what runs.
    pub(super) running_hardware: Option<String>,
    pub(super) life: Life,
}

/// What is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) definition: &'a str,
    pub(super) hardware: &'a str,
    pub(super) power: Power,
    pub(super) reboots: u64,
    pub(super) resets: u64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Define,
    Start,
    /// Start with stopped processors.
    StartPaused,
    Resume,
    Wake,
    Pause,
    /// Ask the guest to switch itself off.
    AskShutdown,
    /// Ask the guest to switch itself off, to be started again with its new definition.
    AskRestart,
    Stop,
    AskReboot,
    Reset,
    Remember(MachineMemory),
}

/// What to do, and what remains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) actions: Vec<Action>,
    /// When all is done, what runs is still not what is defined.
    pub(super) restart_needed: bool,
}

/// Plans. `restarting` says that the guest was asked to shut down in order to be started again.
pub(super) fn plan(
    found: Option<&Found>,
    memory: &MachineMemory,
    target: Target<'_>,
    restarting: bool,
) -> Plan {
    let life = found.map_or(Life::Off { by_guest: false }, |found| found.life);
    let stale = found.is_some_and(|found| found.running_hardware.as_deref() != Some(target.hardware));
    let mut steps = Steps { actions: Vec::new(), next: memory.clone(), life, stale };
    if found.and_then(|found| found.definition.as_deref()) != Some(target.definition) {
        steps.actions.push(Action::Define);
    }
    // Serials start at 1: a memory without one has never met this machine, and the counters that it
    // never saw grow are taken as done.
    if memory.power_serial == 0 {
        steps.next.reboots = target.reboots;
        steps.next.resets = target.resets;
    }
    if target.power.serial == memory.power_serial {
        steps.keep(target.power.target, restarting);
    } else {
        steps.apply(target.power);
    }
    steps.verbs(target, restarting);
    let Steps { mut actions, next, life, stale } = steps;
    if next != *memory {
        actions.push(Action::Remember(next));
    }
    Plan { actions, restart_needed: stale && !life.is_off() }
}

struct Steps {
    actions: Vec<Action>,
    next: MachineMemory,
    /// As it will be after the actions.
    life: Life,
    /// Whether what runs differs from the definition.
    stale: bool,
}

impl Steps {
    fn act(&mut self, action: Action, life: Life) {
        self.actions.push(action);
        self.life = life;
    }

    /// Starts it with the definition as it now stands, which also answers every reboot and reset.
    fn start(&mut self, target: PowerTarget) {
        if target == PowerTarget::Paused {
            self.act(Action::StartPaused, Life::Paused);
        } else {
            self.act(Action::Start, Life::Running);
        }
        self.stale = false;
    }

    /// A target with a new serial.
    fn apply(&mut self, power: Power) {
        match (power.target, self.life) {
            (PowerTarget::Running | PowerTarget::Paused, Life::Stopping) => {
                // Neither on nor off: its end wakes us, and then the target is applied.
                return;
            }
            (PowerTarget::Running | PowerTarget::Paused, Life::Off { .. }) => self.start(power.target),
            (PowerTarget::Running | PowerTarget::Paused, Life::Crashed) => {
                self.act(Action::Stop, Life::Off { by_guest: false });
                self.start(power.target);
            }
            (PowerTarget::Running, Life::Paused) => self.act(Action::Resume, Life::Running),
            (PowerTarget::Running, Life::Asleep) => self.act(Action::Wake, Life::Running),
            (PowerTarget::Paused, Life::Running) => self.act(Action::Pause, Life::Paused),
            (PowerTarget::Off, Life::Off { .. })
            | (PowerTarget::ShutDown, Life::Off { .. } | Life::Stopping)
            | (PowerTarget::Running, Life::Running)
            | (PowerTarget::Paused, Life::Paused | Life::Asleep) => {}
            (PowerTarget::Off, _) | (PowerTarget::ShutDown, Life::Crashed) => {
                self.act(Action::Stop, Life::Off { by_guest: false });
            }
            (PowerTarget::ShutDown, Life::Running) => self.act(Action::AskShutdown, Life::Stopping),
            // A guest that does not run hears nothing.
            (PowerTarget::ShutDown, Life::Paused) => {
                self.actions.push(Action::Resume);
                self.act(Action::AskShutdown, Life::Stopping);
            }
            (PowerTarget::ShutDown, Life::Asleep) => {
                self.actions.push(Action::Wake);
                self.act(Action::AskShutdown, Life::Stopping);
            }
        }
        self.next.power_serial = power.serial;
        self.next.guest_off = false;
    }

    /// A target that was applied before.
    fn keep(&mut self, target: PowerTarget, restarting: bool) {
        match (target, self.life) {
            (PowerTarget::Off | PowerTarget::ShutDown, _) => {}
            (PowerTarget::Running | PowerTarget::Paused, Life::Off { by_guest }) => {
                if by_guest && !restarting {
                    self.next.guest_off = true;
                } else if !self.next.guest_off {
                    self.start(target);
                }
            }
            (PowerTarget::Running | PowerTarget::Paused, Life::Crashed) => {
                self.act(Action::Stop, Life::Off { by_guest: false });
                self.start(target);
            }
            // Someone switched it on by hand.
            (
                PowerTarget::Running | PowerTarget::Paused,
                Life::Running | Life::Paused | Life::Asleep | Life::Stopping,
            ) => self.next.guest_off = false,
        }
    }

    /// Reboots and resets that are asked for and not done.
    fn verbs(&mut self, target: Target<'_>, restarting: bool) {
        let reset = target.resets != self.next.resets;
        let reboot = target.reboots != self.next.reboots;
        let started = self.actions.iter().any(|action| matches!(action, Action::Start | Action::StartPaused));
        let stays = matches!(target.power.target, PowerTarget::Running | PowerTarget::Paused);
        if stays && !started && reset && matches!(self.life, Life::Running | Life::Paused | Life::Asleep) {
            if self.stale {
                // QEMU keeps the hardware it was started with through a reset.
                self.act(Action::Stop, Life::Off { by_guest: false });
                self.start(target.power.target);
            } else {
                self.actions.push(Action::Reset);
            }
        } else if stays && !started && reboot && self.life == Life::Running {
            if self.stale {
                // Through a reboot too: so it is switched off, and started again when it is off.
                if !restarting {
                    self.act(Action::AskRestart, Life::Running);
                }
                return;
            }
            self.actions.push(Action::AskReboot);
        } else if stays && !started && reboot && self.life == Life::Stopping {
            return;
        }
        self.next.resets = target.resets;
        self.next.reboots = target.reboots;
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
