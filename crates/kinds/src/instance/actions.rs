//! Verbs on a machine: each raises a counter in its specification, so that it is done once, even across
//! a crash, and not before the machine's earlier wishes.

use freehold_store::{Object, Snapshot, Transaction};
use freehold_types::ApiError;
use freehold_types::agent::{Power, PowerTarget};

use super::{Instance, plan, state};
use crate::crud;
use crate::route::{Call, Outcome, Wait};

/// What can be asked of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Start,
    /// Off, at once.
    Stop,
    /// Off, by asking the guest.
    ShutDown,
    /// Again, by asking the guest.
    Reboot,
    /// Again, at once.
    Reset,
    Suspend,
    Resume,
}

/// Carries out an action on an instance.
///
/// # Errors
/// 409 while it is being removed or moved; 422 when its state does not allow the action.
pub fn perform(
    instance: &Object<Instance>,
    action: Action,
    snapshot: &Snapshot,
) -> Result<Outcome, ApiError> {
    crud::refuse_deleting(instance)?;
    plan::refuse_going(instance)?;
    let mut spec = instance.spec.clone();
    match action {
        Action::Start
            if spec.power.target == PowerTarget::Running && state::is_running(instance, snapshot) => {}
        Action::Stop if spec.power.target == PowerTarget::Off && !state::is_running(instance, snapshot) => {}
        Action::Start => set(&mut spec, PowerTarget::Running),
        Action::Stop => set(&mut spec, PowerTarget::Off),
        Action::ShutDown => {
            if state::is_running(instance, snapshot) {
                set(&mut spec, PowerTarget::ShutDown);
            }
        }
        Action::Suspend => {
            require(
                state::is_running(instance, snapshot),
                instance,
                "suspended",
                "does not run; start it first",
            )?;
            set(&mut spec, PowerTarget::Paused);
        }
        Action::Resume => {
            let known = state::is_paused(instance, snapshot) || state::is_running(instance, snapshot);
            require(known, instance, "resumed", "is not suspended; start it instead")?;
            if spec.power.target != PowerTarget::Running || state::is_paused(instance, snapshot) {
                set(&mut spec, PowerTarget::Running);
            }
        }
        Action::Reboot => {
            require(
                state::is_running(instance, snapshot),
                instance,
                "rebooted",
                "does not run; start it instead",
            )?;
            spec.reboots += 1;
        }
        Action::Reset => {
            require(
                state::is_running(instance, snapshot),
                instance,
                "reset",
                "does not run; start it instead",
            )?;
            spec.resets += 1;
        }
    }
    let mut transaction = Transaction::default();
    transaction.update(instance, spec);
    Ok(Outcome::done(transaction).waiting(Wait::Settled(instance.key())))
}

/// Carries out an action on the instance of the path.
///
/// # Errors
/// As [`perform`], and 404.
pub fn on_path(call: &Call<'_>, action: Action) -> Result<Outcome, ApiError> {
    perform(call.object::<Instance>(0)?, action, call.snapshot)
}

fn set(spec: &mut Instance, target: PowerTarget) {
    spec.power = Power { serial: spec.power.serial + 1, target };
}

fn require(holds: bool, instance: &Object<Instance>, verb: &str, why: &str) -> Result<(), ApiError> {
    if holds {
        return Ok(());
    }
    Err(ApiError::invalid(format!("the instance `{}` cannot be {verb}: it {why}", instance.spec.name)))
}
