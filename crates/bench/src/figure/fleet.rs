//! Many nodes at one controller, all in this process: how long until each is connected and has made its pool
//! and fetched its image, and what they cost afterwards, when nothing changes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use freehold_controller::Controller;
use freehold_kinds::access::Caller;
use freehold_kinds::agent::Agent;
use freehold_kinds::cost::Price;
use freehold_kinds::hypervisor::Hypervisor;
use freehold_kinds::image::Image;
use freehold_kinds::pool::Pool;
use freehold_kinds::region::Region;
use freehold_kinds::route::{Call, Memo};
use freehold_kinds::slice;
use freehold_kinds::token::{self, Owner};
use freehold_kinds::zone::Zone;
use freehold_node::host::sim::{Sim, SimConfig};
use freehold_node::{Node, SimulatedNode};
use freehold_store::{Actor, Key, Snapshot, Transaction};
use freehold_types::wire::{AgentType, OperatingSystem};
use freehold_types::{Id, Secret, Timestamp};
use freehold_web::query::Query;

use crate::measure::processor_time;
use crate::table::Figure;
use crate::{Effort, place};

/// Hosts that share a pool.
const RACK: usize = 20;
const PATIENCE: Duration = Duration::from_mins(5);
/// How long everything may take to settle.
const MOST: Duration = Duration::from_mins(1);
/// Processors that a settled fleet may take, controller and nodes together.
const IDLE: f64 = 0.5;

/// Measures it.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let directory = place::directory()?;
    let (settled, busy, idle) = place::runtime()?.block_on(run(directory.path(), effort))?;
    Ok(vec![
        Figure {
            name: format!("{} simulated nodes: until all are connected and settled", effort.nodes),
            ours: format!("{:.1} s, {:.1} s of processor time", settled.as_secs_f64(), busy.as_secs_f64()),
            reference: String::new(),
            ratio: None,
            demand: "≤ 60 s",
            is_met: settled <= MOST,
        },
        Figure {
            name: format!("{} simulated nodes: once settled", effort.nodes),
            ours: format!("{idle:.3} processors"),
            reference: String::new(),
            ratio: None,
            demand: "≤ 0.50",
            is_met: idle <= IDLE,
        },
    ])
}

/// Time and processor time until all is settled, and the processors that it takes then.
async fn run(directory: &std::path::Path, effort: Effort) -> Result<(Duration, Duration, f64)> {
    let controller = place::controller(directory).await?;
    let (keys, waited) = world(&controller, effort.nodes).await?;
    let url = format!("http://{}", controller.address());
    let (since, before) = (Instant::now(), processor_time()?);
    let nodes = keys
        .into_iter()
        .map(|(agent, key)| {
            let setup = SimulatedNode::new(agent, key, url.as_str());
            Ok(Node::simulated(setup, Sim::new(SimConfig::default()).host())?)
        })
        .collect::<Result<Vec<Node>>>()?;
    tokio::time::timeout(PATIENCE, controller.store().wait_until(|snapshot| are_settled(&waited, snapshot)))
        .await
        .with_context(|| format!("the fleet is not settled after {} s", PATIENCE.as_secs()))?;
    let (settled, busy) = (since.elapsed(), processor_time()?.saturating_sub(before));

    let span = Duration::from_secs_f64(effort.seconds * 5.0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = processor_time()?;
    tokio::time::sleep(span).await;
    let idle = processor_time()?.saturating_sub(before).as_secs_f64() / span.as_secs_f64();

    let mut stopping = tokio::task::JoinSet::new();
    for node in nodes {
        stopping.spawn(node.stop());
    }
    while stopping.join_next().await.is_some() {}
    controller.stop().await;
    Ok((settled, busy, idle))
}

fn are_settled(waited: &[Key], snapshot: &Snapshot) -> bool {
    snapshot.all::<Agent>().all(|agent| agent.status.connected)
        && waited.iter().all(|key| slice::is_settled(*key, snapshot))
}

/// Hosts in racks, each rack with a pool and an image; gives the keys of nodes, and what must settle.
async fn world(controller: &Controller, nodes: usize) -> Result<(Vec<(Id, Secret<String>)>, Vec<Key>)> {
    let [region, zone] = [(); 2].map(|()| Id::generate());
    let now = Timestamp::now();
    let mut transaction = Transaction::default();
    let domain = "example.org".to_owned();
    transaction.create(
        region,
        Region {
            name: "eu-west".to_owned(),
            description: None,
            domain,
            default_pool: None,
            default_file_backend: None,
        },
        now,
    );
    transaction.create(zone, Zone { region, name: "eu-west-a".to_owned(), description: None }, now);
    let mut keys = Vec::new();
    for number in 0..nodes {
        let (agent, name) = (Id::generate(), format!("host-{number}"));
        let key = issue(controller, agent, &name, &mut transaction)?;
        transaction.create(
            agent,
            Agent { name: name.clone(), description: None, role: AgentType::Hypervisor },
            now,
        );
        transaction.create(Id::generate(), hypervisor(zone, name, agent), now);
        keys.push((agent, key));
    }
    let mut waited = Vec::new();
    for (number, rack) in keys.chunks(RACK).enumerate() {
        let [pool, image] = [(); 2].map(|()| Id::generate());
        let agents = rack.iter().map(|(agent, _)| *agent).collect();
        transaction.create(pool, rack_pool(region, number, agents), now);
        transaction.create(image, rack_image(pool), now);
        waited.extend([Key::of::<Pool>(pool), Key::of::<Image>(image)]);
    }
    controller.store().commit(transaction, Actor::internal("bench", "a fleet to measure")).await?;
    Ok((keys, waited))
}

fn issue(
    controller: &Controller,
    agent: Id,
    name: &str,
    transaction: &mut Transaction,
) -> Result<Secret<String>> {
    let snapshot = controller.store().snapshot();
    let (caller, query, memo) = (Caller::master(), Query::default(), Memo::default());
    let call = Call {
        snapshot: &snapshot,
        caller: &caller,
        ids: &[],
        query: &query,
        body: &[],
        now: Timestamp::now(),
        environment: controller.environment(),
        memo: &memo,
    };
    Ok(token::issue(Owner::Agent(agent), name, &call, transaction)?.key)
}

fn hypervisor(zone: Id, name: String, agent: Id) -> Hypervisor {
    Hypervisor {
        zone,
        name,
        description: None,
        cpu_cost: Price::default(),
        memory_cost: Price::default(),
        overcommit_cpu_ratio: 3,
        overcommit_memory_ratio: 2,
        agents: vec![agent],
        maintenance: false,
        evacuation: None,
    }
}

fn rack_pool(region: Id, number: usize, agents: Vec<Id>) -> Pool {
    Pool {
        region,
        name: format!("rack-{number}"),
        description: None,
        pool: "dir:/srv/pool".to_owned(),
        ceph_address: "localhost".to_owned(),
        ceph_port: 3300,
        ceph_secret_uuid: None,
        cost: Price::default(),
        agents,
        default_image: None,
    }
}

fn rack_image(pool: Id) -> Image {
    Image {
        pool,
        name: "debian".to_owned(),
        description: None,
        os: OperatingSystem::Linux,
        source: "https://images.example.org/debian.qcow2".to_owned(),
        limit: 1 << 40,
    }
}
