//! Tests of what the text of a pool means, and of the operations.

use freehold_store::Object;
use freehold_types::agent::PoolDriver;
use freehold_types::size::GIB;
use freehold_types::{ErrorKind, Id};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Pool, default_of, driver};
use crate::cost::Price;
use crate::region::Region;
use crate::route::Wait;
use crate::testing::World;

fn pool(text: &str) -> Pool {
    Pool {
        region: Id::from_u64(1),
        name: "main".to_owned(),
        description: None,
        pool: text.to_owned(),
        ceph_address: "10.0.0.1".to_owned(),
        ceph_port: 3_300,
        ceph_secret_uuid: Some("f5ff2d7a-0cd1-4b2e-9e0c-6f0f4a7f1c11".to_owned()),
        cost: Price::default(),
        agents: Vec::new(),
        default_image: None,
    }
}

fn path(text: &str) -> Option<String> {
    match driver::parse(&pool(text)) {
        Ok(PoolDriver::Directory { path }) => Some(path),
        _ => None,
    }
}

#[test]
fn directories_are_absolute_and_normal() {
    assert_eq!(path("dir:/srv/pool").as_deref(), Some("/srv/pool"));
    assert_eq!(path("dir://srv/./pool/").as_deref(), Some("/srv/pool"));
    assert_eq!(path("dir:/srv/my pool").as_deref(), Some("/srv/my pool"));
    for bad in ["dir:", "dir:/", "dir:srv", "dir:/srv/../etc", "dir:/..", "dir:/a\n", "dir:/./"] {
        assert_eq!(driver::parse(&pool(bad)).unwrap_err().kind, ErrorKind::Invalid, "{bad}");
    }
}

#[test]
fn volume_groups_and_ceph_pools_have_names() {
    assert_eq!(driver::parse(&pool("logical:vg+0")), Ok(PoolDriver::Logical { group: "vg+0".to_owned() }));
    for bad in
        ["logical:", "logical:-x", "logical:..", "logical:a/b", "lvm:x", "a/b", "a b", "-x", ".mgr", "Dir:/x"]
    {
        assert_eq!(driver::parse(&pool(bad)).unwrap_err().kind, ErrorKind::Invalid, "{bad}");
    }
    assert_eq!(driver::parse(&pool("")).unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn ceph_has_a_monitor_and_the_id_of_a_secret() {
    let expected = PoolDriver::Rbd {
        pool: "rbd".to_owned(),
        monitor: "10.0.0.1".to_owned(),
        port: 3_300,
        secret: pool("rbd").ceph_secret_uuid,
    };
    assert_eq!(driver::parse(&pool("rbd")), Ok(expected));
    for (address, is_good) in [
        ("localhost", true),
        ("", true),
        ("fd00::1", true),
        ("mon.example.org", true),
        ("a b", false),
        ("a/b", false),
    ] {
        let pool = Pool { ceph_address: address.to_owned(), ..pool("rbd") };
        assert_eq!(driver::parse(&pool).is_ok(), is_good, "{address}");
    }
    let key = "AQBSdFhcM8ynAxAAFvDRHyYXbd2CYQ2SnJ8vPA==";
    let keyed = Pool { ceph_secret_uuid: Some(key.to_owned()), ..pool("rbd") };
    let error = driver::parse(&keyed).unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && !error.reason.contains(key), "{error}");
}

#[test]
fn each_host_has_its_own_part_of_a_local_pool() {
    assert!(pool("dir:/srv").is_local() && pool("logical:vg").is_local());
    assert!(!pool("rbd").is_local());
}

proptest! {
    #[test]
    fn a_directory_that_is_taken_leads_down(parts in proptest::collection::vec("[a-c.]{0,3}", 0..6)) {
        if let Some(path) = path(&format!("dir:/{}", parts.join("/"))) {
            prop_assert!(path.starts_with('/') && path.len() > 1 && !path.ends_with('/'));
            prop_assert!(path.split('/').skip(1).all(|part| !matches!(part, "" | "." | "..")));
            // What is normal stays as it is.
            let again = self::path(&format!("dir:{path}"));
            prop_assert_eq!(again, Some(path));
        }
    }

    #[test]
    fn no_text_panics(text in "(dir:|logical:)?\\PC{0,24}") {
        let _ = driver::parse(&pool(&text));
    }
}

fn create(world: &World, region: Id, name: &str) -> Id {
    world
        .call("create_region_storage_pool")
        .to([region])
        .body(json!({ "name": name, "pool": "rbd", "agents": [] }))
        .id()
}

#[test]
fn what_was_given_comes_back_in_its_order() {
    let world = World::new();
    let site = world.site("eu");
    let (other, _) = world.host(site.zone, "eu-a2");
    let given = json!({
        "name": "ceph", "description": "fast", "pool": "rbd", "ceph_address": "10.0.0.9", "ceph_port": 6_789,
        "ceph_secret_uuid": "f5ff2d7a-0cd1-4b2e-9e0c-6f0f4a7f1c11",
        "cost": { "price": 12.5, "currency": "CHF" }, "agents": [other, site.agent],
    });
    let mut made = world.call("create_region_storage_pool").to([site.region]).body(given.clone()).ok();
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.call("read_storage_pool").to([id]).ok(), made);
    assert_eq!(world.call("update_storage_pool").to([id]).body(made.clone()).ok(), made);
    made.as_object_mut().unwrap().remove("id");
    assert_eq!(made, given);
}

