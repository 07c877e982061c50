//! Many computes at once: nothing is given twice, and no host gets more than it can carry.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use std::collections::BTreeSet;

use freehold_kinds::adapter::Adapter;
use freehold_kinds::hypervisor::Hypervisor;
use freehold_kinds::instance::Instance;
use freehold_testkit::Cluster;
use freehold_types::size::GIB;
use serde_json::json;
use tokio::task::JoinSet;

const ASKED: usize = 1_000;
const HOSTS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_computes_at_once() {
    let mut cluster = Cluster::start().await;
    let site = cluster.seed(HOSTS).await;
    let snapshot = cluster.snapshot();
    let capacity: u64 = snapshot
        .all::<Hypervisor>()
        .map(|host| host.spec.capacity(host.spec.facts(&snapshot).expect("it has told")).vcpus)
        .sum();
    let room = usize::try_from(capacity).expect("it fits").min(ASKED);
    let client = site.red.member.client(&cluster);
    let mut asking = JoinSet::new();
    for number in 0..ASKED {
        let (client, path) =
            (client.clone(), format!("/project/{}/zone/{}/kompute", site.red.project, site.zone));
        let body = json!({ "name": format!("web{number}"), "memory": GIB, "vcpus": 1, "disk": 3 * GIB });
        asking.spawn(async move { client.post(&path, &body).await.status });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), room);
    assert_eq!(answers.iter().filter(|status| **status == 422).count(), ASKED - room);

    let snapshot = cluster.settle().await;
    assert_eq!(snapshot.count::<Instance>(), room);
    let adapters: Vec<_> = snapshot.all::<Adapter>().map(|adapter| adapter.spec.clone()).collect();
    let macs: BTreeSet<String> = adapters.iter().map(|adapter| adapter.mac.to_string()).collect();
    let addresses: BTreeSet<_> =
        adapters.iter().flat_map(|a| a.addresses.iter().map(|ip| (a.subnet, *ip))).collect();
    assert_eq!((macs.len(), addresses.len()), (room, room));
    for host in snapshot.all::<Hypervisor>() {
        let limit = host.spec.capacity(host.spec.facts(&snapshot).expect("it has told"));
        let used = snapshot.usage(host.id());
        assert_eq!(used.exceeds(&limit), None, "{}: {used:?}", host.spec.name);
        let machine = cluster.named(&host.spec.name);
        assert_eq!(machine.sim.look(|world| world.domains.len() as u64), used.instances);
        assert!(machine.sim.look(|world| world.violations.is_empty()));
    }
    cluster.stop().await;
}
