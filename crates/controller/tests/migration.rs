//! Moves of machines between simulated hosts, from the API down to what exists on each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use freehold_controller::ControllerConfig;
use freehold_kinds::compute::Compute;
use freehold_kinds::instance::Instance;
use freehold_testkit::{Cluster, Medium, Site};
use freehold_types::Id;
use freehold_types::size::GIB;
use serde_json::{Value, json};

async fn create(cluster: &Cluster, site: &Site, name: &str) -> Id {
    let path = format!("/project/{}/zone/{}/kompute", site.red.project, site.zone);
    let body = json!({ "name": name, "memory": GIB, "vcpus": 1, "disk": 10 * GIB });
    let answer = site.red.member.client(cluster).api("POST", &path).json(&body).wait(60).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let compute = answer.id();
    cluster.snapshot().get::<Compute>(compute).expect("it is there").spec.instance
}

/// The hypervisor that a machine is on.
fn host_of(cluster: &Cluster, machine: Id) -> Id {
    cluster.snapshot().get::<Instance>(machine).expect("it is there").spec.hypervisor
}

/// The names of the hosts on which something of a machine exists.
fn places(cluster: &Cluster, machine: Id) -> Vec<String> {
    let hosts = cluster.machines.iter().filter(|(_, host)| host.sim.world().domains.contains_key(&machine));
    hosts.map(|(name, _)| name.clone()).collect()
}

async fn migrate(cluster: &Cluster, machine: Id, body: Value) -> Value {
    let operator = cluster.operator();
    let plan = operator.post(&format!("/instance/{machine}/kmotion/plan"), &body).await.expect(201);
    let path = format!("/instance/{machine}/kmotion/commit");
    operator.api("PATCH", &path).json(&json!({ "plan": plan["id"] })).wait(60).send().await.expect(200);
    plan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_moves_and_a_waiting_client_sees_it_there() {
    let mut cluster = Cluster::start().await;
    let site = cluster.seed(2).await;
    let machine = create(&cluster, &site, "web").await;
    let (before, place) = (host_of(&cluster, machine), places(&cluster, machine));
    let plan = migrate(&cluster, machine, json!({})).await;
    assert_eq!(plan["source"], json!(before));
    assert_eq!(json!(host_of(&cluster, machine)), plan["target"]);
    let status = cluster.operator().get(&format!("/instance/{machine}/kmotion")).await.ok();
    assert_eq!((&status["state"], &status["target"]), (&json!("done"), &plan["target"]));
    cluster.settle().await;
    let after = places(&cluster, machine);
    assert!(after.len() == 1 && after != place, "{after:?}");
    for host in cluster.machines.values() {
        let world = host.sim.world();
        assert!(world.violations.is_empty(), "{:?}", world.violations);
        assert_eq!(world.volumes.len(), world.domains.len(), "{}", world.summary());
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evacuation_goes_on_after_a_restart_of_the_controller() {
    let mut cluster = Cluster::with(Medium::sqlite(), ControllerConfig::default()).await;
    let site = cluster.seed(3).await;
    let mut machines = Vec::new();
    for name in ["ash", "birch", "cedar", "elm", "fir", "hazel", "lime", "oak", "yew"] {
        machines.push(create(&cluster, &site, name).await);
    }
    let host = host_of(&cluster, machines[0]);
    let here = machines.iter().filter(|machine| host_of(&cluster, **machine) == host).count();
    assert!(here >= 2, "{here} machines are on the host");
    let operator = cluster.operator();
    let outlook = operator.get(&format!("/kaktus/{host}/evacuation")).await.ok();
    assert_eq!((outlook["moves"].as_array().unwrap().len(), &outlook["stuck"]), (here, &json!([])));
    operator.patch(&format!("/kaktus/{host}/evacuation")).await.ok();
    cluster.stop_controller().await;
    cluster.start_controller().await;
    cluster
        .until("the host is empty", |snapshot| {
            let on = snapshot.all::<Instance>().filter(|instance| instance.spec.hypervisor == host);
            on.count() == 0 && snapshot.all::<Instance>().all(|instance| instance.spec.moving.is_none())
        })
        .await;
    let outlook = cluster.operator().get(&format!("/kaktus/{host}/evacuation")).await.ok();
    assert_eq!((&outlook["active"], &outlook["moves"]), (&json!(false), &json!([])));
    cluster.settle().await;
    for machine in &machines {
        assert_eq!(places(&cluster, *machine).len(), 1);
        let state = cluster.operator().get(&format!("/instance/{machine}/state")).await.ok();
        assert_eq!(state["state"], "Running");
    }
    cluster.stop().await;
}
