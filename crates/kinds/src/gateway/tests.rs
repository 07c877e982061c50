use std::collections::BTreeSet;

use freehold_types::agent::{Specification, State};
use freehold_types::service as node;
use freehold_types::size::GIB;
use freehold_types::wire::Role;
use serde_json::{Value, json};

use super::*;
use crate::network::Network;
use crate::testing::World;

/// A region with three zones of a host each, and a project in it.
struct Setting {
    world: World,
    region: Id,
    zones: Vec<Id>,
    agents: Vec<Id>,
    private: Id,
    public: Id,
    project: Id,
}

fn setting() -> Setting {
    let world = World::new();
    let site = world.site("eu");
    let (mut zones, mut agents) = (vec![site.zone], vec![site.agent]);
    for name in ["eu-b", "eu-c"] {
        let zone = world.call("create_region_zone").to([site.region]).body(json!({ "name": name })).id();
        zones.push(zone);
        agents.push(world.host(zone, &format!("{name}1")).0);
    }
    let project = world.project("shop", [], [site.region]);
    let (region, private, public) = (site.region, site.private_subnet, site.public_subnet);
    Setting { world, region, zones, agents, private, public, project }
}

impl Setting {
    fn create(&self, body: Value) -> Value {
        let call = self.world.call("create_project_region_kawaii").to([self.project, self.region]);
        call.body(body).ok()
    }

    fn refused(&self, status: u16, body: Value) -> String {
        let call = self.world.call("create_project_region_kawaii").to([self.project, self.region]);
        call.body(body).refused(status)
    }

    /// What the gateway is on the node of an agent.
    fn on(&self, agent: Id) -> Option<node::Gateway> {
        self.world.desired(agent).into_iter().find_map(|desired| match desired.state {
            State::Present(Specification::Gateway(gateway)) => Some(*gateway),
            State::Present(_) | State::Absent(_) => None,
        })
    }

    fn has_network(&self, agent: Id, subnet: Id) -> bool {
        let network = self.world.get::<Subnet>(subnet).spec.network;
        self.world
            .desired(agent)
            .iter()
            .any(|desired| desired.key.id == network && matches!(desired.state, State::Present(_)))
    }
}

