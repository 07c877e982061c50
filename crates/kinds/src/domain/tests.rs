use freehold_types::agent::{Desired, State};
use freehold_types::service::DnsZone;
use freehold_types::size::GIB;
use serde_json::json;

use super::*;
use crate::testing::World;

fn project(world: &World, name: &str, domain: &str, region: Id) -> Id {
    let body = json!({ "name": name, "domain": domain, "teams": [], "regions": [region] });
    world.call("create_project").query("subnetSize=24").body(body).id()
}

fn edge(world: &World, region: Id, name: &str) -> Id {
    let agent = world.call("create_agent").body(json!({ "name": name, "type": "Kiwi" })).id();
    let body = json!({ "name": name, "agents": [agent] });
    world.call("create_region_kiwi").to([region]).body(body).ok();
    world.connect(agent);
    agent
}

/// The names that an edge must answer for, as texts.
fn names(world: &World, edge: Id, domain: &str) -> Option<Vec<String>> {
    let shown = |zone: &DnsZone| {
        zone.names.iter().map(|name| format!("{} {:?}", name.name, name.addresses)).collect()
    };
    world.desired(edge).iter().find_map(|desired: &Desired| match &desired.state {
        State::Present(Specification::DnsZone(zone)) if zone.domain == domain => Some(shown(zone)),
        State::Present(_) | State::Absent(_) => None,
    })
}

fn record(world: &World, project: Id, name: &str, address: &str) -> Id {
    let body = json!({ "name": name, "addresses": [address] });
    world.call("create_project_dns_record").to([project]).body(body).id()
}

#[test]
fn an_edge_answers_for_machines_and_records() {
    let world = World::new();
    let site = world.site("eu");
    let shop = project(&world, "shop", "Shop.example.org", site.region);
    let edge = edge(&world, site.region, "e1");
    let body = json!({ "name": "web", "vcpus": 1, "memory": GIB, "disk": 4 * GIB });
    let call = world.call("create_project_zone_kompute").query("public=true").to([shop, site.zone]);
    let made = call.body(body).ok();
    record(&world, shop, "api", "10.9.9.9");
    let expected = ["api [10.9.9.9]".to_owned(), format!("web [{}]", made["ip"].as_str().unwrap())];
    assert_eq!(names(&world, edge, "shop.example.org").unwrap(), expected);
    let compute: Id = made["id"].as_str().unwrap().parse().unwrap();
    world.call("delete_kompute").to([compute]).ok();
    assert_eq!(names(&world, edge, "shop.example.org").unwrap(), ["api [10.9.9.9]"]);
}

#[test]
fn a_change_of_a_name_concerns_its_domain() {
    let world = World::new();
    let site = world.site("eu");
    let shop = project(&world, "shop", "example.org", site.region);
    let domain = of(shop, &world.snapshot()).unwrap();
    let id = record(&world, shop, "api", "10.9.9.9");
    let before = world.snapshot();
    let key = Key::of::<crate::record::Record>(id);
    let object = before.get_any(key).unwrap();
    let change = freehold_store::Change { key, before: None, after: Some(object.clone()) };
    assert_eq!(crate::slice::affected(&change, &before), [domain]);
}

#[test]
fn a_domain_is_shared_and_goes_with_its_last_owner() {
    let world = World::new();
    let site = world.site("eu");
    let edge = edge(&world, site.region, "e1");
    let shop = project(&world, "shop", "example.org", site.region);
    let body = json!({ "name": "blog", "domain": "example.org", "teams": [], "regions": [] });
    let blog = world.call("create_project").body(body).id();
    let (a, _) = (record(&world, shop, "a", "10.0.0.1"), record(&world, blog, "b", "10.0.0.2"));
    assert_eq!(names(&world, edge, "example.org").unwrap(), ["a [10.0.0.1]", "b [10.0.0.2]"]);
    let domain = of(shop, &world.snapshot()).unwrap().id;
    world.call("delete_dns_record").to([a]).ok();
    world.call("delete_project").to([shop]).ok();
    world.converge();
    assert_eq!(names(&world, edge, "example.org").unwrap(), ["b [10.0.0.2]"]);
    for record in world.call("list_project_dns_records").to([blog]).ids() {
        world.call("delete_dns_record").to([record]).ok();
    }
    world.call("delete_project").to([blog]).ok();
    assert!(world.get::<Domain>(domain).is_deleting());
    world.converge();
    assert!(world.find::<Domain>(domain).is_none());
}

#[test]
fn an_edge_that_is_away_blocks_nobody() {
    let world = World::new();
    let site = world.site("eu");
    let edge = edge(&world, site.region, "e1");
    let shop = project(&world, "shop", "example.org", site.region);
    world.converge();
    world.disconnect(edge);
    let old = of(shop, &world.snapshot()).unwrap().id;
    world.call("delete_project").to([shop]).ok();
    let again = project(&world, "again", "example.org", site.region);
    world.converge();
    // The old one waits for the edge; the new one is another.
    assert!(world.get::<Domain>(old).is_deleting());
    let new = of(again, &world.snapshot()).unwrap().id;
    assert_ne!(new, old);
    world.connect(edge);
    world.converge();
    assert!(world.find::<Domain>(old).is_none() && world.find::<Domain>(new).is_some());
}

#[test]
fn the_domain_of_a_region_follows_its_name() {
    let world = World::new();
    let site = world.site("eu");
    let edge = edge(&world, site.region, "e1");
    world.call("update_region").to([site.region]).body(json!({ "domain": "new.example.org" })).ok();
    world.converge();
    assert_eq!(names(&world, edge, "new.example.org").unwrap(), [] as [&str; 0]);
    let domains: Vec<String> = world.all::<Domain>().into_iter().map(|domain| domain.spec.name).collect();
    assert_eq!(domains, ["new.example.org"]);
}

#[test]
fn a_store_from_before_domains_gets_them() {
    let world = World::new();
    let site = world.site("eu");
    let (shop, bare) = (project(&world, "shop", "example.org", site.region), world.project("bare", [], []));
    for domain in world.all::<Domain>() {
        let mut transaction = Transaction::default();
        transaction.delete(&domain);
        world.commit(transaction);
    }
    while let Some(transaction) = missing(&world.snapshot(), world.now) {
        world.commit(transaction);
    }
    assert!(of(shop, &world.snapshot()).is_some() && of(site.region, &world.snapshot()).is_some());
    assert!(of(bare, &world.snapshot()).is_none());
}

#[test]
fn only_operators_take_domains_of_the_world() {
    let world = World::new();
    world.site("eu");
    let ann = world.user("ann", freehold_types::wire::Role::ProjectAdmin);
    world.team("shop", [ann]);
    let create = |name: &str, domain: &str| {
        world
            .call("create_project")
            .by(ann)
            .body(json!({ "name": name, "domain": domain, "teams": [], "regions": [] }))
    };
    for foreign in ["example.net", "org", "eu.example.org", "xeu.example.org"] {
        assert!(create("a", foreign).refused(403).contains("eu.example.org"), "{foreign}");
    }
    create("a", "shop.eu.example.org").ok();
    for taken in ["shop.eu.example.org", "a.shop.eu.example.org", "SHOP.eu.example.org"] {
        assert!(create("b", taken).refused(409).contains("taken"), "{taken}");
    }
    create("b", "blog.eu.example.org").ok();
}
