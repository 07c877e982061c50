//! What becomes of virtual addresses when daemons die and their host lives on.

use std::time::{Duration, Instant};

use freehold_types::wire::Protocol::Udp;

use crate::site::{self, GATEWAY, SPARE, Server, Site, State, active, ask, gateway};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_whole_leaves_no_second_holder() {
    let (site, one, two) = (Site::new(), State::new(), State::new());
    let (first, second) = (site.services(&one), site.services(&two));
    let (mut spec, mut spare) = (gateway(0), gateway(1));
    spec.peers = vec!["10.1.0.11".parse().unwrap()];
    spare.peers = vec!["10.1.0.10".parse().unwrap()];
    active(&first, &spec).await;
    site::ensure_as(&second, SPARE, &spare).await;
    let _world = Server::new(&site.world, Udp, "198.51.100.1", 53);
    assert_eq!(ask(&site.a, Udp, "198.51.100.1", 53).as_deref(), Some("192.0.2.10"));

    // All of it at once, so that nobody takes its addresses away.
    let killed = site::kill_all(&one, "keepalived");
    assert!(killed >= 2, "a daemon and its child: {killed}");
    let start = Instant::now();
    while site::ensure_as(&second, SPARE, &spare).await.active != [7] {
        assert!(start.elapsed() < Duration::from_secs(10), "nobody takes over");
    }
    while !site::ask_quickly(&site.a, "198.51.100.1", 53) {
        assert!(start.elapsed() < Duration::from_secs(10), "machines do not learn of it");
    }
    println!("another instance serves {} ms after the daemon was killed", start.elapsed().as_millis());

    // It comes back as the spare, and lets go of what it still had.
    spec.pairs[0].priority = 50;
    let start = Instant::now();
    while site::ensure_as(&first, GATEWAY, &spec).await.active != [] as [u8; 0] {
        assert!(start.elapsed() < Duration::from_secs(10), "two instances hold the address");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(site::ensure_as(&second, SPARE, &spare).await.active, [7]);
    assert_eq!(ask(&site.a, Udp, "198.51.100.1", 53).as_deref(), Some("192.0.2.10"));
}
