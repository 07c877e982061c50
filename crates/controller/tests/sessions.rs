//! Sessions of nodes: who is let in, who must go, and what is known of a host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use freehold_kinds::token::{Owner, Token};
use freehold_store::{Actor, Object, Transaction};
use freehold_testkit::node::{Link, Node, SimulatedNode};
use freehold_testkit::{Cluster, PATIENCE};
use freehold_types::Secret;
use freehold_types::wire::AgentType;
use serde_json::json;
use tokio::time::timeout;

/// Waits until the node tells of a broken link, for a reason with this word in it.
async fn refused(node: &Node, word: &str) {
    let is = |link: &Link| matches!(link, Link::Broken { reason, .. } if reason.contains(word));
    let seen = timeout(PATIENCE, node.wait_until(|status| is(&status.link))).await;
    assert!(seen.is_ok(), "not refused for `{word}`: {:?}", node.status().link);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_back_and_tells_of_its_host() {
    let mut cluster = Cluster::start().await;
    let site = cluster.seed(1).await;
    let hypervisor = cluster.named("n1").hypervisor;
    let caps = cluster.operator().get(&format!("/kaktus/{hypervisor}/caps")).await.ok();
    assert_eq!((&caps["cpu"]["threads"], &caps["cpu"]["arch"]), (&32.into(), &"x86_64".into()));
    cluster.machine_down("n1").await;
    cluster.machine_up("n1").await;
    cluster.named("n1").link(|link| matches!(link, Link::Connected { .. })).await;
    let kept = cluster.operator().get(&format!("/kaktus/{hypervisor}/caps")).await.ok();
    assert_eq!(caps, kept);
    site.red.member.client(&cluster).get(&format!("/kaktus/{hypervisor}/caps")).await.refused(403);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_and_expired_keys_are_refused() {
    let mut cluster = Cluster::start().await;
    cluster.seed(1).await;
    cluster.machine_down("n1").await;
    let machine = cluster.named("n1");
    let wrong = machine.dialler(&cluster.url(), Secret::new("x".repeat(64)));
    let node = Node::simulated(wrong, machine.sim.host()).expect("the node starts");
    refused(&node, "key").await;
    node.stop().await;

    // A key cannot be issued for the past, so this one becomes old by hand.
    let store = cluster.controller().store();
    let snapshot = store.snapshot();
    let token: &Object<Token> =
        snapshot.claimed(&Token::owner_claim(Owner::Agent(machine.agent).id())).expect("the agent has a key");
    let expiration_date = Some("2020-01-01".parse().expect("a date"));
    let mut transaction = Transaction::default();
    transaction.update(token, Token { expire: true, expiration_date, ..token.spec.clone() });
    store.commit(transaction, Actor::internal("test", "time goes by")).await.expect("it is stored");
    let expired = machine.dialler(&cluster.url(), machine.key.clone());
    let node = Node::simulated(expired, machine.sim.host()).expect("the node starts");
    refused(&node, "expired").await;
    node.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_ends_the_session_of_the_old_one() {
    let mut cluster = Cluster::start().await;
    cluster.seed(1).await;
    let agent = cluster.named("n1").agent;
    let key = cluster.agent_key(agent, "").await;
    let machine = cluster.named("n1");
    refused(machine.node().expect("it runs"), "key").await;
    cluster.presence(agent, false).await;
    let url = cluster.url();
    let machine = cluster.named_mut("n1");
    machine.stop().await;
    machine.key = key;
    machine.start(&url);
    cluster.presence(agent, true).await;
    cluster.settle().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_session_takes_the_place_of_the_first() {
    let mut cluster = Cluster::start().await;
    cluster.seed(1).await;
    let machine = cluster.named("n1");
    let twin = Node::simulated(machine.dialler(&cluster.url(), machine.key.clone()), machine.sim.host());
    let twin = twin.expect("the node starts");
    let connected = twin.wait_until(|status| matches!(status.link, Link::Connected { .. }));
    timeout(PATIENCE, connected).await.expect("the twin is let in");
    // The first one loses its session for a moment at least.
    machine.link(|link| !matches!(link, Link::Connected { .. })).await;
    twin.stop().await;
    cluster.named("n1").link(|link| matches!(link, Link::Connected { .. })).await;
    cluster.presence(cluster.named("n1").agent, true).await;
    cluster.settle().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_is_let_in_by_the_type_of_its_agent() {
    let mut cluster = Cluster::start().await;
    cluster.seed(1).await;
    let agent = cluster.make("create_agent", &[], "", json!({ "name": "e1", "type": "Kiwi" })).await;
    let key = cluster.agent_key(agent, "").await;
    let dialler = || SimulatedNode::new(agent, key.clone(), cluster.url());
    let host = || cluster.named("n1").sim.host();

    let hypervisor = Node::simulated(dialler(), host()).expect("the node starts");
    refused(&hypervisor, "agent's type").await;
    hypervisor.stop().await;

    let edge = SimulatedNode { role: AgentType::Edge, ..dialler() };
    let edge = Node::simulated(edge, host()).expect("the node starts");
    cluster.presence(agent, true).await;
    edge.stop().await;
    cluster.stop().await;
}
