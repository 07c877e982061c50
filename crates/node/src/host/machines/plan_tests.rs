use proptest::prelude::*;

use super::*;

fn found(life: Life) -> Found {
    Found { definition: Some("d".into()), running_hardware: Some("h".into()), life }
}

fn memory(power_serial: u64) -> MachineMemory {
    MachineMemory { power_serial, ..MachineMemory::default() }
}

fn target(serial: u64, power: PowerTarget) -> Target<'static> {
    Target { definition: "d", hardware: "h", power: Power { serial, target: power }, reboots: 0, resets: 0 }
}

const OFF: Life = Life::Off { by_guest: false };
const GUEST_OFF: Life = Life::Off { by_guest: true };

#[test]
fn a_new_machine_is_defined_and_started() {
    let plan = plan(None, &MachineMemory::default(), target(1, PowerTarget::Running), false);
    assert_eq!(plan.actions, [Action::Define, Action::Start, Action::Remember(memory(1))]);
    assert!(!plan.restart_needed);
}

#[test]
fn a_machine_met_running_is_adopted_and_its_counters_taken_as_done() {
    let desired = Target { reboots: 3, resets: 2, ..target(7, PowerTarget::Running) };
    let plan = plan(Some(&found(Life::Running)), &MachineMemory::default(), desired, false);
    let remembered = MachineMemory { power_serial: 7, reboots: 3, resets: 2, ..MachineMemory::default() };
    assert_eq!(plan.actions, [Action::Remember(remembered)]);
}

#[test]
fn a_guest_that_switched_itself_off_stays_off_until_the_next_serial() {
    let off = found(GUEST_OFF);
    let first = plan(Some(&off), &memory(1), target(1, PowerTarget::Running), false);
    let noticed = MachineMemory { guest_off: true, ..memory(1) };
    assert_eq!(first.actions, [Action::Remember(noticed.clone())]);
    // A restart of libvirt forgets why it is off; the memory does not.
    let later = plan(Some(&found(OFF)), &noticed, target(1, PowerTarget::Running), false);
    assert_eq!(later.actions, []);
    let next = plan(Some(&off), &noticed, target(2, PowerTarget::Running), false);
    assert_eq!(next.actions, [Action::Start, Action::Remember(memory(2))]);
}

#[test]
fn a_machine_that_was_cut_off_is_started_again() {
    let plan = plan(Some(&found(OFF)), &memory(1), target(1, PowerTarget::Running), false);
    assert_eq!(plan.actions, [Action::Start]);
}

#[test]
fn a_stopped_machine_stays_stopped() {
    for (power, life) in
        [(PowerTarget::Off, OFF), (PowerTarget::ShutDown, GUEST_OFF), (PowerTarget::Off, Life::Running)]
    {
        assert_eq!(plan(Some(&found(life)), &memory(1), target(1, power), false).actions, []);
    }
}

#[test]
fn a_guest_is_asked_once_and_never_forced() {
    let first = plan(Some(&found(Life::Running)), &memory(1), target(2, PowerTarget::ShutDown), false);
    assert_eq!(first.actions, [Action::AskShutdown, Action::Remember(memory(2))]);
    let second = plan(Some(&found(Life::Running)), &memory(2), target(2, PowerTarget::ShutDown), false);
    assert_eq!(second.actions, []);
}

#[test]
fn new_hardware_waits_for_the_next_start() {
    let desired = Target { definition: "d2", hardware: "h2", ..target(1, PowerTarget::Running) };
    let waiting = plan(Some(&found(Life::Running)), &memory(1), desired, false);
    assert_eq!((waiting.actions.as_slice(), waiting.restart_needed), ([Action::Define].as_slice(), true));

    let renamed = Target { definition: "d2", ..target(1, PowerTarget::Running) };
    assert!(!plan(Some(&found(Life::Running)), &memory(1), renamed, false).restart_needed);

    let defined = Found { definition: Some("d2".into()), ..found(Life::Running) };
    let reset = plan(Some(&defined), &memory(1), Target { resets: 1, ..desired }, false);
    let done = MachineMemory { resets: 1, ..memory(1) };
    assert_eq!(reset.actions, [Action::Stop, Action::Start, Action::Remember(done)]);
    assert!(!reset.restart_needed);
}

#[test]
fn a_reboot_with_new_hardware_is_a_shutdown_and_a_start() {
    let desired = Target { hardware: "h2", reboots: 1, ..target(1, PowerTarget::Running) };
    let asked = plan(Some(&found(Life::Running)), &memory(1), desired, false);
    assert_eq!(asked.actions, [Action::AskRestart]);
    assert_eq!(plan(Some(&found(Life::Running)), &memory(1), desired, true).actions, []);
    assert_eq!(plan(Some(&found(Life::Stopping)), &memory(1), desired, true).actions, []);
    let done = MachineMemory { reboots: 1, ..memory(1) };
    let started = plan(Some(&found(GUEST_OFF)), &memory(1), desired, true);
    assert_eq!(started.actions, [Action::Start, Action::Remember(done)]);
}

#[test]
fn a_stopping_machine_is_started_when_it_is_off() {
    let desired = target(2, PowerTarget::Running);
    assert_eq!(plan(Some(&found(Life::Stopping)), &memory(1), desired, false).actions, []);
    let started = plan(Some(&found(GUEST_OFF)), &memory(1), desired, false);
    assert_eq!(started.actions, [Action::Start, Action::Remember(memory(2))]);
}

