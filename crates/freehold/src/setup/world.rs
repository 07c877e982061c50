//! What a first user needs besides a controller: a place, hosts, networks, storage, an image and a team.
//!
//! Each object is made when one of its name is missing, so a second run changes nothing.

use anyhow::{Context, Result, anyhow};
use freehold_controller::{Controller, Engine};
use freehold_kinds::access::Caller;
use freehold_kinds::kind::Kind;
use freehold_kinds::route::{Call, Memo};
use freehold_kinds::token::{self, Owner};
use freehold_kinds::{password, session};
use freehold_store::{Actor, Snapshot};
use freehold_types::{Id, Secret, Timestamp};
use freehold_web::query::Query;
use serde_json::{Value, json};

/// Number of private networks; each project takes a subnet of one.
const PRIVATE_NETWORKS: u8 = 4;

/// An agent, and the key that its node connects with.
#[derive(Debug, Clone)]
pub(crate) struct NodeKey {
    pub(crate) agent: Id,
    pub(crate) key: Secret<String>,
}

/// What was made, by id.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) region: Id,
    pub(crate) zone: Id,
    pub(crate) image: Id,
    pub(crate) team: Id,
}

/// Makes an agent per host, with a new key, since the old one is nowhere in clear.
pub(crate) async fn agents(controller: &Controller, names: &[String]) -> Result<Vec<NodeKey>> {
    let mut keys = Vec::with_capacity(names.len());
    for name in names {
        let agent = ensure::<freehold_kinds::agent::Agent>(
            controller,
            name,
            "create_agent",
            &[],
            || json!({ "name": name, "type": "Kaktus" }),
        )
        .await?;
        keys.push(NodeKey { agent, key: new_key(controller, agent, name).await? });
    }
    Ok(keys)
}

async fn new_key(controller: &Controller, agent: Id, name: &str) -> Result<Secret<String>> {
    let environment = controller.environment().clone();
    let name = name.to_owned();
    let plan = move |snapshot: &Snapshot| {
        let (caller, query, memo) = (Caller::master(), Query::default(), Memo::default());
        let call = Call {
            snapshot,
            caller: &caller,
            ids: &[],
            query: &query,
            body: &[],
            now: Timestamp::now(),
            environment: &environment,
            memo: &memo,
        };
        let mut transaction = freehold_store::Transaction::default();
        token::issue(Owner::Agent(agent), &name, &call, &mut transaction)
            .map(|issued| (transaction, issued.key))
    };
    let (key, _) = controller.store().transact(Actor::internal("set-up", "key of a node"), plan).await??;
    Ok(key)
}

/// Makes everything but the image, which nodes fetch.
pub(crate) async fn ensure_world(
    controller: &Controller,
    nodes: &[NodeKey],
    names: &[String],
    pool: &str,
    image_source: &str,
    admin_password: &str,
) -> Result<World> {
    let region = ensure::<freehold_kinds::region::Region>(
        controller,
        "home",
        "create_region",
        &[],
        || json!({ "name": "home", "domain": "home.internal" }),
    )
    .await?;
    let zone = ensure::<freehold_kinds::zone::Zone>(
        controller,
        "home-1",
        "create_region_zone",
        &[region],
        || json!({ "name": "home-1" }),
    )
    .await?;
    for (node, name) in nodes.iter().zip(names) {
        // A host that its operator has put elsewhere stays there.
        let snapshot = controller.store().snapshot();
        if snapshot.referrers::<freehold_kinds::hypervisor::Hypervisor>(node.agent).next().is_some() {
            continue;
        }
        ensure::<freehold_kinds::hypervisor::Hypervisor>(
            controller,
            name,
            "create_zone_kaktus",
            &[zone],
            || json!({ "name": name, "agents": [node.agent] }),
        )
        .await?;
    }
    networks(controller, region).await?;
    let agents: Vec<Id> = nodes.iter().map(|node| node.agent).collect();
    let pool = ensure::<freehold_kinds::pool::Pool>(
        controller,
        "local",
        "create_region_storage_pool",
        &[region],
        || json!({ "name": "local", "pool": pool, "agents": agents }),
    )
    .await?;
    let image = ensure::<freehold_kinds::image::Image>(
        controller,
        "tiny",
        "create_storage_pool_template",
        &[pool],
        || json!({ "name": "tiny", "description": "Linux and busybox", "source": image_source }),
    )
    .await?;
    let administrator = administrator(controller, admin_password).await?;
    let team = ensure::<freehold_kinds::team::Team>(
        controller,
        "admins",
        "create_team",
        &[],
        || json!({ "name": "admins", "users": [administrator] }),
    )
    .await?;
    Ok(World { region, zone, image, team })
}

