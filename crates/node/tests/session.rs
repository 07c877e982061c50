//! A node against a controller's side of the protocol, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

mod fixture;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fixture::{
    LINEAGE, MACHINE, POOL, SEGMENT, VOLUME, absent, change, cloud, full, id, key, machine, partial, pool,
};
use freehold_node::host::sim::{Life, Sim, SimConfig};
use freehold_node::{Link, Node, NodeConfig, SimulatedNode, Status};
use freehold_types::agent::{
    self, Answer, ObjectKey, ObjectKind, Observation, PROTOCOL, Phase, Query, Slice, ToController, ToNode,
};
use freehold_types::wire::AgentType;
use freehold_types::{Id, Secret, Timestamp};
use futures::{SinkExt, StreamExt};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const KEY: &str = "a token of some length";
const PATIENCE: Duration = Duration::from_secs(20);

fn agent() -> Id {
    id(0xa)
}

/// The controller's end.
struct Controller {
    listener: TcpListener,
    address: SocketAddr,
}

impl Controller {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn node(&self, sim: &Sim) -> Node {
        let setup = SimulatedNode::new(agent(), Secret::new(KEY.to_owned()), self.url());
        Node::simulated(setup, sim.host()).unwrap()
    }

    async fn dialled(&self) -> Peer<TcpStream> {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        Peer { socket: tokio_tungstenite::accept_async(stream).await.unwrap() }
    }

    /// A session up to the first observation.
    async fn session(&self) -> (Peer<TcpStream>, Observation) {
        let mut peer = self.dialled().await;
        let first = peer.welcome().await;
        (peer, first)
    }
}

/// One connection of a node.
struct Peer<S> {
    socket: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    async fn say(&mut self, message: &ToNode) {
        self.socket.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
    }

    async fn give(&mut self, slice: Slice) {
        self.say(&ToNode::Slice(slice)).await;
    }

