use serde_json::{Value, json};

use super::*;
use crate::testing::World;

fn body() -> Value {
    json!({
        "name": "office", "remote_ip": "198.51.100.7", "remote_subnet": "172.16.0.0/24",
        "pre_shared_key": "correct horse",
        "phase1_dh_group_number": 19, "phase1_integrity_algorithm": "SHA256", "phase1_encryption_algorithm": "AES256",
        "phase2_dh_group_number": 14, "phase2_integrity_algorithm": "SHA512", "phase2_encryption_algorithm": "AES128",
    })
}

fn with(changes: &Value) -> Value {
    let mut body = body();
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body
}

fn gateway(world: &World, name: &str) -> Id {
    let site = world.site(name);
    let project = world.project(name, [], [site.region]);
    world.call("create_project_region_kawaii").to([project, site.region]).body(json!({})).id()
}

fn id(value: &Value) -> Id {
    value["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_connection_is_made_read_changed_and_removed() {
    let world = World::new();
    let gateway = gateway(&world, "eu");
    let made = world.call("create_kawaii_ip_sec").to([gateway]).body(body()).ok();
    assert_eq!(made["ip"], json!("192.0.2.10"));
    assert_eq!((&made["dpd_timeout"], &made["dpd_timeout_action"]), (&json!("240s"), &json!("restart")));
    assert_eq!((&made["start_action"], &made["rekey_time"]), (&json!("start"), &json!("2h")));
    assert_eq!((&made["phase1_lifetime"], &made["firewall"]), (&json!("1h"), &json!({ "ingress": [] })));
    let connection = id(&made);
    assert_eq!(world.call("read_kawaii_ip_sec").to([gateway, connection]).ok(), made);
    assert_eq!(world.call("list_kawaii_ip_secs").to([gateway]).ids(), [connection]);
    let update = |change: Value| world.call("update_kawaii_ip_sec").to([gateway, connection]).body(change);
    assert_eq!(update(made.clone()).ok(), made);
    let changed = update(json!({ "pre_shared_key": "battery staple", "rekey_time": "90m" })).ok();
    assert_eq!((&changed["rekey_time"], &changed["remote_ip"]), (&json!("90m"), &made["remote_ip"]));
    assert!(world.call("delete_kawaii").to([gateway]).refused(409).contains("office"));
    world.call("delete_kawaii_ip_sec").to([gateway, connection]).ok();
    world.call("delete_kawaii").to([gateway]).ok();
}

#[test]
fn a_connection_is_checked() {
    let world = World::new();
    let gateway = gateway(&world, "eu");
    let create = |changes: Value| world.call("create_kawaii_ip_sec").to([gateway]).body(with(&changes));
    for (status, field, bad) in [
        (400, "", json!({ "name": "" })),
        (422, "remote_ip", json!({ "remote_ip": "office.example.org" })),
        (422, "remote_ip", json!({ "remote_ip": "0.0.0.0" })),
        (422, "remote_subnet", json!({ "remote_subnet": "10.1.0.0/16" })),
        (422, "remote_subnet", json!({ "remote_subnet": "all" })),
        (422, "pre_shared_key", json!({ "pre_shared_key": "short" })),
        (422, "rekey_time", json!({ "rekey_time": "soon" })),
        (422, "phase2_lifetime", json!({ "phase2_lifetime": "0s" })),
        (400, "phase1_dh_group_number", json!({ "phase1_dh_group_number": 1 })),
        (400, "", json!({ "phase1_integrity_algorithm": "MD5" })),
        (400, "ports", json!({ "firewall": { "ingress": [{ "ports": "x" }] } })),
    ] {
        let reason = create(bad.clone()).refused(status);
        assert!(reason.contains(field), "{bad}: {reason}");
        assert!(!reason.contains("short"), "{reason}");
    }
    create(json!({})).ok();
    create(json!({ "remote_ip": "198.51.100.8" })).refused(409);
    assert!(create(json!({ "name": "other" })).refused(409).contains("198.51.100.7"));
    create(json!({ "name": "other", "remote_ip": "198.51.100.8", "phase1_dh_group_number": 5 })).ok();
}

#[test]
fn a_connection_belongs_to_its_gateway() {
    let world = World::new();
    let (eu, us) = (gateway(&world, "eu"), gateway(&world, "us"));
    let connection = id(&world.call("create_kawaii_ip_sec").to([eu]).body(body()).ok());
    world.call("read_kawaii_ip_sec").to([us, connection]).refused(404);
    world.call("update_kawaii_ip_sec").to([us, connection]).body(json!({})).refused(404);
    world.call("delete_kawaii_ip_sec").to([us, connection]).refused(404);
    let object = world.get::<Connection>(connection);
    let tunnel = tunnel(&object, "10.1.0.0/24".parse().unwrap()).unwrap();
    assert_eq!((tunnel.dpd_timeout, tunnel.rekey_time, tunnel.phase1.lifetime), (240, 7_200, 3_600));
    assert!(!format!("{tunnel:?}").contains("horse"));
}
