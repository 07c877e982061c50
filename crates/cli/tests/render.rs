//! What objects look like: tables, documents, descriptions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use freehold_cli::directory::Names;
use freehold_cli::kind::{Cell, Detail, KINDS, Kind, Shape, find};
use freehold_cli::object::Object;
use freehold_cli::render::{Surroundings, describe, json, objects_table, to_document, yaml};
use freehold_types::{Id, Timestamp};
use serde_json::{Map, Value, json};

const NOW: u64 = 1_800_000_000_000;

/// An id made so long before the present.
fn id(seconds_ago: u64, number: u32) -> String {
    format!("{:012x}0000{number:08x}", NOW - seconds_ago * 1_000).parse::<Id>().unwrap().to_string()
}

fn around(names: &[(&'static str, &str, &str)], states: &[(&str, &str)]) -> Surroundings {
    let mut known = Names::default();
    for (kind, id, name) in names {
        known.insert(kind, id, name);
    }
    let states = states.iter().map(|(id, state)| ((*id).to_owned(), (*state).to_owned()));
    Surroundings { names: known, states: states.collect(), now: Timestamp::from_millis(NOW) }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn object(value: Value) -> Object {
    Object::from_json(value).unwrap()
}

fn computes() -> Vec<Object> {
    vec![
        object(json!({
            "id": id(90, 1), "name": "web-1", "memory": 4_u64 << 30, "vcpus": 2, "disk": 20_u64 << 30,
            "data_disk": 0, "ip": "10.0.0.7", "kwarantines": [id(9, 9)], "uefi": true, "kmotion_enabled": true,
        })),
        object(json!({
            "id": id(86_400 * 12, 2), "name": "database", "description": "the books", "memory": 3_u64 << 29,
            "vcpus": 16, "disk": 1_u64 << 40, "data_disk": 500_u64 << 30, "uefi": false, "kmotion_enabled": false,
        })),
    ]
}

#[test]
fn a_table() {
    let group = id(9, 9);
    let around = around(
        &[("anti-affinity-group", &group, "front")],
        &[(&id(90, 1), "Running"), (&id(86_400 * 12, 2), "Shutoff")],
    );
    let kind = find("compute").unwrap();
    insta::assert_snapshot!(plain(&objects_table(kind, &computes(), false, &around)));
    insta::assert_snapshot!(plain(&objects_table(kind, &computes(), true, &around)));
}

#[test]
fn shares_tell_their_size_in_units() {
    let kind = find("file-share").unwrap();
    let share = object(json!({
        "id": id(90, 1), "name": "photos", "access": "RW", "protocols": [], "endpoint": "10.0.0.6:/photos",
        "size": 3_u64 << 29,
    }));
    let around = around(&[], &[]);
    insta::assert_snapshot!(plain(&objects_table(kind, std::slice::from_ref(&share), true, &around)));
    insta::assert_snapshot!(plain(&describe(kind, &share, &[], &around)));
}

#[test]
fn documents() {
    let kind = find("compute").unwrap();
    let documents: Vec<_> = computes().iter().map(|object| to_document(kind, object, false)).collect();
    insta::assert_snapshot!(yaml(&documents).unwrap());
    insta::assert_snapshot!(json(&documents[1]).unwrap());
}

#[test]
fn secrets_are_shown_only_when_asked_for() {
    let kind = find("project").unwrap();
    let project = object(json!({
        "id": id(1, 1), "name": "shop", "root_password": "hunter2", "tags": [], "quotas": { "vcpus": 8, "memory": 0 },
        "metadatas": [{ "key": "tier", "value": "gold" }], "teams": [], "regions": [id(2, 2)], "surprise": 7,
        "private_subnets": [{ "key": "paris", "value": id(3, 3) }], "reserved_vrrp_ids": [1, 2],
    }));
    let hidden = yaml(&[to_document(kind, &project, false)]).unwrap();
    insta::assert_snapshot!(hidden);
    assert!(yaml(&[to_document(kind, &project, true)]).unwrap().contains("hunter2"));
    let described = plain(&describe(kind, &project, &[], &around(&[], &[])));
    assert!(described.contains("Root password:") && !described.contains("hunter2"), "{described}");
}

#[test]
fn a_description() {
    let kind = find("hypervisor").unwrap();
    let (agent, instance) = (id(5, 5), id(6, 6));
    let host = object(json!({
        "id": id(7_200, 1), "name": "rack-1", "cpu_cost": { "price": 120.0, "currency": "EUR" },
        "overcommit_cpu_ratio": 3, "overcommit_memory_ratio": 2, "agents": [agent], "maintenance": false,
    }));
    let details: Vec<(&'static Detail, Option<Value>)> = kind
        .details
        .iter()
        .zip([
            Some(json!({
                "cpu": { "arch": "x86_64", "model": "EPYC 9354", "vendor": "AMD", "sockets": 1, "cores": 32, "threads": 64 },
                "memory": 256_u64 << 30,
            })),
            Some(json!([instance, id(8, 8)])),
        ])
        .collect();
    let around = around(&[("agent", &agent, "rack-1-agent"), ("instance", &instance, "web-1")], &[]);
    insta::assert_snapshot!(plain(&describe(kind, &host, &details, &around)));
    let denied: Vec<_> = kind.details.iter().map(|detail| (detail, None)).collect();
    assert!(plain(&describe(kind, &host, &denied, &around)).contains("not available"));
}

#[test]
fn nodes_of_a_pool_are_told() {
    let kind = find("pool").unwrap();
    let agent = id(5, 5);
    let pool = object(json!({ "id": id(1, 1), "name": "fast", "pool": "dir:/srv", "agents": [agent] }));
    let status = json!({
        "capacity": 100_u64 << 30, "allocated": 1_u64 << 30, "available": 99_u64 << 30,
        "nodes": [{ "agent": agent, "phase": "failed", "message": "the folder is read-only", "capacity": 0 }],
    });
    let details = [(&kind.details[0], Some(status))];
    insta::assert_snapshot!(plain(&describe(
        kind,
        &pool,
        &details,
        &around(&[("agent", &agent, "rack-1")], &[])
    )));
}

/// The widest value that is usual for a field.
fn usual(key: &str, shape: Shape) -> Value {
    match (key, shape) {
        ("name", _) => json!("frontend-production-1"),
        ("mac", _) => json!("52:54:00:ab:cd:ef"),
        ("cidr" | "remote_subnet", _) => json!("192.168.100.0/24"),
        ("gateway" | "ip" | "vip" | "remote_ip", _) => json!("192.168.100.254"),
        ("addresses" | "public_addresses" | "private_addresses", _) => json!(["192.168.100.254"]),
        ("endpoints", _) => json!([
            { "name": "web", "protocol": "tcp", "port": 443, "backends": { "hosts": ["10.0.0.7"], "port": 8443 } },
            { "name": "dns", "protocol": "udp", "port": 53, "backends": { "hosts": ["10.0.0.7"], "port": 53 } },
        ]),
        ("domain", _) => json!("paris.example.org"),
        ("email", _) => json!("alice.doe@example.org"),
        ("backing" | "file_system", _) => json!("dir:/var/lib/freehold"),
        ("endpoint", _) => json!("192.168.100.254:/frontend"),
        ("regions" | "teams", _) => json!(["paris"]),
        (_, Shape::Size) => json!(1_500_u64 << 20),
        (_, Shape::Integer(..)) => json!(128),
        (_, Shape::Boolean) => json!(true),
        (_, Shape::Choice(words)) => json!(words.last().unwrap().1),
        (_, Shape::Date) => json!("2027-01-31"),
        (_, Shape::Money) => json!({ "price": 1200.0, "currency": "EUR" }),
        (_, shape) if shape.several() => json!(["1", "2", "3"]),
        _ => json!("some text"),
    }
}

fn usual_object(kind: &'static Kind) -> Object {
    let mut map = Map::new();
    map.insert("id".to_owned(), json!(id(86_400 * 100, 1)));
    for column in kind.columns.iter().filter(|column| !column.wide) {
        if let Cell::Field(key) | Cell::Brief(key) | Cell::Count(key) = column.cell {
            let field = kind.field(key).unwrap();
            let value = usual(field.key, field.shape);
            match field.wire.split_once('.') {
                Some((outer, inner)) => {
                    let nested = map.entry(outer).or_insert_with(|| json!({}));
                    nested[inner] = value;
                }
                None => drop(map.insert(field.wire.to_owned(), value)),
            }
        }
    }
    Object(map)
}

#[test]
fn tables_of_usual_objects_fit_80_columns() {
    let states = BTreeMap::from([(id(86_400 * 100, 1), "Running".to_owned())]);
    for kind in KINDS {
        let around = Surroundings { states: states.clone(), ..around(&[], &[]) };
        for line in plain(&objects_table(kind, &[usual_object(kind)], false, &around)).lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", kind.name);
        }
    }
}
