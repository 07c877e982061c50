use freehold_types::agent::{PowerTarget, Specification};
use proptest::prelude::*;

use super::*;
use crate::fixture::{MACHINE, POOL, SEGMENT, VOLUME, id, machine, pool, segment, volume};
use crate::host::{MachineMemory, MachinePlan};

fn target() -> impl Strategy<Value = PowerTarget> {
    prop_oneof![
        Just(PowerTarget::Running),
        Just(PowerTarget::Off),
        Just(PowerTarget::ShutDown),
        Just(PowerTarget::Paused)
    ]
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Each target is applied once, each verb done at most once, and a second call does nothing.
    #[test]
    fn power_keeps_its_promises(
        steps in proptest::collection::vec((target(), any::<bool>(), any::<bool>(), 0_u8..4), 1..12)
    ) {
        let sim = Sim::new(SimConfig::default());
        let host = sim.host();
        let mut memory = MachineMemory::default();
        let desired = machine(MACHINE, &[], &[]);
        let Specification::Machine(mut machine) = desired.state.specification().clone() else { unreachable!() };
        for (target, new_serial, reboot, accident) in steps {
            if new_serial {
                machine.power = freehold_types::agent::Power { serial: machine.power.serial + 1, target };
            }
            machine.reboots += u64::from(reboot);
            let life = |sim: &Sim| sim.look(|world| world.domains.get(&id(MACHINE)).map(|domain| domain.life));
            match accident {
                0 if life(&sim) == Some(Life::Running) => sim.guest_off(id(MACHINE)),
                1 if life(&sim) == Some(Life::Running) => sim.crash(id(MACHINE)),
                2 => sim.power_cut(),
                _ => {}
            }
            let fresh = memory.power_serial != machine.power.serial;
            let plan = MachinePlan { id: id(MACHINE), machine: &machine, disks: Vec::new(), bridges: Vec::new() };
            block_on(host.machines.ensure_machine(&plan, &mut memory)).unwrap();
            let after = sim.world();
            prop_assert!(after.domains[&id(MACHINE)].reboots <= machine.reboots);
            if fresh {
                let running = after.domains[&id(MACHINE)].life;
                match machine.power.target {
                    PowerTarget::Running => prop_assert_eq!(running, Life::Running),
                    PowerTarget::Paused => prop_assert_eq!(running, Life::Paused),
                    PowerTarget::Off | PowerTarget::ShutDown => {
                        let off = matches!(running, Life::Off { .. });
                        prop_assert!(off);
                    }
                }
            }
            let remembered = memory.clone();
            block_on(host.machines.ensure_machine(&plan, &mut memory)).unwrap();
            prop_assert_eq!(sim.world().domains, after.domains);
            prop_assert_eq!(&memory, &remembered);
        }
    }
}

#[tokio::test]
async fn calls_in_the_wrong_order_fail_and_are_noted() {
    let sim = Sim::new(SimConfig::default());
    let host = sim.host();
    let (pool, volume, segment) = (pool(POOL), volume(VOLUME, POOL, None), segment(SEGMENT));
    let (Specification::Pool(pool), Specification::Volume(volume), Specification::Segment(segment)) =
        (pool.state.specification(), volume.state.specification(), segment.state.specification())
    else {
        unreachable!()
    };
    host.storage.ensure_volume(id(VOLUME), volume, pool).await.unwrap_err();
    host.storage.ensure_pool(id(POOL), pool).await.unwrap();
    host.storage.ensure_volume(id(VOLUME), volume, pool).await.unwrap();
    host.storage.remove_pool(id(POOL), pool).await.unwrap_err();
    host.network.ensure_segment(id(SEGMENT), segment).await.unwrap();
    assert_eq!(sim.world().violations.len(), 2);
    assert_eq!(sim.world().calls, 5);
}

#[tokio::test]
async fn a_pool_that_is_full_says_so() {
    let sim = Sim::new(SimConfig { pool_capacity: 6 * GIB, ..SimConfig::default() });
    let host = sim.host();
    let pool_object = pool(POOL);
    let Specification::Pool(pool) = pool_object.state.specification() else { unreachable!() };
    host.storage.ensure_pool(id(POOL), pool).await.unwrap();
    let mut results = Vec::new();
    for n in 0..2 {
        let volume = volume(VOLUME + n, POOL, None);
        let Specification::Volume(volume) = volume.state.specification() else { unreachable!() };
        results.push(host.storage.ensure_volume(id(VOLUME + n), volume, pool).await);
    }
    let error = results.pop().unwrap().unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "pool {} has no room for volume-401: it needs 4 GiB, and 4 GiB of 6 GiB are in use",
            id(POOL)
        )
    );
}

#[test]
fn guests_together_may_ask_for_more_memory_than_there_is() {
    let sim = Sim::new(SimConfig::default());
    let host = sim.host();
    let Specification::Machine(mut machine) = machine(MACHINE, &[], &[]).state.specification().clone() else {
        unreachable!()
    };
    let most = block_on(host.machines.facts()).unwrap().memory;
    let mut start = |number: u64, memory: u64| {
        machine.memory = memory;
        let plan = MachinePlan { id: id(number), machine: &machine, disks: Vec::new(), bridges: Vec::new() };
        block_on(host.machines.ensure_machine(&plan, &mut MachineMemory::default()))
    };
    for number in [MACHINE, MACHINE + 1] {
        assert_eq!(start(number, most).unwrap().state, "Running");
    }
    assert!(matches!(start(MACHINE + 2, most + 1), Err(crate::host::HostError::Failed(_))));
}
