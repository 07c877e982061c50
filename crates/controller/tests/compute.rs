//! The life of computes on simulated hosts, from the API down to what exists on a host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use freehold_kinds::compute::Compute;
use freehold_kinds::instance::Instance;
use freehold_kinds::volume::Volume;
use freehold_store::Store;
use freehold_testkit::node::host::sim::{Domain, Life};
use freehold_testkit::{Client, Cluster, Medium, Site};
use freehold_types::Id;
use freehold_types::size::GIB;
use serde_json::{Value, json};

fn body(name: &str) -> Value {
    json!({ "name": name, "memory": GIB, "vcpus": 1, "disk": 10 * GIB, "data_disk": GIB })
}

async fn create(client: &Client, site: &Site, name: &str) -> Id {
    let path = format!("/project/{}/zone/{}/kompute?public=true", site.red.project, site.zone);
    let answer = client.api("POST", &path).json(&body(name)).wait(60).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.id()
}

fn machine_of(store: &Store, compute: Id) -> Id {
    store.snapshot().get::<Compute>(compute).expect("the compute is there").spec.instance
}

/// The domain of a machine, on whichever host it is.
fn domain(cluster: &Cluster, machine: Id) -> Domain {
    let mut found = cluster.machines.values().filter_map(|host| host.sim.world().domains.remove(&machine));
    let domain = found.next().expect("the domain is there");
    assert!(found.next().is_none(), "it is on one host only");
    domain
}

fn assert_empty(cluster: &Cluster) {
    for host in cluster.machines.values() {
        let world = host.sim.world();
        assert!(
            world.volumes.is_empty() && world.domains.is_empty() && world.segments.is_empty(),
            "{}",
            world.summary()
        );
        assert!(world.violations.is_empty(), "{:?}", world.violations);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compute_lives_and_leaves_nothing_behind() {
    let mut cluster = Cluster::with(Medium::sqlite(), freehold_controller::ControllerConfig::default()).await;
    let site = cluster.seed(2).await;
    let client = site.red.member.client(&cluster);
    let compute = create(&client, &site, "web").await;
    let path = format!("/kompute/{compute}");
    let machine = machine_of(cluster.controller().store(), compute);
    assert_eq!(client.get(&format!("{path}/state")).await.ok()["state"], "Running");
    assert_eq!(domain(&cluster, machine).life, Life::Running);
    assert_eq!(domain(&cluster, machine).hardware.disks.len(), 2);
    assert_eq!(domain(&cluster, machine).hardware.bridges.len(), 2);

    let act = async |action: &str| {
        client.api("PATCH", &format!("{path}/{action}")).wait(60).send().await.expect(200);
        cluster.settle().await;
        domain(&cluster, machine)
    };
    assert_eq!(act("reboot").await.reboots, 1);
    assert_eq!(act("reboot").await.reboots, 2);
    assert_eq!(act("reset").await.resets, 1);
    assert!(matches!(act("stop").await.life, Life::Off { .. }));
    assert_eq!(client.get(&format!("{path}/state")).await.ok()["state"], "Shutoff");
    let started = act("start").await;
    assert_eq!((started.life, started.starts, started.stops, started.reboots), (Life::Running, 2, 1, 2));

    let grown = client.api("PUT", &path).json(&json!({ "disk": 20 * GIB })).wait(60).send().await.ok();
    assert_eq!(grown["disk"], 20 * GIB);
    cluster.settle().await;
    let volume = cluster.snapshot().get::<Compute>(compute).expect("the compute is there").spec.system_volume;
    let sizes = cluster
        .machines
        .values()
        .filter_map(|host| host.sim.look(|world| Some(world.volumes.get(&volume)?.bytes)));
    assert_eq!(sizes.collect::<Vec<_>>(), [20 * GIB]);

    client.delete(&path).await.expect(200);
    client.get(&path).await.refused(404);
    let snapshot = cluster.settle().await;
    assert_eq!((snapshot.count::<Instance>(), snapshot.count::<Volume>()), (0, 0));
    assert_empty(&cluster);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_away_is_not_elected() {
    let mut cluster = Cluster::start().await;
    let site = cluster.seed(2).await;
    cluster.machine_down("n1").await;
    let client = site.red.member.client(&cluster);
    for number in 0..4 {
        create(&client, &site, &format!("web{number}")).await;
    }
    assert_eq!(cluster.named("n2").sim.look(|world| world.domains.len()), 4);
    cluster.machine_down("n2").await;
    let path = format!("/project/{}/zone/{}/kompute", site.red.project, site.zone);
    client.post(&path, &body("late")).await.refused(422);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_goes_on_when_the_host_is_back() {
    let mut cluster = Cluster::start().await;
    let site = cluster.seed(1).await;
    let client = site.red.member.client(&cluster);
    let compute = create(&client, &site, "web").await;
    cluster.machine_down("n1").await;
    let path = format!("/kompute/{compute}");
    client.api("DELETE", &path).wait(1).send().await.expect(202);
    // Asking again is no mistake, and begins nothing anew.
    client.api("DELETE", &path).wait(0).send().await.expect(202);
    client.get(&path).await.ok();
    cluster.machine_up("n1").await;
    cluster.settle().await;
    client.get(&path).await.refused(404);
    assert_empty(&cluster);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_made_twice_after_a_restart() {
    let mut cluster = Cluster::start().await;
    let site = cluster.seed(2).await;
    let client = site.red.member.client(&cluster);
    let mut machines = Vec::new();
    for number in 0..6 {
        let compute = create(&client, &site, &format!("web{number}")).await;
        machines.push(machine_of(cluster.controller().store(), compute));
        client.api("PATCH", &format!("/kompute/{compute}/reboot")).wait(60).send().await.expect(200);
    }
    cluster.settle().await;
    let before: Vec<Domain> = machines.iter().map(|machine| domain(&cluster, *machine)).collect();
    let worlds: Vec<String> = cluster.machines.values().map(|host| host.sim.world().summary()).collect();
    cluster.stop_controller().await;
    cluster.start_controller().await;
    for agent in cluster.machines.values().map(|host| host.agent).collect::<Vec<_>>() {
        cluster.presence(agent, true).await;
    }
    // A change reaches the hosts, so what they were told before has been done too.
    let late = create(&client, &site, "late").await;
    cluster.settle().await;
    let after: Vec<Domain> = machines.iter().map(|machine| domain(&cluster, *machine)).collect();
    assert_eq!(before, after);
    client.delete(&format!("/kompute/{late}")).await.expect(200);
    cluster.settle().await;
    assert_eq!(worlds, cluster.machines.values().map(|host| host.sim.world().summary()).collect::<Vec<_>>());
    cluster.stop().await;
}
