//! IPsec between two gateways: the shop's, and that of an office with a network of its own behind it.

use std::time::{Duration, Instant};

use freehold_node::host::services::NetworkServices;
use freehold_node::host::{ServicePlan, Services};
use freehold_types::agent::Segment;
use freehold_types::net::Mac;
use freehold_types::service::{
    Firewall, Gateway, GatewayDetail, Pair, Port, Proposal, PublicAddress, Tunnel,
};
use freehold_types::wire::Protocol::Tcp;
use freehold_types::wire::{DpdAction, EncryptionAlgorithm, FirewallPolicy, IntegrityAlgorithm, StartAction};
use freehold_types::{Id, Secret};

use crate::namespace::Namespace;
use crate::site::{
    self, GATEWAY, PUBLIC, SPARE, Server, Site, State, ask, attach, gateway, opening, segment,
};

const OFFICE: Id = Id::from_u64(0x79);
const OFFICE_NETWORK: Id = Id::from_u64(4);

/// A machine in the office, behind the office's own gateway.
struct Office {
    machine: Namespace,
    spec: Gateway,
}

impl Office {
    fn new(site: &Site, secret: &str) -> Self {
        site.host.ip("link add br-office type bridge forward_delay 0");
        site.host.ip("link set br-office up");
        let machine = Namespace::new();
        attach(&site.host, &machine, "vm-o", "br-office", "10.7.0.20/24");
        machine.ip("route add default via 10.7.0.2");
        let mut spec = gateway(7);
        spec.private = Port {
            segment: OFFICE_NETWORK,
            mac: Mac::new([0xda, 0x1e, 0x72, 0, 0, 1]),
            address: Some("10.7.0.10/24".parse().unwrap()),
        };
        spec.pairs = vec![pair(9, 150, "10.7.0.2/24", "192.0.2.20/24")];
        spec.tunnels = vec![Tunnel {
            start_action: StartAction::None,
            local: "192.0.2.20".parse().unwrap(),
            remote: "192.0.2.10".parse().unwrap(),
            local_subnet: "10.7.0.0/24".parse().unwrap(),
            remote_subnet: "10.1.0.0/24".parse().unwrap(),
            ..tunnel(secret)
        }];
        Self { machine, spec }
    }

    async fn ensure(&self, services: &NetworkServices) -> GatewayDetail {
        let (private, public): (Segment, Segment) = (segment("br-office"), segment("br-public"));
        let segments = [(OFFICE_NETWORK, &private), (PUBLIC, &public)].into();
        let plan = ServicePlan { id: OFFICE, service: &self.spec, segments };
        services.ensure_gateway(&plan).await.unwrap()
    }

    async fn active(&self, services: &NetworkServices) {
        until("the office's gateway", async || (self.ensure(services).await.active == [9]).then_some(()))
            .await;
        // The tunnel's address is known to be here from the next call on.
        self.ensure(services).await;
    }
}

fn pair(vrid: u8, priority: u8, private: &str, public: &str) -> Pair {
    let (address, router) = (public.parse().unwrap(), "192.0.2.1".parse().unwrap());
    let public = Some(PublicAddress { address, gateway: router });
    Pair { vrid, priority, private: private.parse().unwrap(), public }
}

/// From the shop to the office.
pub(crate) fn tunnel(secret: &str) -> Tunnel {
    let phase = Proposal {
        lifetime: 3_600,
        group: 19,
        integrity: IntegrityAlgorithm::Sha256,
        encryption: EncryptionAlgorithm::Aes256,
    };
    Tunnel {
        id: Id::from_u64(0x90),
        name: "office".to_owned(),
        local: "192.0.2.10".parse().unwrap(),
        remote: "192.0.2.20".parse().unwrap(),
        local_subnet: "10.1.0.0/24".parse().unwrap(),
        remote_subnet: "10.7.0.0/24".parse().unwrap(),
        secret: Secret::new(secret.to_owned()),
        dpd_action: DpdAction::Restart,
        dpd_timeout: 40,
        start_action: StartAction::Start,
        rekey_time: 7_200,
        phase1: phase,
        phase2: phase,
        ingress: Vec::new(),
    }
}

pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(Duration::from_secs(20), what, look).await
}