async fn networks(controller: &Controller, region: Id) -> Result<()> {
    use freehold_kinds::network::Network;
    use freehold_kinds::subnet::Subnet;
    let public = ensure::<Network>(
        controller,
        "public",
        "create_region_v_net",
        &[region],
        || json!({ "name": "public", "interface": "fh-public", "vlan": 0, "private": false }),
    )
    .await?;
    // A range for documentation and tests (RFC 2544), which no real network routes.
    ensure::<Subnet>(
        controller,
        "public",
        "create_v_net_subnet",
        &[public],
        || json!({ "name": "public", "cidr": "198.18.0.0/22", "gateway": "198.18.0.1" }),
    )
    .await?;
    for number in 1..=PRIVATE_NETWORKS {
        let name = format!("private-{number}");
        let network = ensure::<Network>(controller, &name, "create_region_v_net", &[region], || {
            json!({ "name": name, "interface": format!("fh-private{number}"), "vlan": 0, "private": true })
        })
        .await?;
        let third = (number - 1) * 4;
        ensure::<Subnet>(controller, &name, "create_v_net_subnet", &[network], || {
            json!({
                "name": name,
                "cidr": format!("10.213.{third}.0/22"),
                "gateway": format!("10.213.{third}.1"),
                "dns": "9.9.9.9",
                "gw_pool": [{ "first": format!("10.213.{third}.2"), "last": format!("10.213.{third}.9") }],
            })
        })
        .await?;
    }
    Ok(())
}

/// The first account, which can log in at once.
async fn administrator(controller: &Controller, admin_password: &str) -> Result<Id> {
    const NAME: &str = "admin";
    if let Some(id) = named::<freehold_kinds::user::User>(&controller.store().snapshot(), NAME, &[]) {
        return Ok(id);
    }
    let hash = password::hash(admin_password)?;
    let plan = move |snapshot: &Snapshot| {
        session::bootstrap(snapshot, NAME, "admin@home.internal", hash.clone(), Timestamp::now())
            .map(|(id, transaction)| (transaction, id))
    };
    let (id, _) = controller.store().transact(Actor::internal("set-up", "first account"), plan).await??;
    Ok(id)
}

/// The object of a kind with this name below a parent, made when it is missing.
pub(crate) async fn ensure<K: Kind>(
    controller: &Controller,
    name: &str,
    operation: &str,
    parents: &[Id],
    body: impl FnOnce() -> Value,
) -> Result<Id> {
    if let Some(id) = named::<K>(&controller.store().snapshot(), name, parents) {
        return Ok(id);
    }
    make(controller.engine(), operation, parents, "", body())
        .await
        .with_context(|| format!("the {} `{name}` cannot be made", K::NOUN))
}

/// Makes an object and gives its id.
pub(crate) async fn make(
    engine: &Engine,
    operation: &str,
    parents: &[Id],
    query: &str,
    body: Value,
) -> Result<Id> {
    let answer = engine.call(operation, parents, query, body).await?;
    answer
        .get("id")
        .and_then(|id| id.as_str()?.parse().ok())
        .ok_or_else(|| anyhow!("`{operation}` answered without an id"))
}

/// The object of a kind with this name that names each of the parents.
pub(crate) fn named<K: Kind>(snapshot: &Snapshot, name: &str, parents: &[Id]) -> Option<Id> {
    snapshot
        .all::<K>()
        .filter(|object| {
            parents.iter().all(|parent| object.spec.references().iter().any(|link| link.id == *parent))
        })
        .find(|object| object.spec.label() == Some(name))
        .map(freehold_store::Object::id)
}
