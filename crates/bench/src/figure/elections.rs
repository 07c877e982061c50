//! Electing a host among many, and loading a store that holds them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use freehold_kinds::agent::{Agent, AgentStatus};
use freehold_kinds::cost::Price;
use freehold_kinds::hypervisor::Hypervisor;
use freehold_kinds::instance::Instance;
use freehold_kinds::instance::election::{self, Wish};
use freehold_kinds::project::Project;
use freehold_kinds::region::Region;
use freehold_kinds::registry;
use freehold_kinds::zone::Zone;
use freehold_store::{Actor, Amounts, Backend, Entity, Memory, Snapshot, Store, Transaction};
use freehold_types::agent::{Facts, Firmware, Power, PowerTarget};
use freehold_types::size::GIB;
use freehold_types::wire::{AgentType, OperatingSystem, ProjectResources};
use freehold_types::{Id, Secret, Timestamp};

use crate::measure::{Pairs, median};
use crate::table::Figure;
use crate::{Effort, place};

const INSTANCES: usize = 100_000;
const FEW: usize = 1_000;
const MANY: usize = 10_000;
/// Each so many-th host is in maintenance, and must be passed over.
const IN_MAINTENANCE: usize = 10;
/// Objects in a transaction.
const BATCH: usize = 5_000;
/// Elections of a turn.
const ELECTIONS: usize = 200;
const MOST: Duration = Duration::from_millis(1);
/// How much ten times as many hosts may cost.
const FLAT: f64 = 3.0;
const LOAD: Duration = Duration::from_secs(3);

/// Measures elections.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let runtime = place::runtime()?;
    let few = runtime.block_on(world(Memory::default(), FEW, INSTANCES))?;
    let many = runtime.block_on(world(Memory::default(), MANY, INSTANCES))?;
    let turns = (0..effort.rounds)
        .map(|_| Ok((elect(&many.0.snapshot(), many.1)?, elect(&few.0.snapshot(), few.1)?)))
        .collect::<Result<Vec<_>>>()?;
    let pairs = Pairs::of(&turns);
    let figure = |hosts: usize, seconds: f64| Figure {
        name: format!("election of a host among {hosts}, with {INSTANCES} instances"),
        ours: micros(seconds),
        reference: String::new(),
        ratio: None,
        demand: "≤ 1 ms",
        is_met: seconds <= MOST.as_secs_f64(),
    };
    Ok(vec![
        figure(FEW, pairs.reference),
        figure(MANY, pairs.ours),
        Figure {
            name: format!("election among {MANY} hosts against {FEW}"),
            ours: micros(pairs.ours),
            reference: micros(pairs.reference),
            ratio: Some(pairs.ratio),
            demand: "near 1, ≤ 3.00",
            is_met: pairs.ratio <= FLAT,
        },
    ])
}

/// Measures how long a store with that many instances takes to open.
pub(crate) fn measure_load(effort: Effort) -> Result<Vec<Figure>> {
    let directory = place::directory()?;
    place::runtime()?.block_on(async {
        let (store, _) = world(place::sqlite(directory.path())?, FEW, INSTANCES).await?;
        store.close().await;
        anyhow::Ok(())
    })?;
    let mut spans = Vec::new();
    for _ in 0..effort.rounds.min(3) {
        let since = Instant::now();
        let store = Store::open(place::sqlite(directory.path())?, registry::store_registry())?;
        spans.push(since.elapsed().as_secs_f64());
        anyhow::ensure!(store.snapshot().count::<Instance>() == INSTANCES, "the store lost instances");
        place::runtime()?.block_on(store.close());
    }
    let seconds = median(&spans);
    Ok(vec![Figure {
        name: format!("opening a store with {INSTANCES} instances"),
        ours: format!("{seconds:.2} s"),
        reference: String::new(),
        ratio: None,
        demand: "≤ 3 s",
        is_met: seconds <= LOAD.as_secs_f64(),
    }])
}

fn micros(seconds: f64) -> String {
    format!("{:.1} µs", seconds * 1e6)
}

/// Median seconds of an election, of machines with many names.
fn elect(snapshot: &Snapshot, zone: Id) -> Result<f64> {
    let mut spans = Vec::with_capacity(ELECTIONS);
    for number in 0..ELECTIONS {
        let name = instance_name(number * (INSTANCES / ELECTIONS));
        let amounts = Amounts { instances: 1, vcpus: 2, memory: 4 * GIB, storage: 0 };
        let wish = Wish {
            name: &name,
            amounts,
            agents: None,
            groups: &[],
            own: None,
            except: None,
            from: None,
            planned: None,
        };
        let since = Instant::now();
        let host = election::elect(zone, &wish, snapshot)?;
        spans.push(since.elapsed().as_secs_f64());
        std::hint::black_box(host);
    }
    Ok(median(&spans))
}