#[test]
fn paused_machines_resume_or_are_woken_to_be_asked() {
    let paused = found(Life::Paused);
    let resume = plan(Some(&paused), &memory(1), target(2, PowerTarget::Running), false);
    assert_eq!(resume.actions[0], Action::Resume);
    let shut = plan(Some(&paused), &memory(1), target(2, PowerTarget::ShutDown), false);
    assert_eq!(shut.actions[..2], [Action::Resume, Action::AskShutdown]);
    let cold = plan(Some(&found(OFF)), &memory(1), target(2, PowerTarget::Paused), false);
    assert_eq!(cold.actions[0], Action::StartPaused);
}

/// A libvirt that does what it is told, and a guest that obeys.
#[derive(Debug, Clone)]
struct World {
    found: Option<Found>,
    memory: MachineMemory,
    restarting: bool,
    done: Vec<Action>,
}

impl World {
    fn converge(&mut self, target: Target<'_>) {
        let plan = plan(self.found.as_ref(), &self.memory, target, self.restarting);
        for action in plan.actions {
            self.execute(&action, target);
            self.done.push(action);
        }
    }

    fn execute(&mut self, action: &Action, target: Target<'_>) {
        if let Action::Remember(memory) = action {
            self.memory = memory.clone();
            self.restarting &= memory.reboots != target.reboots;
            return;
        }
        if *action == Action::Define {
            let found =
                self.found.get_or_insert(Found { definition: None, running_hardware: None, life: OFF });
            found.definition = Some(target.definition.to_owned());
            return;
        }
        let found = self.found.as_mut().expect("defined before anything else");
        found.life = match (action, found.life) {
            (Action::Start, Life::Off { .. })
            | (Action::Resume, Life::Paused)
            | (Action::Wake, Life::Asleep)
            | (Action::AskReboot, Life::Running) => Life::Running,
            (Action::StartPaused, Life::Off { .. }) | (Action::Pause, Life::Running) => Life::Paused,
            (Action::AskShutdown, Life::Running) => GUEST_OFF,
            (Action::AskRestart, Life::Running) => {
                self.restarting = true;
                GUEST_OFF
            }
            (Action::Stop, life) if !life.is_off() => OFF,
            (Action::Reset, life) if !life.is_off() => life,
            (action, life) => panic!("{action:?} cannot be done when {life:?}"),
        };
        if matches!(action, Action::Start | Action::StartPaused) {
            found.running_hardware = Some(target.hardware.to_owned());
        }
    }
}

fn lives() -> impl Strategy<Value = Life> {
    prop_oneof![
        Just(Life::Running),
        Just(Life::Paused),
        Just(Life::Asleep),
        Just(Life::Crashed),
        any::<bool>().prop_map(|by_guest| Life::Off { by_guest }),
    ]
}

fn powers() -> impl Strategy<Value = PowerTarget> {
    prop_oneof![
        Just(PowerTarget::Running),
        Just(PowerTarget::Off),
        Just(PowerTarget::ShutDown),
        Just(PowerTarget::Paused),
    ]
}

prop_compose! {
    fn worlds()(
        life in proptest::option::of(lives()),
        definition in "[de]", hardware in "[hi]",
        power_serial in 0_u64..3, reboots in 0_u64..2, resets in 0_u64..2, guest_off: bool,
    ) -> World {
        World {
            found: life.map(|life| Found { definition: Some(definition), running_hardware: Some(hardware), life }),
            memory: MachineMemory { power_serial, reboots, resets, guest_off, departure: None },
            restarting: false,
            done: Vec::new(),
        }
    }
}

prop_compose! {
    fn targets()(serial in 1_u64..3, power in powers(), reboots in 0_u64..3, resets in 0_u64..3) -> Target<'static> {
        Target { reboots, resets, ..target(serial, power) }
    }
}

proptest! {
    #[test]
    fn a_few_passes_settle(mut world in worlds(), target in targets()) {
        // Asking, noticing that it is off, and starting it again are three passes.
        for _ in 0..3 {
            world.converge(target);
        }
        let plan = plan(world.found.as_ref(), &world.memory, target, world.restarting);
        prop_assert_eq!(plan.actions, vec![]);
        prop_assert_eq!(world.memory.power_serial, target.power.serial);
        prop_assert_eq!((world.memory.reboots, world.memory.resets), (target.reboots, target.resets));
    }

    #[test]
    fn each_verb_is_done_once(mut world in worlds(), target in targets()) {
        for _ in 0..6 {
            world.converge(target);
        }
        for action in [Action::AskReboot, Action::AskRestart, Action::Reset, Action::AskShutdown, Action::Define] {
            prop_assert!(world.done.iter().filter(|done| **done == action).count() <= 1, "{:?}", world.done);
        }
        let starts = world.done.iter().filter(|done| matches!(done, Action::Start | Action::StartPaused)).count();
        prop_assert!(starts <= 2, "{:?}", world.done);
    }

    #[test]
    fn a_new_serial_reaches_its_target(mut world in worlds(), power in powers()) {
        let target = target(9, power);
        for _ in 0..3 {
            world.converge(target);
        }
        let life = world.found.as_ref().map(|found| found.life);
        match power {
            PowerTarget::Running => prop_assert_eq!(life, Some(Life::Running)),
            PowerTarget::Paused => prop_assert!(matches!(life, Some(Life::Paused | Life::Asleep)), "{:?}", life),
            PowerTarget::Off | PowerTarget::ShutDown => prop_assert!(matches!(life, Some(Life::Off { .. })), "{:?}", life),
        }
    }
}