fn id(value: &Value) -> Id {
    value["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_gateway_has_a_pair_and_an_instance_in_each_zone() {
    let setting = setting();
    let made = setting.create(json!({ "description": "way out" }));
    assert_eq!(made["netip"]["private"], json!(["10.1.0.2", "10.1.0.3", "10.1.0.4"]));
    assert_eq!(made["netip"]["public"], json!(["192.0.2.10", "192.0.2.11", "192.0.2.12"]));
    let first = json!({ "zone": "eu-a", "public": "192.0.2.10", "private": "10.1.0.2" });
    assert_eq!(made["netip"]["zones"][0], first);
    assert_eq!(made["firewall"], json!({ "ingress": [], "egress_policy": "accept", "egress": [] }));
    assert_eq!((&made["dnat"], &made["vpc_peerings"]), (&json!([]), &json!([])));
    assert!(made.get("name").is_none());
    let instances: Vec<node::Gateway> =
        setting.agents.iter().map(|agent| setting.on(*agent).unwrap()).collect();
    for (position, instance) in instances.iter().enumerate() {
        let priorities: Vec<u8> = instance.pairs.iter().map(|pair| pair.priority).collect();
        let expected: Vec<u8> = (0..3).map(|other| if other == position { 150 } else { 100 }).collect();
        assert_eq!(priorities, expected);
        let own = instance.private.address.unwrap().addr();
        let others: Vec<_> = instances.iter().map(|other| other.private.address.unwrap().addr()).collect();
        assert_eq!(instance.peers, others.iter().copied().filter(|other| *other != own).collect::<Vec<_>>());
        assert_eq!(instance.public.as_ref().unwrap().address, None);
    }
    let project = setting.world.call("read_project").to([setting.project]).ok();
    assert_eq!(project["reserved_vrrp_ids"], json!([1, 2, 3]));
    assert!(setting.has_network(setting.agents[1], setting.private));
    assert!(setting.has_network(setting.agents[1], setting.public));
}

#[test]
fn a_project_has_one_gateway_in_a_region() {
    let setting = setting();
    let made = setting.create(json!({}));
    assert!(setting.refused(409, json!({})).contains("already"));
    let world = &setting.world;
    let list = world.call("list_project_region_kawaiis").to([setting.project, setting.region]).ids();
    assert_eq!(list, [id(&made)]);
    assert_eq!(world.call("list_kawaiis").ids(), [id(&made)]);
    assert!(world.call("delete_project").to([setting.project]).refused(409).contains("gateway"));
    world.call("delete_kawaii").to([id(&made)]).ok();
    world.converge();
    world.call("read_kawaii").to([id(&made)]).refused(404);
    assert!(!setting.has_network(setting.agents[1], setting.private));
    let project = world.call("read_project").to([setting.project]).ok();
    assert_eq!(project["reserved_vrrp_ids"], json!([]));
    // Its addresses are the same again: those of the pool belong to the zones.
    assert_eq!(setting.create(json!({}))["netip"], made["netip"]);
}

#[test]
fn the_networks_stay_until_the_gateway_is_gone_from_the_host() {
    let setting = setting();
    let made = setting.create(json!({}));
    setting.world.converge();
    setting.world.disconnect(setting.agents[1]);
    setting.world.call("delete_kawaii").to([id(&made)]).ok();
    setting.world.converge();
    assert!(setting.has_network(setting.agents[1], setting.private));
    assert!(!setting.has_network(setting.agents[2], setting.private));
    setting.world.connect(setting.agents[1]);
    setting.world.converge();
    assert!(!setting.has_network(setting.agents[1], setting.private));
}

#[test]
fn rules_reach_the_nodes_and_come_back_as_they_were_given() {
    let setting = setting();
    let firewall = json!({
        "ingress": [{ "source": "198.51.100.7", "protocol": "udp", "ports": "53,5000-5010" }],
        "egress_policy": "drop",
        "egress": [{ "destination": "203.0.113.0/24", "protocol": "tcp", "ports": "443" }],
    });
    let dnat = json!([{ "destination": "10.1.0.77", "protocol": "tcp", "ports": "443,80" }]);
    let made = setting.create(json!({ "firewall": firewall, "dnat": dnat }));
    assert_eq!((&made["firewall"], &made["dnat"]), (&firewall, &dnat));
    let on = setting.on(setting.agents[0]).unwrap();
    assert_eq!(on.firewall.ingress[0].remote.to_string(), "198.51.100.7/32");
    assert_eq!(on.forwards[0].ports.to_string(), "80,443");
    let update = |body: Value| setting.world.call("update_kawaii").to([id(&made)]).body(body);
    // What is absent stays; clients may send everything back.
    let changed = update(json!({ "dnat": [] })).ok();
    assert_eq!((&changed["firewall"], &changed["dnat"]), (&firewall, &json!([])));
    assert_eq!(update(changed.clone()).ok(), changed);
    update(json!({ "name": "edge", "firewall": { "egress_policy": "accept" } })).ok();
    let on = setting.on(setting.agents[0]).unwrap();
    assert_eq!((on.name.as_str(), on.firewall.ingress.len()), ("edge", 0));
}

#[test]
fn odd_rules_are_refused_with_their_place() {
    let setting = setting();
    let ingress = |rule: Value| json!({ "firewall": { "ingress": [rule] } });
    let dnat = |rule: Value| json!({ "dnat": [{ "destination": "10.1.0.77", "ports": "80" }, rule] });
    assert!(setting.refused(400, ingress(json!({ "ports": "80-" }))).contains("firewall.ingress[0].ports"));
    setting.refused(400, ingress(json!({})));
    setting.refused(400, ingress(json!({ "ports": "80", "protocol": "icmp" })));
    assert!(
        setting
            .refused(422, ingress(json!({ "ports": "80", "source": "here" })))
            .contains("ingress[0].source")
    );
    assert!(
        setting
            .refused(422, dnat(json!({ "destination": "192.168.9.9", "ports": "81" })))
            .contains("10.1.0.0/24")
    );
    assert!(
        setting
            .refused(422, dnat(json!({ "destination": "10.1.0.78", "ports": "80-90" })))
            .contains("10.1.0.77")
    );
    setting.create(dnat(json!({ "destination": "10.1.0.78", "ports": "80", "protocol": "udp" })));
}

#[test]
fn peerings_join_other_subnets_of_the_region() {
    let setting = setting();
    let world = &setting.world;
    let network = world.get::<Subnet>(setting.private).spec.network;
    let subnet = |name: &str, third: u8, application: &str| {
        let body = json!({
            "name": name, "cidr": format!("10.2.{third}.0/24"), "gateway": format!("10.2.{third}.1"),
            "application": application,
        });
        world.call("create_v_net_subnet").to([network]).body(body).id()
    };
    let (other, ceph) = (subnet("other", 1, "user"), subnet("ceph", 2, "ceph"));
    let peering = |subnet: Value| json!({ "vpc_peerings": [{ "subnet": subnet }] });
    setting.refused(400, peering(json!("nothing")));
    assert!(setting.refused(422, peering(json!(setting.private))).contains("overlaps"));
    let far = world.site("us").private_subnet;
    assert!(setting.refused(422, peering(json!(far))).contains("another region"));
    let made = setting.create(json!({ "vpc_peerings": [
        { "subnet": other, "policy": "accept", "egress": [{ "ports": "22" }] },
        { "subnet": ceph },
    ] }));
    let shown = &made["vpc_peerings"];
    assert_eq!(shown[0]["netip"].as_array().unwrap().len(), 3);
    assert_eq!(shown[0]["netip"][0], json!({ "zone": "eu-a", "private": "10.2.1.2" }));
    assert_eq!(shown[0]["egress"], json!([{ "protocol": "tcp", "ports": "22" }]));
    assert_eq!(shown[1]["egress"][0]["ports"], json!("111,2049,3300,6789,6800-7568"));
    let on = setting.on(setting.agents[2]).unwrap();
    assert_eq!(on.peerings[0].port.address.unwrap().to_string(), "10.2.1.4/24");
    assert!(world.call("delete_subnet").to([other]).refused(409).contains("gateway"));
}

#[test]
fn machines_of_the_project_have_leases() {
    let setting = setting();
    setting.create(json!({}));
    let body = json!({ "name": "web", "vcpus": 1, "memory": GIB, "disk": 4 * GIB });
    let made = setting.world.call("create_project_zone_kompute").to([setting.project, setting.zones[0]]);
    let made = made.body(body).ok();
    let leases = setting.on(setting.agents[2]).unwrap().leases;
    let found: Vec<_> = leases.iter().map(|lease| (lease.host.as_str(), lease.address.to_string())).collect();
    assert_eq!(found, [("web", made["ip"].as_str().unwrap().to_owned())]);
}

#[test]
fn no_address_or_hardware_address_is_given_twice() {
    let setting = setting();
    setting.create(json!({ "vpc_peerings": [] }));
    let gateway = &setting.world.all::<Gateway>()[0];
    let claims = gateway.spec.claims(gateway.id());
    let unique: BTreeSet<_> = claims.iter().collect();
    assert_eq!(claims.len(), unique.len());
}

#[test]
fn a_region_without_a_public_network_has_a_private_gateway() {
    let world = World::new();
    let region = world.call("create_region").body(json!({ "name": "eu", "domain": "example.org" })).id();
    let zone = world.call("create_region_zone").to([region]).body(json!({ "name": "a" })).id();
    let (_, subnet) = world.network(region, true, "10.1.0");
    let project = world.project("shop", [], [region]);
    let create = || world.call("create_project_region_kawaii").to([project, region]).body(json!({}));
    assert!(create().refused(422).contains("no host of the zone"));
    let (one, _) = world.host(zone, "h1");
    let (two, _) = world.host(zone, "h2");
    let made = create().ok();
    assert_eq!(made["netip"]["zones"], json!([{ "zone": "a", "private": "10.1.0.2" }]));
    // One zone only: a second host of it takes over.
    let gateway = &world.all::<Gateway>()[0].spec;
    assert_eq!(gateway.members.len(), 2);
    assert_eq!((gateway.private_subnet, gateway.public_subnet), (subnet, None));
    let priority = |agent: Id| {
        world.desired(agent).into_iter().find_map(|desired| match desired.state {
            State::Present(Specification::Gateway(gateway)) => Some(gateway.pairs[0].priority),
            State::Present(_) | State::Absent(_) => None,
        })
    };
    assert_eq!(BTreeSet::from([priority(one), priority(two)]), BTreeSet::from([Some(120), Some(150)]));
}

#[test]
fn gateways_are_those_of_members() {
    let setting = setting();
    let world = &setting.world;
    let (ann, bob) = (world.user("ann", Role::User), world.user("bob", Role::User));
    let team = world.team("shop", [ann]);
    world.call("update_project").to([setting.project]).body(json!({ "teams": [team] })).ok();
    let create = |user| {
        world
            .call("create_project_region_kawaii")
            .by(user)
            .to([setting.project, setting.region])
            .body(json!({}))
    };
    create(bob).refused(404);
    let made = create(ann).id();
    world.call("read_kawaii").by(bob).to([made]).refused(404);
    assert!(world.call("list_kawaiis").by(bob).ids().is_empty());
    assert_eq!(world.call("list_kawaiis").by(ann).ids(), [made]);
    world.call("delete_kawaii").by(bob).to([made]).refused(404);
}

#[test]
fn members_peer_with_what_they_may_know_of() {
    let setting = setting();
    let world = &setting.world;
    let ann = world.user("ann", Role::User);
    let team = world.team("shop", [ann]);
    world.call("update_project").to([setting.project]).body(json!({ "teams": [team] })).ok();
    let network = world.get::<Subnet>(setting.private).spec.network;
    let body = json!({ "name": "other", "cidr": "10.2.1.0/24", "gateway": "10.2.1.1" });
    let other = world.call("create_v_net_subnet").to([network]).body(body).id();
    assert_eq!(world.all::<Network>().len(), 2);
    let call = world.call("create_project_region_kawaii").by(ann).to([setting.project, setting.region]);
    let reason = call.body(json!({ "vpc_peerings": [{ "subnet": other }] })).refused(400);
    assert!(reason.contains("there is no subnet"), "{reason}");
}

#[test]
fn a_change_around_a_gateway_concerns_it() {
    let setting = setting();
    let made = id(&setting.create(json!({})));
    let snapshot = setting.world.snapshot();
    let gateway = freehold_store::Key::of::<Gateway>(made);
    for key in [
        freehold_store::Key::of::<Subnet>(setting.public),
        freehold_store::Key::of::<crate::hypervisor::Hypervisor>(
            setting.world.all::<crate::hypervisor::Hypervisor>()[0].id(),
        ),
        freehold_store::Key::of::<Project>(setting.project),
    ] {
        let object = snapshot.get_any(key).unwrap().clone();
        let change = freehold_store::Change { key, before: None, after: Some(object) };
        assert!(crate::slice::affected(&change, &snapshot).contains(&gateway), "{key}");
    }
}

#[test]
fn a_zone_that_came_later_gets_its_instance_with_the_next_change() {
    let setting = setting();
    let made = id(&setting.create(json!({})));
    let world = &setting.world;
    let zone = world.call("create_region_zone").to([setting.region]).body(json!({ "name": "eu-d" })).id();
    let update = || world.call("update_kawaii").to([made]).body(json!({})).ok();
    // Its address is there before it has a host; the others hold it.
    assert_eq!(
        update()["netip"]["zones"][3],
        json!({
            "zone": "eu-d", "public": "192.0.2.13", "private": "10.1.0.5",
        })
    );
    assert_eq!(world.get::<Gateway>(made).spec.members.len(), 3);
    let (agent, _) = world.host(zone, "eu-d1");
    let before = world.get::<Gateway>(made).spec;
    update();
    let after = world.get::<Gateway>(made).spec;
    assert_eq!((after.members.len(), &after.members[..3]), (4, &before.members[..]));
    assert_eq!(after.public_macs.len(), 4);
    let priorities: Vec<u8> = setting.on(agent).unwrap().pairs.iter().map(|pair| pair.priority).collect();
    assert_eq!(priorities, [100, 100, 100, 150]);
    assert_eq!(setting.on(setting.agents[0]).unwrap().peers.len(), 3);
    // Nothing more is made.
    update();
    assert_eq!(world.get::<Gateway>(made).spec, after);
}

#[test]
fn members_see_how_their_gateway_is_and_operators_where() {
    let setting = setting();
    let world = &setting.world;
    let ann = world.user("ann", Role::User);
    let team = world.team("shop", [ann]);
    world.call("update_project").to([setting.project]).body(json!({ "teams": [team] })).ok();
    let made = id(&setting.create(json!({})));
    let read = || world.call("read_kawaii_status").to([made]);
    let status = read().ok();
    assert_eq!((&status["ready"], &status["instances"][0]["phase"]), (&json!(false), &json!("working")));
    world.converge();
    let status = read().ok();
    assert_eq!(status["ready"], json!(true));
    assert_eq!(status["instances"][0]["agent"], json!(setting.agents[0]));
    let shown = read().by(ann).ok();
    assert_eq!(shown["instances"][0]["zone"], json!("eu-a"));
    assert_eq!(shown["instances"][0]["holds"][1], json!("192.0.2.10"));
    assert!(shown["instances"][0].get("agent").is_none());
}

#[test]
fn a_subnet_goes_back_only_when_nothing_stands_in_it() {
    let setting = setting();
    let world = &setting.world;
    let (_, other) = {
        let network = world.get::<Subnet>(setting.private).spec.network;
        let body = json!({ "name": "other", "cidr": "10.2.1.0/24", "gateway": "10.2.1.1",
            "gw_pool": [{ "first": "10.2.1.2", "last": "10.2.1.9" }] });
        (network, world.call("create_v_net_subnet").to([network]).body(body).id())
    };
    let neighbour = world.project("blog", [], [setting.region]);
    let made = id(&setting.create(json!({ "vpc_peerings": [{ "subnet": other }] })));
    // Neither its own gateway nor that of another project may stay behind for the next tenant.
    let leave = |project| world.call("update_project").to([project]).body(json!({ "regions": [] }));
    assert!(leave(setting.project).refused(409).contains("gateway"));
    assert!(leave(neighbour).refused(409).contains("gateway"));
    assert!(world.call("delete_project").to([neighbour]).refused(409).contains("gateway"));
    world.call("delete_kawaii").to([made]).ok();
    world.converge();
    leave(setting.project).ok();
    world.call("delete_project").to([neighbour]).ok();
}

#[test]
fn what_a_host_would_multiply_is_limited() {
    let setting = setting();
    let ports: Vec<String> = (0..100).map(|number| (2 * number + 1).to_string()).collect();
    let rules = vec![json!({ "ports": ports.join(",") }); 3];
    let reason = setting.refused(422, json!({ "firewall": { "ingress": rules } }));
    assert!(reason.contains("300 ports and ranges"), "{reason}");
}