    /// The next message; nothing at the end of the connection.
    async fn hear(&mut self) -> Option<ToController> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the node says something")? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(other) => panic!("{other:?}"),
            }
        }
    }

    /// Challenges, and says whether the node knows the key.
    async fn challenge(&mut self) -> bool {
        let nonce = format!("{:032x}", rand::random::<u128>());
        self.say(&ToNode::Challenge { protocol: PROTOCOL, nonce: nonce.clone() }).await;
        let Some(ToController::Hello { protocol, agent: who, role, version, proof }) = self.hear().await
        else {
            panic!("no hello");
        };
        assert_eq!((protocol, who, role), (PROTOCOL, agent(), AgentType::Hypervisor));
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        let mut mac = Hmac::<Sha256>::new_from_slice(&Sha256::digest(KEY)).unwrap();
        mac.update(agent::proof_input(&nonce, who).as_bytes());
        format!("{:x}", mac.finalize().into_bytes()) == proof
    }

    async fn welcome(&mut self) -> Observation {
        assert!(self.challenge().await);
        self.say(&ToNode::Welcome).await;
        let Some(ToController::Facts(facts)) = self.hear().await else { panic!("no facts") };
        assert_eq!(facts.hostname, "simulated");
        assert_eq!(facts.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(facts.address, Some([127, 0, 0, 1].into()));
        let Some(ToController::Observed(observation)) = self.hear().await else { panic!("no observation") };
        assert!(observation.full);
        observation
    }

    /// Collects observations until one ends with what is asked; returns how many messages it took.
    async fn until(&mut self, mut done: impl FnMut(&Observation) -> bool) -> usize {
        for count in 1.. {
            match self.hear().await {
                Some(ToController::Observed(observation)) => {
                    assert!(!observation.full);
                    if done(&observation) {
                        return count;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        unreachable!()
    }

    async fn until_phase(&mut self, key: ObjectKey, phase: Phase) -> usize {
        self.until(|seen| seen.objects.iter().any(|object| object.key == key && object.phase == phase)).await
    }
}

async fn link(node: &Node, is: impl Fn(&Link) -> bool) -> Status {
    timeout(PATIENCE, node.wait_until(|status| is(&status.link))).await.expect("the link gets there")
}

#[tokio::test]
async fn a_session_tells_facts_everything_and_then_what_changes() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let (mut peer, first) = controller.session().await;
    assert_eq!((first.held, first.objects.len()), (None, 0));
    link(&node, |link| matches!(link, Link::Connected { .. })).await;

    peer.give(full(1, cloud(40))).await;
    let mut ready = std::collections::BTreeSet::new();
    let mut told = 0;
    let messages = peer
        .until(|seen| {
            assert!(seen.held.is_none_or(|held| held == (id(LINEAGE), 1)));
            told += seen.objects.len();
            ready.extend(seen.objects.iter().filter(|o| o.phase == Phase::Ready).map(|object| object.key));
            ready.len() == 83
        })
        .await;
    assert!(messages < 40, "{messages} messages for {told} changes");

    // The same again is acknowledged, and nothing is told of objects.
    peer.give(full(2, cloud(40))).await;
    let acknowledged = peer.until(|seen| {
        assert_eq!(seen.objects, []);
        seen.held == Some((id(LINEAGE), 2))
    });
    assert_eq!(acknowledged.await, 1);
    sim.guest_off(id(MACHINE));
    peer.until_phase(key(ObjectKind::Machine, MACHINE), Phase::Ready).await;
    node.stop().await;
}

#[tokio::test]
async fn a_node_with_another_key_is_refused_and_comes_back_slowly() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let setup = SimulatedNode::new(agent(), Secret::new("wrong".to_owned()), controller.url());
    let node = Node::simulated(setup, sim.host()).unwrap();
    let mut peer = controller.dialled().await;
    assert!(!peer.challenge().await);
    peer.say(&ToNode::Refused { reason: "unknown agent or key".to_owned() }).await;
    let status = link(&node, |link| matches!(link, Link::Broken { .. })).await;
    let Link::Broken { reason, next } = status.link else { panic!("{:?}", status.link) };
    assert!(reason.contains("unknown agent or key"), "{reason}");
    assert!(!reason.contains("wrong"), "{reason}");
    assert!(next.since(Timestamp::now()) > Duration::from_secs(10), "it does not hammer");
    // Nothing else is said to a controller that refused.
    assert_eq!(peer.hear().await, None);
    node.stop().await;
}

#[tokio::test]
async fn another_protocol_is_told_in_words() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let mut peer = controller.dialled().await;
    peer.say(&ToNode::Challenge { protocol: PROTOCOL + 1, nonce: "n".to_owned() }).await;
    let status = link(&node, |link| matches!(link, Link::Broken { .. })).await;
    assert!(format!("{:?}", status.link).contains("bring both to one version"), "{:?}", status.link);
    node.stop().await;
}

#[tokio::test]
async fn a_silent_controller_is_left_and_dialled_again() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let (mut silent, _) = controller.session().await;
    link(&node, |link| matches!(link, Link::Connected { .. })).await;
    // The sockets are real and quiet, so time may run.
    tokio::time::pause();
    let status = node.wait_until(|status| matches!(status.link, Link::Broken { .. })).await;
    tokio::time::resume();
    assert!(format!("{:?}", status.link).contains("nothing was heard"), "{:?}", status.link);
    // Reading answers pings, into a connection that is gone: one is enough to see.
    assert!(matches!(silent.socket.next().await, Some(Ok(Message::Ping(_)))));
    let (_peer, _) = controller.session().await;
    link(&node, |link| matches!(link, Link::Connected { .. })).await;
    node.stop().await;
}

#[tokio::test]
async fn a_quiet_session_stays_open() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let (mut peer, _) = controller.session().await;
    link(&node, |link| matches!(link, Link::Connected { .. })).await;
    tokio::time::pause();
    let mut pings = 0;
    while pings < 20 {
        match peer.socket.next().await {
            Some(Ok(frame)) => pings += usize::from(frame.is_ping()),
            other => panic!("{other:?} after {pings} pings"),
        }
    }
    tokio::time::resume();
    assert!(matches!(node.status().link, Link::Connected { .. }));
    node.stop().await;
}

#[tokio::test]
async fn after_a_break_everything_is_told_again() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let (mut peer, _) = controller.session().await;
    peer.give(full(3, cloud(2))).await;
    peer.until_phase(key(ObjectKind::Machine, MACHINE), Phase::Ready).await;
    drop(peer);
    sim.guest_off(id(MACHINE));
    timeout(PATIENCE, node.wait_until(|status| status.idle && format!("{status:?}").contains("Shutoff")))
        .await
        .unwrap();

    let (mut peer, all) = controller.session().await;
    assert_eq!(all.held, Some((id(LINEAGE), 3)));
    assert_eq!(all.objects.len(), 7);
    assert!(format!("{all:?}").contains("Shutoff"));

    // What is removed is told until the controller forgets it.
    peer.give(partial(4, absent(vec![machine(MACHINE, &[VOLUME], &[SEGMENT])]))).await;
    peer.until_phase(key(ObjectKind::Machine, MACHINE), Phase::Absent).await;
    peer.give(Slice { forget: vec![key(ObjectKind::Machine, MACHINE)], ..partial(5, Vec::new()) }).await;
    peer.until(|seen| seen.held == Some((id(LINEAGE), 5))).await;
    drop(peer);
    let (_peer, all) = controller.session().await;
    assert_eq!(all.objects.len(), 6);
    node.stop().await;
}