fn instance_name(number: usize) -> String {
    format!("app-{number:06}")
}

/// A zone of connected hosts, with instances spread evenly over them.
async fn world(backend: impl Backend, hosts: usize, instances: usize) -> Result<(Store, Id)> {
    let store = Store::open(backend, registry::store_registry())?;
    let [region, zone, project] = [(); 3].map(|()| Id::generate());
    let mut places = Transaction::default();
    let now = Timestamp::now();
    places.create(region, region_of_all(), now);
    places.create(zone, Zone { region, name: "eu-west-a".to_owned(), description: None }, now);
    places.create(project, project_of_all(region), now);
    commit(&store, places).await?;
    let agents = create(&store, hosts, |number| Agent {
        name: format!("host-{number}"),
        description: None,
        role: AgentType::Hypervisor,
    })
    .await?;
    connect(&store, &agents).await?;
    let hypervisors = create(&store, hosts, |number| Hypervisor {
        zone,
        name: format!("host-{number}"),
        description: None,
        cpu_cost: Price::default(),
        memory_cost: Price::default(),
        overcommit_cpu_ratio: 3,
        overcommit_memory_ratio: 2,
        agents: agents.get(number).copied().into_iter().collect(),
        maintenance: number % IN_MAINTENANCE == 0,
        evacuation: None,
    })
    .await?;
    create(&store, instances, |number| Instance {
        project,
        region,
        zone,
        hypervisor: hypervisors[number % hosts],
        name: instance_name(number),
        description: None,
        memory: GIB,
        vcpus: 1,
        adapters: Vec::new(),
        volumes: Vec::new(),
        os: OperatingSystem::Linux,
        firmware: Firmware::Uefi,
        movable: true,
        root_password: Secret::new("$6$saltsalt$hashhashhashhashhashhashhashhashhashhash".to_owned()),
        power: Power { serial: 1, target: PowerTarget::Running },
        reboots: 0,
        resets: 0,
        compute: None,
        moving: None,
        moved: None,
    })
    .await?;
    Ok((store, zone))
}

fn region_of_all() -> Region {
    Region {
        name: "eu-west".to_owned(),
        description: None,
        domain: "example.org".to_owned(),
        default_pool: None,
        default_file_backend: None,
    }
}

fn project_of_all(region: Id) -> Project {
    Project {
        name: "all".to_owned(),
        description: None,
        domain: None,
        root_password: None,
        bootstrap_user: "admin".to_owned(),
        bootstrap_pubkey: "ssh-ed25519 key".to_owned(),
        tags: Vec::new(),
        metadata: Vec::new(),
        quotas: ProjectResources::default(),
        teams: Vec::new(),
        regions: vec![region],
        subnet_size: 24,
        subnets: std::collections::BTreeMap::new(),
        zone_gateways: std::collections::BTreeMap::new(),
    }
}

async fn create<E: Entity>(store: &Store, count: usize, make: impl Fn(usize) -> E) -> Result<Vec<Id>> {
    let ids: Vec<Id> = (0..count).map(|_| Id::generate()).collect();
    let numbered: Vec<(usize, Id)> = ids.iter().copied().enumerate().collect();
    for batch in numbered.chunks(BATCH) {
        let mut transaction = Transaction::default();
        for (number, id) in batch {
            transaction.create(*id, make(*number), Timestamp::now());
        }
        commit(store, transaction).await?;
    }
    Ok(ids)
}

async fn connect(store: &Store, agents: &[Id]) -> Result<()> {
    let facts = Facts { threads: 128, memory: 1024 * GIB, ..Facts::default() };
    for batch in agents.chunks(BATCH) {
        let snapshot = store.snapshot();
        let mut transaction = Transaction::default();
        for id in batch {
            let agent = snapshot.get::<Agent>(*id).context("an agent is gone")?;
            let status =
                AgentStatus { connected: true, since: Some(Timestamp::now()), facts: Some(facts.clone()) };
            transaction.observe(agent, status);
        }
        commit(store, transaction).await?;
    }
    Ok(())
}

async fn commit(store: &Store, transaction: Transaction) -> Result<()> {
    store.commit(transaction, Actor::internal("bench", "a world to measure")).await?;
    Ok(())
}
