//! A node on a simulated host: order, restarts, verbs, delays and bounds. Time is paused, so that delays
//! cost nothing and come out the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

mod fixture;
mod rig;

use std::time::Duration;

use fixture::{
    IMAGE, MACHINE, POOL, SEGMENT, VOLUME, absent, change, cloud, full, id, key, machine, partial, pool,
    segment, volume,
};
use freehold_node::host::sim::{Latency, Life, Sim, SimConfig, Verb};
use freehold_node::{DeliverError, Node, NodeConfig, PurgeError, Refused, Status, purge};
use freehold_types::Secret;
use freehold_types::agent::{Detail, ObjectKind, Phase, PowerTarget, Specification, State};
use freehold_types::size::GIB;
use rig::{all, kill, machine_key, node, observed, settled};
use tokio::time::{sleep, timeout};

fn recorded() -> SimConfig {
    SimConfig { record: true, ..SimConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn objects_are_made_in_order_and_removed_in_reverse() {
    let sim = Sim::new(recorded());
    let node = node(&sim, None);
    node.deliver(full(1, cloud(3))).await.unwrap();
    let status = settled(&node, Phase::Ready).await;
    assert_eq!(status.held, Some((id(fixture::LINEAGE), 1)));
    let made = sim.world();
    assert_eq!(made.violations, [""; 0]);
    assert_eq!(made.domains.len(), 3);
    assert!(made.domains.values().all(|domain| domain.life == Life::Running && domain.starts == 1));

    node.deliver(partial(2, absent(cloud(3)))).await.unwrap();
    settled(&node, Phase::Absent).await;
    let removed = sim.world();
    assert_eq!(removed.violations, [""; 0]);
    assert_eq!(removed.summary(), "");
    let removals: Vec<ObjectKind> =
        removed.log.iter().filter(|call| call.verb == Verb::Remove).map(|call| call.key.kind).collect();
    let place = |kind| removals.iter().position(|removed| *removed == kind).unwrap();
    assert!(place(ObjectKind::Machine) < place(ObjectKind::Volume));
    assert!(place(ObjectKind::Volume) < place(ObjectKind::Image));
    assert!(place(ObjectKind::Image) < place(ObjectKind::Pool));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_again_calls_nothing() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    node.deliver(full(1, cloud(2))).await.unwrap();
    settled(&node, Phase::Ready).await;
    // The figures of the pool follow what was made in it.
    sleep(Duration::from_secs(3)).await;
    let calls = sim.world().calls;
    node.deliver(full(2, cloud(2))).await.unwrap();
    let status = node.wait_until(|status| status.held == Some((id(fixture::LINEAGE), 2))).await;
    assert!(all(&status, Phase::Ready));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(sim.world().calls, calls);
}

#[tokio::test(start_paused = true)]
async fn a_machine_says_what_it_waits_for() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    let volume_key = key(ObjectKind::Volume, VOLUME);
    sim.fail_object(volume_key);
    node.deliver(full(1, cloud(1))).await.unwrap();
    let failed =
        |status: &Status| observed(status, volume_key).is_some_and(|volume| volume.phase == Phase::Failed);
    let status = node.wait_until(|status| status.idle && failed(status)).await;
    let waiting = observed(&status, machine_key(0)).unwrap();
    assert_eq!(waiting.phase, Phase::Working);
    insta::assert_snapshot!(waiting.message);
    sim.heal();
    settled(&node, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_waited_for_by_name() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    node.deliver(full(1, vec![machine(MACHINE, &[VOLUME], &[]), pool(POOL)])).await.unwrap();
    let told =
        |status: &Status| observed(status, machine_key(0)).is_some_and(|machine| !machine.message.is_empty());
    let status = node.wait_until(|status| status.idle && told(status)).await;
    insta::assert_snapshot!(observed(&status, machine_key(0)).unwrap().message);
    node.deliver(partial(2, vec![volume(VOLUME, POOL, None)])).await.unwrap();
    settled(&node, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_from_the_ledger_after_a_power_cut() {
    let state = tempfile::tempdir().unwrap();
    let sim = Sim::new(recorded());
    let first = node(&sim, Some(&state));
    let off = change(machine(MACHINE + 1, &[VOLUME + 1], &[SEGMENT]), |machine| {
        machine.power.target = PowerTarget::Off;
    });
    let mut objects = cloud(3);
    objects.retain(|object| object.key != off.key);
    objects.push(off);
    first.deliver(full(5, objects)).await.unwrap();
    settled(&first, Phase::Ready).await;
    sim.guest_off(id(MACHINE + 2));
    first.wait_until(|status| state_of(status, 2) == "Shutoff").await;
    kill(first).await;
    sim.power_cut();

    let second = node(&sim, Some(&state));
    let status = settled(&second, Phase::Ready).await;
    assert_eq!(status.held, Some((id(fixture::LINEAGE), 5)));
    let world = sim.world();
    assert_eq!(world.violations, [""; 0]);
    assert_eq!(world.domains[&id(MACHINE)].life, Life::Running);
    assert_ne!(world.domains[&id(MACHINE + 1)].life, Life::Running, "its target is off");
    assert_ne!(world.domains[&id(MACHINE + 2)].life, Life::Running, "its guest switched it off");
}

fn state_of(status: &Status, n: u64) -> &str {
    match observed(status, machine_key(n)).and_then(|object| object.detail.as_ref()) {
        Some(Detail::Machine(detail)) => &detail.state,
        _ => "",
    }
}

#[tokio::test(start_paused = true)]
async fn verbs_are_done_once_even_across_restarts() {
    let state = tempfile::tempdir().unwrap();
    let sim = Sim::new(SimConfig::default());
    let first = node(&sim, Some(&state));
    let born = change(machine(MACHINE, &[], &[]), |machine| machine.reboots = 4);
    first.deliver(full(1, vec![born.clone()])).await.unwrap();
    settled(&first, Phase::Ready).await;
    assert_eq!(sim.reboots(id(MACHINE)), 0, "what was asked before it came here is done");

    let asked = change(born, |machine| machine.reboots = 5);
    first.deliver(partial(2, vec![asked.clone()])).await.unwrap();
    let generation = asked.generation;
    let done = |status: &Status| {
        observed(status, machine_key(0))
            .is_some_and(|machine| machine.generation == generation && machine.phase == Phase::Ready)
    };
    first.wait_until(done).await;
    assert_eq!(sim.reboots(id(MACHINE)), 1);
    // A kill right after it was told: nothing is flushed, nothing is ended gently.
    kill(first).await;

    let second = node(&sim, Some(&state));
    settled(&second, Phase::Ready).await;
    second.deliver(full(2, vec![asked])).await.unwrap();
    sleep(Duration::from_secs(1_000)).await;
    settled(&second, Phase::Ready).await;
    assert_eq!(sim.reboots(id(MACHINE)), 1);
    assert_eq!(sim.world().domains[&id(MACHINE)].starts, 1);
}

#[tokio::test(start_paused = true)]
async fn older_and_baseless_slices_are_refused() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    let lineage = id(fixture::LINEAGE);
    assert_eq!(
        node.deliver(partial(3, vec![pool(POOL)])).await,
        Err(DeliverError::Refused(Refused { lineage, revision: 3, held: 0 })),
        "there is nothing that it completes"
    );
    node.deliver(full(5, vec![pool(POOL)])).await.unwrap();
    assert_eq!(
        node.deliver(full(4, absent(vec![pool(POOL)]))).await,
        Err(DeliverError::Refused(Refused { lineage, revision: 4, held: 5 }))
    );
    let mut other = partial(9, absent(vec![pool(POOL)]));
    other.lineage = id(8);
    assert!(node.deliver(other.clone()).await.is_err(), "another history needs a full slice");
    other.full = true;
    node.deliver(other).await.unwrap();
    settled(&node, Phase::Absent).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_full_slice_and_forgetting_destroy_nothing() {
    let sim = Sim::new(recorded());
    let node = node(&sim, None);
    node.deliver(full(1, cloud(1))).await.unwrap();
    settled(&node, Phase::Ready).await;
    let mut forget = partial(2, Vec::new());
    forget.forget = vec![machine_key(0)];
    node.deliver(forget).await.unwrap();
    assert_eq!(observed(&node.status(), machine_key(0)), None);
    node.deliver(full(3, Vec::new())).await.unwrap();
    let status = node.wait_until(|status| status.objects.is_empty()).await;
    assert!(status.objects.is_empty());
    sleep(Duration::from_secs(1_000)).await;
    let world = sim.world();
    assert!(world.log.iter().all(|call| call.verb == Verb::Ensure));
    assert_eq!(world.domains[&id(MACHINE)].life, Life::Running);
}

#[tokio::test(start_paused = true)]
async fn a_disk_taken_from_a_machine_goes_after_the_machine_let_go_of_it() {
    let sim = Sim::new(recorded());
    let node = node(&sim, None);
    let mut objects = cloud(1);
    objects.push(volume(VOLUME + 9, POOL, None));
    let with_two = change(machine(MACHINE, &[VOLUME, VOLUME + 9], &[SEGMENT]), |_| {});
    objects.retain(|object| object.key != with_two.key);
    objects.push(with_two.clone());
    node.deliver(full(1, objects)).await.unwrap();
    settled(&node, Phase::Ready).await;

    let one = change(with_two, |machine| machine.disks.truncate(1));
    let mut news = absent(vec![volume(VOLUME + 9, POOL, None)]);
    news.push(one.clone());
    node.deliver(partial(2, news)).await.unwrap();
    let second = key(ObjectKind::Volume, VOLUME + 9);
    // The simulated machine keeps its hardware until its next start.
    let needs_restart = |status: &Status| {
        status.idle
            && matches!(observed(status, machine_key(0)).and_then(|o| o.detail.as_ref()), Some(Detail::Machine(detail)) if detail.restart_needed)
    };
    let status = node.wait_until(needs_restart).await;
    let waiting = observed(&status, second).unwrap();
    insta::assert_snapshot!(waiting.message);
    let stopped = change(one, |machine| {
        machine.power.serial = 2;
        machine.power.target = PowerTarget::Off;
    });
    node.deliver(partial(3, vec![stopped])).await.unwrap();
    node.wait_until(|status| observed(status, second).is_some_and(|volume| volume.phase == Phase::Absent))
        .await;
    let world = sim.world();
    assert_eq!(world.violations, [""; 0]);
    assert_eq!(world.volumes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_a_pool_follow_what_is_made_in_it() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    node.deliver(full(1, vec![pool(POOL), volume(VOLUME, POOL, None)])).await.unwrap();
    let room = |status: &Status| match observed(status, key(ObjectKind::Pool, POOL))
        .and_then(|o| o.detail.as_ref())
    {
        Some(Detail::Pool { allocated, .. }) => *allocated,
        _ => 0,
    };
    timeout(Duration::from_secs(5), node.wait_until(|status| room(status) == 4 * GIB)).await.unwrap();
    node.deliver(partial(2, absent(vec![volume(VOLUME, POOL, None)]))).await.unwrap();
    timeout(Duration::from_secs(5), node.wait_until(|status| room(status) == 0)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_waits_is_still_looked_at() {
    let state = tempfile::tempdir().unwrap();
    let sim = Sim::new(SimConfig::default());
    let first = node(&sim, Some(&state));
    first.deliver(full(1, cloud(1))).await.unwrap();
    settled(&first, Phase::Ready).await;
    kill(first).await;
    sim.fail_object(key(ObjectKind::Pool, POOL));
    let second = node(&sim, Some(&state));
    let status =
        timeout(Duration::from_secs(1), second.wait_until(|status| state_of(status, 0) == "Running")).await;
    assert_eq!(observed(&status.unwrap(), machine_key(0)).unwrap().phase, Phase::Working);
    sim.guest_off(id(MACHINE));
    let off = second.wait_until(|status| state_of(status, 0) == "Shutoff");
    timeout(Duration::from_secs(1), off).await.unwrap();
    sim.heal();
    settled(&second, Phase::Ready).await;
    assert_eq!(sim.world().domains[&id(MACHINE)].starts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_machine_can_be_stopped_while_its_storage_fails() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    node.deliver(full(1, cloud(1))).await.unwrap();
    settled(&node, Phase::Ready).await;
    sim.fail_object(key(ObjectKind::Pool, POOL));
    sim.fail_object(key(ObjectKind::Volume, VOLUME));
    sleep(Duration::from_mins(10)).await;
    let off = change(machine(MACHINE, &[VOLUME], &[SEGMENT]), |machine| {
        machine.power.serial = 2;
        machine.power.target = PowerTarget::Off;
    });
    node.deliver(partial(2, vec![off])).await.unwrap();
    timeout(Duration::from_secs(1), node.wait_until(|status| state_of(status, 0) == "Shutoff"))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_work_on_machines_end_and_cuts_fetches_off() {
    let state = tempfile::tempdir().unwrap();
    let latency =
        Latency { machine: Duration::from_secs(5), image: Duration::from_hours(1), ..Latency::default() };
    let sim = Sim::new(SimConfig { latency, ..SimConfig::default() });
    let first = node(&sim, Some(&state));
    let object = machine(MACHINE, &[], &[]);
    first.deliver(full(1, vec![object.clone()])).await.unwrap();
    settled(&first, Phase::Ready).await;
    let asked = change(object, |machine| machine.reboots = 1);
    first.deliver(partial(2, vec![asked, fixture::image(IMAGE, POOL), pool(POOL)])).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    timeout(Duration::from_secs(6), first.stop()).await.unwrap();
    assert_eq!(sim.reboots(id(MACHINE)), 1);
    assert!(sim.world().images.is_empty());
    let second = node(&sim, Some(&state));
    let done = second.wait_until(|status| {
        observed(status, machine_key(0)).is_some_and(|machine| machine.phase == Phase::Ready)
    });
    done.await;
    assert_eq!(sim.reboots(id(MACHINE)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_purge_removes_what_the_ledger_tells_of_and_goes_on_where_it_failed() {
    let state = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::new(id(1), Secret::new("key".to_owned()), "http://127.0.0.1:9");
    config.state = state.path().to_owned();
    let sim = Sim::new(SimConfig::default());
    let node = Node::start(&config, sim.host()).unwrap();
    node.deliver(full(1, cloud(2))).await.unwrap();
    settled(&node, Phase::Ready).await;
    assert!(matches!(purge(&config, &sim.host()).await, Err(PurgeError::Ledger(_))), "the node still runs");
    kill(node).await;
    sim.fail_object(key(ObjectKind::Volume, VOLUME));
    let error = purge(&config, &sim.host()).await.unwrap_err();
    assert!(error.to_string().contains("volume/"), "{error}");
    sim.heal();
    purge(&config, &sim.host()).await.unwrap();
    assert_eq!((sim.world().summary(), sim.world().violations), (String::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn host_calls_are_bounded_and_slow_images_hold_nobody_up() {
    let latency =
        Latency { image: Duration::from_mins(10), volume: Duration::from_secs(1), ..Latency::default() };
    let sim = Sim::new(SimConfig { latency, ..SimConfig::default() });
    let node = node(&sim, None);
    let mut objects = vec![pool(POOL)];
    objects.extend((0..10).map(|n| fixture::image(IMAGE + n, POOL)));
    objects.extend((0..50).map(|n| volume(VOLUME + n, POOL, None)));
    node.deliver(full(1, objects)).await.unwrap();
    let volumes = |status: &Status| {
        status.objects.iter().filter(|o| o.key.kind == ObjectKind::Volume).all(|o| o.phase == Phase::Ready)
    };
    timeout(Duration::from_secs(20), node.wait_until(|status| volumes(status))).await.unwrap();
    assert_eq!(sim.world().most_at_once, 8);
    let fetching = node.wait_until(|status| {
        status.objects.iter().any(|object| matches!(object.detail, Some(Detail::Image { fetched: 0, .. })))
    });
    timeout(Duration::from_secs(5), fetching).await.unwrap();
    settled(&node, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_ever_more_slowly_until_the_specification_changes() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    sim.fail_object(key(ObjectKind::Pool, POOL));
    node.deliver(full(1, vec![pool(POOL)])).await.unwrap();
    sleep(Duration::from_mins(1)).await;
    let minute = sim.world().calls;
    assert!((5..=13).contains(&minute), "{minute}");
    sleep(Duration::from_hours(1)).await;
    let hour = sim.world().calls - minute;
    assert!((10..=36).contains(&hour), "{hour}");
    sim.heal();
    let mut changed = pool(POOL);
    changed.generation = 2;
    if let State::Present(Specification::Pool(pool)) = &mut changed.state {
        pool.name.push('x');
    }
    node.deliver(partial(2, vec![changed])).await.unwrap();
    timeout(Duration::from_millis(100), settled(&node, Phase::Ready)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_dies_at_each_start_is_started_with_growing_delays() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    node.deliver(full(1, vec![machine(MACHINE, &[], &[])])).await.unwrap();
    settled(&node, Phase::Ready).await;
    let starts = || sim.look(|world| world.domains[&id(MACHINE)].starts);
    for _ in 0..6_000 {
        if sim.look(|world| world.domains[&id(MACHINE)].life == Life::Running) {
            sim.crash(id(MACHINE));
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!((3..=12).contains(&starts()), "{}", starts());
    settled(&node, Phase::Ready).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(sim.world().domains[&id(MACHINE)].life, Life::Running);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_switches_itself_off_is_told_and_stays_off() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    node.deliver(full(1, vec![machine(MACHINE, &[], &[])])).await.unwrap();
    settled(&node, Phase::Ready).await;
    sim.guest_off(id(MACHINE));
    timeout(Duration::from_secs(1), node.wait_until(|status| state_of(status, 0) == "Shutoff"))
        .await
        .unwrap();
    sleep(Duration::from_secs(2_000)).await;
    assert_eq!(sim.world().domains[&id(MACHINE)].starts, 1);
    let again = change(machine(MACHINE, &[], &[]), |machine| machine.power.serial = 2);
    node.deliver(partial(2, vec![again])).await.unwrap();
    node.wait_until(|status| state_of(status, 0) == "Running").await;
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_it_is_worked_on_is_worked_on_again() {
    let latency = Latency { machine: Duration::from_secs(5), ..Latency::default() };
    let sim = Sim::new(SimConfig { latency, ..SimConfig::default() });
    let node = node(&sim, None);
    let mut object = machine(MACHINE, &[], &[]);
    node.deliver(full(1, vec![object.clone()])).await.unwrap();
    for revision in 2..6 {
        sleep(Duration::from_secs(1)).await;
        object = change(object, |machine| machine.vcpus += 1);
        node.deliver(partial(revision, vec![object.clone()])).await.unwrap();
        let told = node.status();
        let told = observed(&told, machine_key(0)).unwrap();
        assert_eq!(told.phase, Phase::Working, "an outdated result is not told");
    }
    let status = settled(&node, Phase::Ready).await;
    assert_eq!(observed(&status, machine_key(0)).unwrap().generation, object.generation);
    assert_eq!(sim.world().domains[&id(MACHINE)].hardware.vcpus, 6);
}

#[tokio::test(start_paused = true)]
async fn what_vanished_from_the_host_is_made_again_at_the_next_look() {
    let sim = Sim::new(SimConfig::default());
    let node = node(&sim, None);
    node.deliver(full(1, cloud(1))).await.unwrap();
    settled(&node, Phase::Ready).await;
    let host = sim.host();
    let spec = segment(SEGMENT + 5);
    let Specification::Segment(spec) = spec.state.specification().clone() else { unreachable!() };
    node.deliver(partial(2, vec![segment(SEGMENT + 5)])).await.unwrap();
    settled(&node, Phase::Ready).await;
    host.network.remove_segment(id(SEGMENT + 5), &spec).await.unwrap();
    sleep(Duration::from_secs(400)).await;
    assert!(sim.world().segments.contains_key(&id(SEGMENT + 5)));
}
