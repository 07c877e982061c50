//! Every example validates without a word, and survives a round trip through its own model.

use freehold_platform::examples::{ALL, Example, find};
use freehold_platform::load::Loaded;
use freehold_platform::model::Role;

use crate::support;

fn load(example: &Example, profiles: &[&str]) -> Loaded {
    support::load(example.files.iter().map(|(name, text)| support::plain(name, text)).collect(), profiles)
}

#[test]
fn examples_have_no_faults() {
    for example in ALL {
        let loaded = load(example, &[]);
        assert!(loaded.faults().is_empty(), "{}:\n{}", example.name, support::report(&loaded));
    }
    assert!(ALL.len() >= 4);
}

#[test]
fn examples_survive_a_round_trip() {
    for example in ALL {
        let first = load(example, &[]);
        let first = first.platform().unwrap();
        let text = serde_norway::to_string(first).unwrap();
        let again = support::load(vec![support::plain("again.yaml", &text)], &[]);
        assert_eq!(again.platform(), Some(first), "{}:\n{}\n{text}", example.name, support::report(&again));
    }
}

#[test]
fn examples_are_what_they_say() {
    let machines = |name: &str| load(find(name).unwrap(), &[]).platform().unwrap().machines.len();
    assert_eq!(machines("one-node"), 1);
    assert_eq!(machines("three-nodes"), 3);
    assert_eq!(machines("kowabunga-region"), 6);
    assert_eq!(machines("openstack-lab"), 3);
    let region = load(find("kowabunga-region").unwrap(), &[]);
    let region = region.platform().unwrap();
    assert_eq!(region.machines_with(Role::Hypervisor).len(), 3);
    assert_eq!(region.machines_with(Role::Edge).len(), 2);
    let kaktus = &region.machines["kaktus-1"];
    let carried = kaktus.interfaces.iter().filter(|(name, _)| name.as_str().starts_with("br20"));
    assert_eq!(carried.filter(|(_, bridge)| bridge.addresses.is_empty()).count(), 9);
    assert_eq!(region.address(kaktus, Some("storage")).unwrap().to_string(), "10.50.102.11");
}

#[test]
fn the_second_phase_of_the_laboratory_is_a_profile() {
    let lab = load(find("openstack-lab").unwrap(), &["ceph"]);
    assert!(!lab.faults().is_fatal(), "{}", support::report(&lab));
    let text = support::report(&lab);
    assert!(text.contains("a second failure loses data"), "{text}");
    let platform = lab.platform().unwrap();
    assert_eq!(platform.machines_with(Role::CephOsd).len(), 2);
    assert!(load(find("openstack-lab").unwrap(), &[]).platform().unwrap().services.ceph.is_none());
}

/// The JSON Schema that editors use agrees: it has every key that the examples use.
#[test]
fn the_schema_names_every_key_of_the_model() {
    let schema = freehold_platform::schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let properties = schema["properties"].as_object().unwrap();
    let platform = load(find("kowabunga-region").unwrap(), &[]);
    let value = serde_json::to_value(platform.platform().unwrap()).unwrap();
    for key in value.as_object().unwrap().keys() {
        assert!(properties[key]["description"].as_str().is_some_and(|about| about.len() > 10), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
