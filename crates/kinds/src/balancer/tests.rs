use freehold_types::agent::{Specification, State};
use freehold_types::service as node;
use serde_json::{Value, json};

use super::*;
use crate::testing::World;

fn endpoint(name: &str, port: u16, hosts: &Value) -> Value {
    json!({ "name": name, "port": port, "protocol": "tcp", "backends": { "hosts": hosts, "port": 8080 } })
}

fn on(world: &World, agent: Id) -> Option<node::Balancer> {
    world.desired(agent).into_iter().find_map(|desired| match desired.state {
        State::Present(Specification::Balancer(balancer)) => Some(*balancer),
        State::Present(_) | State::Absent(_) => None,
    })
}

fn id(value: &Value) -> Id {
    value["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_balancer_is_made_read_changed_and_removed() {
    let world = World::new();
    let site = world.site("eu");
    let (second, _) = world.host(site.zone, "eu-a2");
    let project = world.project("shop", [], [site.region]);
    let web = endpoint("web", 80, &json!(["10.1.0.20", "10.1.0.21"]));
    let call = world.call("create_project_region_konvey").to([project, site.region]);
    let made = call.body(json!({ "name": "front", "endpoints": [web] })).ok();
    let expected = json!({
        "id": made["id"], "name": "front", "vip": "10.1.0.10", "failover": true, "endpoints": [web],
    });
    assert_eq!(made, expected);
    let (one, two) = (on(&world, site.agent).unwrap(), on(&world, second).unwrap());
    let mut priorities = [one.priority, two.priority];
    priorities.sort_unstable();
    assert_eq!(priorities, [100, 150]);
    assert_eq!(one.peers, [two.private.address.unwrap().addr()]);
    assert_eq!(one.virtual_address.to_string(), "10.1.0.10/24");
    assert_eq!(one.endpoints[0].backends[1].to_string(), "10.1.0.21:8080");
    let id = id(&made);
    for (list, place) in [("region", site.region), ("zone", site.zone)] {
        let call = world.call(&format!("list_project_{list}_konveys")).to([project, place]);
        assert_eq!(call.ids(), [id]);
    }
    assert_eq!(world.call("list_konveys").ids(), [id]);
    let update = |change: Value| world.call("update_konvey").to([id]).body(change);
    assert_eq!(update(made.clone()).ok(), made);
    let changed = update(json!({ "description": "web", "endpoints": [] })).ok();
    assert_eq!((&changed["description"], &changed["endpoints"]), (&json!("web"), &json!([])));
    world.call("delete_konvey").to([id]).ok();
    world.converge();
    world.call("read_konvey").to([id]).refused(404);
}

#[test]
fn a_balancer_of_a_zone_stays_there() {
    let world = World::new();
    let site = world.site("eu");
    let zone = world.call("create_region_zone").to([site.region]).body(json!({ "name": "eu-b" })).id();
    let (other, _) = world.host(zone, "eu-b1");
    let project = world.project("shop", [], [site.region]);
    let call = world.call("create_project_zone_konvey").to([project, zone]);
    let made = call.body(json!({ "endpoints": [endpoint("web", 80, &json!(["10.1.0.20"]))] })).ok();
    // Named after its project; one host only, though it would have two.
    assert_eq!((&made["name"], &made["failover"]), (&json!("shop"), &json!(true)));
    assert!(on(&world, other).unwrap().peers.is_empty() && on(&world, site.agent).is_none());
    let call = world.call("create_project_region_konvey").to([project, site.region]);
    call.body(json!({ "name": "both", "failover": false, "endpoints": [] })).ok();
    assert_eq!(world.all::<Balancer>()[1].spec.members.len(), 1);
    let call = world.call("create_project_zone_konvey").to([project, zone]);
    call.body(json!({ "endpoints": [] })).refused(409);
}

#[test]
fn endpoints_are_checked() {
    let world = World::new();
    let site = world.site("eu");
    let project = world.project("shop", [], [site.region]);
    let refused = |status: u16, endpoints: Value| {
        let call = world.call("create_project_region_konvey").to([project, site.region]);
        call.body(json!({ "name": "front", "endpoints": endpoints })).refused(status)
    };
    let web = |hosts: Value| endpoint("web", 80, &hosts);
    assert!(refused(400, json!([web(json!([]))])).contains("endpoints[0].backends.hosts"));
    assert!(refused(422, json!([web(json!(["web1"]))])).contains("`web1`"));
    assert!(refused(422, json!([web(json!(["127.0.0.1"]))])).contains("127.0.0.1"));
    assert!(refused(422, json!([web(json!(["10.1.0.20", "10.1.0.20"]))])).contains("twice"));
    refused(400, json!([endpoint("web", 0, &json!(["10.1.0.20"]))]));
    refused(422, json!([endpoint("a b", 80, &json!(["10.1.0.20"]))]));
    let good = || json!(["10.1.0.20"]);
    assert!(refused(422, json!([web(good()), endpoint("WEB", 81, &good())])).contains("`WEB`"));
    assert!(refused(422, json!([web(good()), endpoint("b", 80, &good())])).contains("`web` already"));
}