#[test]
fn what_is_left_out_is_that_of_the_contract() {
    let world = World::new();
    let site = world.site("eu");
    let made = world.call("read_storage_pool").to([site.pool]).ok();
    assert_eq!(made["ceph_address"], "localhost");
    assert_eq!(made["ceph_port"], 3_300);
    assert_eq!(made["cost"], json!({ "price": 0.0, "currency": "EUR" }));
    let body = json!({ "name": "zero", "pool": "rbd", "agents": [], "ceph_port": 0, "ceph_address": "" });
    let made = world.call("create_region_storage_pool").to([site.region]).body(body).ok();
    assert_eq!((&made["ceph_port"], &made["ceph_address"]), (&json!(3_300), &json!("")));
}

#[test]
fn the_first_pool_is_the_default_until_another_is() {
    let world = World::new();
    let region = world.call("create_region").body(json!({ "name": "eu", "domain": "example.org" })).id();
    let default = |explicit: Option<Id>| {
        let snapshot = world.snapshot();
        default_of(&world.get::<Region>(region), &snapshot, explicit)
            .map(Object::id)
            .map_err(|error| error.kind)
    };
    assert_eq!(default(None), Err(ErrorKind::NotFound));
    let ids = ["a", "b", "c"].map(|name| create(&world, region, name));
    assert_eq!(default(None), Ok(ids[0]));
    assert_eq!(default(Some(ids[1])), Ok(ids[1]));
    world.call("set_region_default_storage_pool").to([region, ids[2]]).ok();
    assert_eq!(default(None), Ok(ids[2]));
    world.call("delete_storage_pool").to([ids[2]]).ok();
    assert_eq!(default(None), Ok(ids[0]));
    assert_eq!(default(Some(ids[2])), Err(ErrorKind::Conflict));
    let elsewhere = world.call("create_region").body(json!({ "name": "us", "domain": "example.org" })).id();
    assert_eq!(default(Some(create(&world, elsewhere, "a"))), Err(ErrorKind::NotFound));
}

#[test]
fn a_pool_that_holds_something_stays_where_it_is() {
    let world = World::new();
    let site = world.site("eu");
    let update = |change: Value| world.call("update_storage_pool").to([site.pool]).body(change);
    assert!(update(json!({ "pool": "dir:/elsewhere" })).refused(409).contains("1 images"));
    assert!(world.call("delete_storage_pool").to([site.pool]).refused(409).contains("image `debian`"));
    update(json!({ "pool": "dir:/srv/pool", "description": "ours" })).ok();
    world.call("delete_template").to([site.image]).ok();
    world.converge();
    update(json!({ "pool": "dir:/elsewhere" })).ok();
    let answer = world.call("delete_storage_pool").to([site.pool]).send().unwrap();
    assert!(matches!(answer.wait, Some(Wait::Gone(key)) if key.id == site.pool));
    world.converge();
    assert!(world.find::<Pool>(site.pool).is_none());
}

#[test]
fn a_host_with_disks_of_a_pool_stays_in_it() {
    let world = World::new();
    let site = world.site("eu");
    let project = world.project("shop", [], [site.region]);
    let body = json!({ "name": "data", "type": "raw", "size": GIB });
    let volume = world.call("create_project_region_volume").to([project, site.region]).body(body).id();
    let (other, _) = world.host(site.zone, "eu-a2");
    let update = |change: Value| world.call("update_storage_pool").to([site.pool]).body(change);
    assert!(update(json!({ "agents": [other] })).refused(409).contains("`data`"));
    update(json!({ "agents": [other, site.agent] })).ok();
    world.call("delete_volume").to([volume]).ok();
    world.converge();
    update(json!({ "agents": [other] })).ok();
}

#[test]
fn odd_pools_are_refused() {
    let world = World::new();
    let site = world.site("eu");
    let edge = world.call("create_agent").body(json!({ "name": "edge", "type": "Kiwi" })).id();
    let refused = |status: u16, body: Value| {
        world.call("create_region_storage_pool").to([site.region]).body(body).refused(status)
    };
    refused(422, json!({ "name": "x", "pool": "dir:relative", "agents": [] }));
    refused(400, json!({ "name": "x", "pool": "", "agents": [] }));
    refused(409, json!({ "name": "main", "pool": "rbd", "agents": [] }));
    refused(404, json!({ "name": "x", "pool": "rbd", "agents": [Id::from_u64(1)] }));
    refused(422, json!({ "name": "x", "pool": "rbd", "agents": [edge] }));
    refused(422, json!({ "name": "x", "pool": "rbd", "agents": [site.agent, site.agent] }));
    refused(
        422,
        json!({ "name": "x", "pool": "rbd", "agents": [], "cost": { "price": -1.0, "currency": "EUR" } }),
    );
    refused(400, json!({ "name": "x", "pool": "rbd", "agents": [], "ceph_port": 65_536 }));
}

#[test]
fn operators_see_how_full_a_pool_is() {
    let world = World::new();
    let site = world.site("eu");
    let status = world.call("read_storage_pool_status").to([site.pool]).ok();
    assert_eq!(status["capacity"], 1_000 * GIB);
    assert_eq!(status["nodes"][0]["agent"], json!(site.agent));
    assert_eq!(status["nodes"][0]["phase"], "ready");
    let user = world.user("ann", freehold_types::wire::Role::User);
    world.call("read_storage_pool_status").to([site.pool]).by(user).refused(403);
    assert_eq!(world.call("list_storage_pools").by(user).ids(), [site.pool]);
}
