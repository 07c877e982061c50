//! The world itself: what happens in it is what happens in a cloud.

use freehold_types::size::GIB;
use freehold_types::wire::Role;
use serde_json::json;

use super::World;
use crate::compute::Compute;
use crate::hypervisor::Hypervisor;
use crate::instance::Instance;
use crate::network::Network;
use crate::route::Wait;

#[test]
fn a_machine_comes_runs_and_goes() {
    let world = World::new();
    let site = world.site("lab");
    let bob = world.user("bob", Role::User);
    let team = world.team("crew", [bob]);
    let project = world.project("green", [team], [site.region]);
    let request = world
        .call("create_project_zone_kompute")
        .by(bob)
        .to([project, site.zone])
        .body(json!({ "name": "web", "memory": GIB, "vcpus": 1, "disk": 10 * GIB }));
    let answer = request.send().unwrap();
    assert_eq!(answer.status, 201);
    let Some(Wait::Settled(key)) = answer.wait else { panic!("{answer:?}") };
    let instance = world.get::<Instance>(key.id);
    assert_eq!(instance.spec.hypervisor, site.hypervisor);
    assert!(world.get::<Hypervisor>(site.hypervisor).spec.is_online(&world.snapshot()));
    assert!(world.get::<Network>(site.public_network).spec.default_subnet == Some(site.public_subnet));

    let compute = instance.spec.compute.unwrap();
    let state = || world.call("read_kompute_state").by(bob).to([compute]).ok()["state"].clone();
    world.converge();
    assert_eq!(state(), json!("Running"));

    world.disconnect(site.agent);
    assert_eq!(state(), json!("No State"));
    world.call("delete_kompute").by(bob).to([compute]).ok();
    world.converge();
    assert!(world.find::<Compute>(compute).is_some(), "its node has not told that it is gone");
    world.connect(site.agent);
    world.converge();
    assert!(world.find::<Compute>(compute).is_none());
    assert!(world.find::<Instance>(instance.id()).is_none());
}