#[tokio::test]
async fn an_old_slice_is_answered_with_a_refusal() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let (mut peer, _) = controller.session().await;
    peer.give(full(8, vec![pool(POOL)])).await;
    peer.until_phase(key(ObjectKind::Pool, POOL), Phase::Ready).await;
    peer.give(full(7, absent(vec![pool(POOL)]))).await;
    let refused = ToController::Refused { lineage: id(LINEAGE), revision: 7, held: 8 };
    assert_eq!(peer.hear().await, Some(refused));
    assert_eq!(sim.world().pools.len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn questions_are_answered() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let (mut peer, _) = controller.session().await;
    peer.give(full(1, vec![machine(MACHINE, &[], &[])])).await;
    peer.until_phase(key(ObjectKind::Machine, MACHINE), Phase::Ready).await;
    peer.say(&ToNode::Query { request: 4, query: Query::Console { machine: id(MACHINE) } }).await;
    let url = "vnc://127.0.0.1:5900".to_owned();
    assert_eq!(peer.hear().await, Some(ToController::Answer { request: 4, answer: Answer::Console { url } }));
    peer.say(&ToNode::Query { request: 5, query: Query::Console { machine: id(99) } }).await;
    let Some(ToController::Answer { request: 5, answer: Answer::Failed { reason } }) = peer.hear().await
    else {
        panic!("no answer");
    };
    assert!(reason.contains("does not run"), "{reason}");
    node.stop().await;
}

#[tokio::test]
async fn garbage_ends_the_session_and_not_the_node() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    for garbage in [Message::text("{\"type\":\"nonsense\"}"), Message::binary(vec![0, 1, 2])] {
        let (mut peer, _) = controller.session().await;
        peer.socket.send(garbage).await.unwrap();
        assert_eq!(peer.hear().await, None);
    }
    let (mut peer, _) = controller.session().await;
    peer.give(full(1, vec![pool(POOL)])).await;
    peer.until_phase(key(ObjectKind::Pool, POOL), Phase::Ready).await;
    node.stop().await;
}

#[tokio::test]
async fn stopping_closes_the_connection_politely() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let (mut peer, _) = controller.session().await;
    let stop = timeout(Duration::from_secs(5), node.stop());
    let (stopped, frame) = tokio::join!(stop, async {
        loop {
            match peer.socket.next().await {
                Some(Ok(Message::Close(_))) => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return false,
            }
        }
    });
    stopped.expect("it ends in time");
    assert!(frame, "a close frame, not a broken connection");
}

/// An authority and a server certificate for 127.0.0.1 signed by it; the authority is written to a file.
fn authority(directory: &std::path::Path) -> (PathBuf, tokio_rustls::TlsAcceptor) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let file = directory.join(format!("ca-{:x}.pem", rand::random::<u32>()));
    std::fs::write(&file, certificate.pem()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    (file, tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config)))
}