pub(crate) async fn within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < patience, "{what} does not come about");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_joins_two_networks_and_never_speaks_in_the_clear() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut spec = gateway(0);
    spec.firewall = Firewall { egress_policy: FirewallPolicy::Accept, ..spec.firewall };
    let office = Office::new(&site, "a wrong one");
    office.active(&services).await;
    spec.tunnels = vec![tunnel("correct \"horse\"")];
    let _servers = [
        Server::new(&office.machine, Tcp, "10.7.0.20", 80),
        Server::new(&site.a, Tcp, "10.1.0.20", 80),
        Server::new(&site.a, Tcp, "10.1.0.20", 443),
    ];
    let reason = until("a reason", async || {
        let state = site::ensure(&services, &spec).await.tunnels.remove(0);
        assert!(!state.up);
        state.reason.contains("wrong pre-shared key").then_some(state.reason)
    })
    .await;
    println!("{reason}");
    // While it is down nothing leaves towards the world, which would answer in the office's name.
    site.world.ip("addr add 10.7.0.77/32 dev lo");
    site.world.ip("route add 10.1.0.0/24 via 192.0.2.10");
    let impostor = Server::new(&site.world, Tcp, "10.7.0.77", 80);
    assert_eq!(ask(&site.a, Tcp, "10.7.0.77", 80), None);
    std::mem::drop(impostor);

    let office = Office {
        spec: Gateway {
            tunnels: vec![Tunnel {
                secret: Secret::new("correct \"horse\"".to_owned()),
                ..office.spec.tunnels[0].clone()
            }],
            ..office.spec.clone()
        },
        machine: office.machine,
    };
    office.ensure(&services).await;
    let start = Instant::now();
    until("the tunnel", async || site::ensure(&services, &spec).await.tunnels[0].up.then_some(())).await;
    println!("the tunnel is up after {} ms", start.elapsed().as_millis());
    assert!(office.ensure(&services).await.tunnels[0].up);
    // Both ends are seen as they are, without translation.
    assert_eq!(ask(&site.a, Tcp, "10.7.0.20", 80).as_deref(), Some("10.1.0.20"));
    assert_eq!(ask(&office.machine, Tcp, "10.1.0.20", 80).as_deref(), Some("10.7.0.20"));
    // What may come in is narrowed without a break.
    spec.tunnels[0].ingress = vec![opening("10.7.0.0/24", Tcp, "443")];
    assert!(site::ensure(&services, &spec).await.tunnels[0].up);
    assert_eq!(ask(&office.machine, Tcp, "10.1.0.20", 80), None);
    assert_eq!(ask(&office.machine, Tcp, "10.1.0.20", 443).as_deref(), Some("10.7.0.20"));
    // Without the tunnel there is no way, and no daemon.
    spec.tunnels.clear();
    site::ensure(&services, &spec).await;
    assert_eq!(ask(&office.machine, Tcp, "10.1.0.20", 443), None);
    assert!(!site::processes(&state).iter().any(|(name, _)| name.contains("charon")));
    services.remove_gateway(GATEWAY).await.unwrap();
    services.remove_gateway(OFFICE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_follows_its_address_to_another_instance() {
    let (site, one, two) = (Site::new(), State::new(), State::new());
    let (first, second) = (site.services(&one), site.services(&two));
    let (mut spec, mut spare) = (gateway(0), gateway(1));
    spec.peers = vec!["10.1.0.11".parse().unwrap()];
    spare.peers = vec!["10.1.0.10".parse().unwrap()];
    // Each instance holds the addresses of its own zone; the tunnel is at the second one's.
    spec.pairs.push(pair(8, 100, "10.1.0.3/24", "192.0.2.11/24"));
    spare.pairs.push(pair(8, 150, "10.1.0.3/24", "192.0.2.11/24"));
    for gateway in [&mut spec, &mut spare] {
        gateway.tunnels = vec![Tunnel { local: "192.0.2.11".parse().unwrap(), ..tunnel("secret") }];
    }
    let mut office = Office::new(&site, "secret");
    office.spec.tunnels[0].remote = "192.0.2.11".parse().unwrap();
    office.active(&first).await;
    let _servers =
        [Server::new(&office.machine, Tcp, "10.7.0.20", 80), Server::new(&site.a, Tcp, "10.1.0.20", 80)];
    let mut told = second.events();
    until("the tunnel", async || {
        let here = site::ensure_as(&first, GATEWAY, &spec).await;
        let there = site::ensure_as(&second, SPARE, &spare).await;
        (here.active == [7] && there.active == [8] && there.tunnels[0].up).then_some(())
    })
    .await;
    let state = site::ensure_as(&first, GATEWAY, &spec).await.tunnels.remove(0);
    assert!(!state.up && state.reason.contains("another instance"), "{state:?}");
    // A machine of the first zone gets there by way of the second instance.
    assert_eq!(ask(&site.a, Tcp, "10.7.0.20", 80).as_deref(), Some("10.1.0.20"));
    assert_eq!(ask(&office.machine, Tcp, "10.1.0.20", 80).as_deref(), Some("10.7.0.20"));
    // Both instances told of the addresses that came to them.
    let event = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
    assert_eq!(event.expect("an address came").expect("a key").id, SPARE);

    // The second dies; the first takes the address, and the tunnel with it.
    let mut told = first.events();
    while told.try_recv().is_ok() {}
    site.cut(SPARE);
    let start = Instant::now();
    until("the event", async || told.try_recv().ok().filter(|key| key.id == GATEWAY)).await;
    println!("the first instance knows of its address after {} ms", start.elapsed().as_millis());
    until("the tunnel", async || {
        let detail = site::ensure_as(&first, GATEWAY, &spec).await;
        (detail.active == [7, 8] && detail.tunnels[0].up).then_some(())
    })
    .await;
    println!("the tunnel was away for {} ms", start.elapsed().as_millis());
    assert_eq!(ask(&site.a, Tcp, "10.7.0.20", 80).as_deref(), Some("10.1.0.20"));
}
