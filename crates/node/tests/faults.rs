//! A node whose host calls fail, or that dies at them, on a simulated host with paused time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

mod fixture;
mod rig;

use std::time::Duration;

use fixture::{
    IMAGE, MACHINE, POOL, SEGMENT, VOLUME, absent, change, cloud, full, id, machine, partial, segment, volume,
};
use freehold_node::Node;
use freehold_node::host::sim::{Latency, Sim, SimConfig, When};
use freehold_types::agent::{Desired, ObjectKind, Specification, State};
use rig::{kill, node, ready_or_gone};
use tokio::time::sleep;

/// The story of the fault tests: make, change, remove some. Returns when the node holds it all.
async fn story(node: &Node) {
    let grown = {
        let mut grown = volume(VOLUME, POOL, Some(IMAGE));
        grown.generation = 2;
        if let State::Present(Specification::Volume(volume)) = &mut grown.state {
            volume.bytes *= 2;
        }
        grown
    };
    let rebooted = change(machine(MACHINE, &[VOLUME], &[SEGMENT]), |machine| machine.reboots = 1);
    let mut gone = absent(vec![machine(MACHINE + 1, &[VOLUME + 1], &[SEGMENT])]);
    gone.extend(absent(vec![volume(VOLUME + 1, POOL, Some(IMAGE))]));
    node.deliver(full(1, cloud(2))).await.unwrap();
    ready_or_gone(node).await;
    node.deliver(partial(2, vec![grown, rebooted, segment(SEGMENT + 1)])).await.unwrap();
    node.deliver(partial(3, gone)).await.unwrap();
    ready_or_gone(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_any_call_ends_in_the_same_state() {
    let calm = Sim::new(SimConfig::default());
    let undisturbed = node(&calm, None);
    story(&undisturbed).await;
    let expected = calm.world();
    assert_eq!(expected.violations, [""; 0]);
    assert!(expected.calls >= 12, "{}", expected.calls);
    for when in [When::Before, When::After] {
        for number in 1..=expected.calls + 2 {
            let sim = Sim::new(SimConfig::default());
            sim.fail_call(number, when);
            story(&node(&sim, None)).await;
            check(&sim, &expected.summary(), &format!("call {number} failed {when:?}"));
            assert_eq!(sim.reboots(id(MACHINE)), 1, "call {number} failed {when:?}");
        }
        for number in 2..=6 {
            let sim = Sim::new(SimConfig::default());
            sim.fail_every(number, when);
            story(&node(&sim, None)).await;
            check(&sim, &expected.summary(), &format!("each call {number} failed {when:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_call_ends_in_the_same_state() {
    let calm = Sim::new(SimConfig::default());
    story(&node(&calm, None)).await;
    let expected = calm.world();
    let latency = Duration::from_millis(10);
    let slow = Latency {
        pool: latency,
        image: latency,
        volume: latency,
        segment: latency,
        machine: latency,
        service: latency,
    };
    for number in 1..=expected.calls {
        let state = tempfile::tempdir().unwrap();
        let sim = Sim::new(SimConfig { latency: slow, ..SimConfig::default() });
        let first = node(&sim, Some(&state));
        {
            let told = story(&first);
            let reached = async {
                while sim.look(|world| world.calls < number) {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::select! { () = told => {}, () = reached => {} }
        }
        kill(first).await;
        let second = node(&sim, Some(&state));
        second.wait_until(|status| status.idle).await;
        // The controller of the story holds its last revision, and sends all of it.
        let held = second.status().held.map_or(0, |(_, revision)| revision);
        assert!(held <= 3);
        if held <= 1 {
            story(&second).await;
        } else {
            story_end(&second).await;
        }
        check(&sim, &expected.summary(), &format!("killed at call {number}"));
    }
}

/// The last slice of the story, in full.
async fn story_end(node: &Node) {
    let mut objects = cloud(1);
    objects.retain(|object| !matches!(object.key.kind, ObjectKind::Machine | ObjectKind::Volume));
    let mut grown: Desired = volume(VOLUME, POOL, Some(IMAGE));
    grown.generation = 2;
    if let State::Present(Specification::Volume(volume)) = &mut grown.state {
        volume.bytes *= 2;
    }
    objects.extend([grown, segment(SEGMENT + 1)]);
    objects.push(change(machine(MACHINE, &[VOLUME], &[SEGMENT]), |machine| machine.reboots = 1));
    objects.extend(absent(vec![machine(MACHINE + 1, &[VOLUME + 1], &[SEGMENT])]));
    objects.extend(absent(vec![volume(VOLUME + 1, POOL, Some(IMAGE))]));
    node.deliver(full(3, objects)).await.unwrap();
    ready_or_gone(node).await;
}

fn check(sim: &Sim, expected: &str, what: &str) {
    let world = sim.world();
    assert_eq!(world.violations, [""; 0], "{what}");
    assert_eq!(world.summary(), expected, "{what}");
    assert_eq!(world.domains[&id(MACHINE)].starts, 1, "{what}");
}