#[tokio::test]
async fn a_configured_node_checks_the_controllers_certificate_and_keeps_a_status_file() {
    let directory = tempfile::tempdir().unwrap();
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let (trusted, acceptor) = authority(directory.path());
    let (foreign, _) = authority(directory.path());
    let key_file = directory.path().join("key");
    std::fs::write(&key_file, format!("{KEY}\n")).unwrap();
    let mut config = NodeConfig::new(agent(), Secret::default(), format!("https://{}", controller.address));
    (config.key, config.key_file) = (None, Some(key_file));
    config.state = directory.path().join("state");
    let accept = async || {
        let (stream, _) = controller.listener.accept().await.unwrap();
        acceptor.accept(stream).await
    };

    config.ca_file = Some(foreign);
    let node = Node::start(&config, sim.host()).unwrap();
    assert!(accept().await.is_err(), "the node hangs up");
    let status = link(&node, |link| matches!(link, Link::Broken { .. })).await;
    assert!(format!("{:?}", status.link).contains("TLS"), "{:?}", status.link);
    node.stop().await;

    config.ca_file = Some(trusted);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let told = async {
        let mut peer =
            Peer { socket: tokio_tungstenite::accept_async(accept().await.unwrap()).await.unwrap() };
        peer.welcome().await;
        peer.give(full(1, cloud(1))).await;
        peer.until_phase(key(ObjectKind::Machine, MACHINE), Phase::Ready).await;
        let file = config.status_file();
        let read = async {
            loop {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                match serde_json::from_str::<Status>(&text) {
                    Ok(status) if status.objects.len() == 5 && status.idle => return text,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let text = timeout(PATIENCE, read).await.expect("the status is written");
        assert!(!text.contains("swordfish"), "it holds no secrets");
        stop.send(()).unwrap();
        while peer.hear().await.is_some() {}
    };
    let run = Node::run(&config, sim.host(), async { stopped.await.unwrap() });
    let (result, ()) = tokio::join!(run, told);
    result.unwrap();
    assert_eq!(sim.world().domains[&id(MACHINE)].life, Life::Running, "machines outlive the node");
}

#[tokio::test]
async fn a_real_node_without_its_libvirt_says_so_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let controller = Controller::listen().await;
    let mut config = NodeConfig::new(agent(), Secret::new(KEY.to_owned()), controller.url());
    config.state = directory.path().join("state");
    config.libvirt = format!("qemu+unix:///system?socket={}/none", directory.path().display());
    config.accel = freehold_node::host::machines::Accel::Tcg;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let told = async {
        let mut peer = controller.dialled().await;
        assert!(peer.challenge().await);
        peer.say(&ToNode::Welcome).await;
        assert_eq!(peer.hear().await, None, "no facts are better than wrong ones");
        let read = async {
            loop {
                let text = std::fs::read_to_string(config.status_file()).unwrap_or_default();
                match serde_json::from_str::<Status>(&text).map(|status| status.link) {
                    Ok(Link::Broken { reason, .. }) => return reason,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let reason = timeout(PATIENCE, read).await.expect("the status tells");
        assert!(reason.contains("the facts of this host cannot be read"), "{reason}");
        stop.send(()).unwrap();
    };
    let run = freehold_node::run_real(&config, async { stopped.await.unwrap() });
    let (result, ()) = tokio::join!(run, told);
    result.unwrap();
}

#[tokio::test]
async fn a_slice_and_its_results_survive_a_break_in_the_middle() {
    let (controller, sim) = (Controller::listen().await, Sim::new(SimConfig::default()));
    let node = controller.node(&sim);
    let mut object = machine(MACHINE, &[], &[]);
    for revision in 1..=5 {
        let (mut peer, _) = controller.session().await;
        object = change(object, |machine| machine.reboots += 1);
        peer.give(full(revision, vec![object.clone()])).await;
        // Gone before it hears of anything.
        peer.socket.flush().await.unwrap();
        drop(peer);
        timeout(
            PATIENCE,
            node.wait_until(|status| status.idle && status.held.is_some_and(|held| held.1 == revision)),
        )
        .await
        .unwrap();
    }
    // The first is taken as done, since the machine came with it.
    assert_eq!(sim.reboots(id(MACHINE)), 4);
    node.stop().await;
}

#[tokio::test]
async fn many_nodes_share_a_process() {
    const NODES: u64 = 300;
    let controller = Controller::listen().await;
    let nodes: Vec<Node> = (0..NODES).map(|_| controller.node(&Sim::new(SimConfig::default()))).collect();
    let mut peers = tokio::task::JoinSet::new();
    for _ in 0..NODES {
        let (stream, _) = timeout(PATIENCE, controller.listener.accept()).await.unwrap().unwrap();
        peers.spawn(async move {
            let mut peer = Peer { socket: tokio_tungstenite::accept_async(stream).await.unwrap() };
            peer.welcome().await;
            peer.give(full(1, cloud(4))).await;
            let mut ready = std::collections::BTreeSet::new();
            peer.until(|seen| {
                ready
                    .extend(seen.objects.iter().filter(|o| o.phase == Phase::Ready).map(|object| object.key));
                ready.len() == 11
            })
            .await;
            peer
        });
    }
    let peers = timeout(PATIENCE, peers.join_all()).await.expect("all are ready in time");
    assert!(nodes.iter().all(|node| matches!(node.status().link, Link::Connected { .. })));
    drop(peers);
    let stops: tokio::task::JoinSet<()> = nodes.into_iter().map(Node::stop).collect();
    timeout(PATIENCE, stops.join_all()).await.unwrap();
}
