//! The demonstration: a project, and a machine in it.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use freehold_controller::Controller;
use freehold_kinds::adapter::Adapter;
use freehold_kinds::compute::Compute;
use freehold_kinds::instance::Instance;
use freehold_kinds::project::Project;
use freehold_kinds::slice;
use freehold_store::{Key, Snapshot};
use freehold_types::Id;
use freehold_types::agent::Phase;
use freehold_types::size::MIB;
use serde_json::json;

use super::world::{self, World};

/// How long nodes may take to fetch the image, and to start the machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// The machine that was made.
#[derive(Debug, Clone)]
pub(crate) struct Demo {
    pub(crate) instance: Id,
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
}

/// Makes project and machine when they are missing, and waits until the machine runs.
pub(crate) async fn ensure(controller: &Controller, world: &World) -> Result<Demo> {
    const NAME: &str = "demo";
    let project = world::ensure::<Project>(controller, NAME, "create_project", &[], || {
        json!({
            "name": NAME, "domain": "demo.home.internal", "teams": [world.team], "regions": [world.region],
        })
    })
    .await?;
    let known = world::named::<Compute>(&controller.store().snapshot(), NAME, &[project]);
    let compute = if let Some(id) = known {
        id
    } else {
        let body = json!({ "name": NAME, "vcpus": 1, "memory": 256 * MIB, "disk": 2048 * MIB });
        let place = [project, world.zone];
        world::make(controller.engine(), "create_project_zone_kompute", &place, "", body).await?
    };
    let snapshot = controller.store().snapshot();
    let instance = snapshot.get::<Compute>(compute).context("the demo machine is gone")?.spec.instance;
    settled(controller, Key::of::<Instance>(instance)).await?;
    let address =
        address(&controller.store().snapshot(), compute).context("the demo machine has no address")?;
    Ok(Demo { instance, name: NAME.to_owned(), address })
}

fn address(snapshot: &Snapshot, compute: Id) -> Option<Ipv4Addr> {
    let adapter = snapshot.get::<Compute>(compute)?.spec.private_adapter;
    snapshot.get::<Adapter>(adapter)?.spec.addresses.first().copied()
}

/// Waits until an object is what it should be on its nodes; tells why when it fails.
pub(crate) async fn settled(controller: &Controller, key: Key) -> Result<()> {
    let store = controller.store();
    let waiting = store.wait_until(|snapshot| slice::is_settled(key, snapshot));
    if tokio::time::timeout(PATIENCE, waiting).await.is_ok() {
        return Ok(());
    }
    let snapshot = store.snapshot();
    let reasons: Vec<String> = slice::states(key, &snapshot)
        .into_iter()
        .filter(|state| state.phase != Phase::Ready)
        .map(|state| state.message)
        .collect();
    bail!("{key} was not ready within {} s: {}", PATIENCE.as_secs(), reasons.join("; "))
}
