use freehold_types::service::DnsName;
use proptest::prelude::*;

use super::*;

fn zone(names: &[(&str, &[&str])]) -> DnsZone {
    let name = |(name, addresses): &(&str, &[&str])| DnsName {
        name: (*name).to_owned(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    DnsZone { domain: "Corp.Example".to_owned(), names: names.iter().map(name).collect() }
}

fn sets(zone: &DnsZone) -> Vec<RecordSet> {
    wanted("corp.example.", &addresses(zone).unwrap())
}

/// What a zone holds once the changes are made.
fn apply(observed: &[RecordSet], changes: &[Change]) -> Vec<RecordSet> {
    let mut held: BTreeMap<_, _> =
        observed.iter().map(|set| ((set.name.clone(), set.kind.clone()), set.clone())).collect();
    for change in changes {
        match change {
            Change::Replace(set) => drop(held.insert((set.name.clone(), set.kind.clone()), set.clone())),
            Change::Delete { name, kind } => drop(held.remove(&(name.clone(), kind.clone())).unwrap()),
        }
    }
    held.into_values().collect()
}

#[test]
fn a_zone_has_an_a_and_an_aaaa_set_per_name_beside_its_soa_and_ns() {
    let sets = sets(&zone(&[
        ("@", &["10.0.0.1"]),
        ("Web", &["10.0.0.3", "fd00::3", "10.0.0.2", "10.0.0.3"]),
        ("none", &[]),
    ]));
    let shown: Vec<String> = sets
        .iter()
        .map(|set| {
            let contents: Vec<&str> = set.records.iter().map(|record| record.content.as_str()).collect();
            format!("{} {} {} {}", set.name, set.ttl, set.kind, contents.join(","))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "corp.example. 60 SOA corp.example. nobody.invalid. 1 3600 1200 604800 10",
            "corp.example. 60 NS corp.example.",
            "corp.example. 60 A 10.0.0.1",
            "web.corp.example. 60 A 10.0.0.2,10.0.0.3",
            "web.corp.example. 60 AAAA fd00::3",
        ]
    );
}

#[test]
fn what_is_no_host_name_is_refused_with_the_name() {
    let long = "a".repeat(64);
    for wrong in
        ["*", "*.web", "_sip._tcp", "-a", "a-", "", "a..b", ".", "a b", "ä", "a.b.", "a/b", "a;b", &long]
    {
        let error = addresses(&zone(&[(wrong, &["10.0.0.1"])])).unwrap_err();
        assert!(error.contains(&format!("`{wrong}`")), "{error}");
    }
    let deep = vec!["abcdefghi"; 25].join(".");
    assert!(addresses(&zone(&[(&deep, &["10.0.0.1"])])).is_err());
    for wrong in ["", ".", "arpa", "10.in-addr.arpa", "*.example", "corp.example."] {
        assert!(addresses(&DnsZone { domain: wrong.to_owned(), names: Vec::new() }).is_err(), "{wrong}");
    }
    assert!(addresses(&zone(&[("a.b-c.0", &["10.0.0.1"])])).is_ok());
}

#[test]
fn a_zone_as_it_should_be_is_left_alone_however_it_is_written() {
    let wanted = sets(&zone(&[("web", &["10.0.0.2", "10.0.0.3", "fd00::3"])]));
    let mut observed = wanted.clone();
    observed.reverse();
    for set in &mut observed {
        set.records.reverse();
        for record in &mut set.records {
            record.content =
                record.content.replace("fd00::3", "fd00:0:0:0::3").replace(" 1 3600", " 2026112702 3600");
        }
    }
    assert_eq!(difference(&observed, &wanted), []);
}

#[test]
fn edits_by_hand_are_undone() {
    let wanted = sets(&zone(&[("web", &["10.0.0.2"]), ("db", &["10.0.0.9"])]));
    let spoil: [fn(&mut Vec<RecordSet>); 6] = [
        |sets| sets[3].records[0].content = "10.9.9.9".to_owned(),
        |sets| sets[3].ttl = 3600,
        |sets| sets[3].records[0].disabled = true,
        |sets| drop(sets.remove(2)),
        |sets| sets[0].records[0].content = "a. b. 1 1 1 1 1".to_owned(),
        |sets| sets.push(RecordSet::new("hand.corp.example.", "TXT", ["\"made by hand\"".to_owned()])),
    ];
    for spoil in spoil {
        let mut observed = wanted.clone();
        spoil(&mut observed);
        let changes = difference(&observed, &wanted);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(difference(&apply(&observed, &changes), &wanted), []);
    }
}

#[test]
fn what_is_in_the_way_is_deleted_first() {
    let wanted = sets(&zone(&[("web", &["10.0.0.2"])]));
    let observed = [RecordSet::new("web.corp.example.", "CNAME", ["other.example.".to_owned()])];
    let changes = difference(&observed, &wanted);
    assert!(matches!(&changes[0], Change::Delete { kind, .. } if kind == "CNAME"), "{changes:?}");
}

#[test]
fn changes_are_written_as_the_api_wants_them() {
    let set = RecordSet::new("a.corp.example.", "A", ["10.0.0.1".to_owned()]);
    let json = |change: &Change| serde_json::to_value(change).unwrap();
    assert_eq!(
        json(&Change::Replace(set.clone())),
        serde_json::json!({"changetype": "REPLACE", "name": "a.corp.example.", "type": "A", "ttl": 60,
            "records": [{"content": "10.0.0.1", "disabled": false}], "comments": []})
    );
    assert_eq!(
        json(&set.deletion()),
        serde_json::json!({"changetype": "DELETE", "name": "a.corp.example.", "type": "A"})
    );
}

fn any_sets() -> impl Strategy<Value = Vec<RecordSet>> {
    let names = proptest::collection::btree_map(0u8..6, proptest::collection::btree_set(0u8..4, 0..3), 0..6);
    names.prop_map(|names| {
        let names = names.into_iter().map(|(name, addresses)| {
            let addresses = addresses.into_iter().map(|last| IpAddr::from([10, 0, 0, last])).collect();
            (format!("n{name}.corp.example."), addresses)
        });
        wanted("corp.example.", &names.collect())
    })
}

proptest! {
    #[test]
    fn a_plan_that_was_applied_leaves_nothing_to_do(observed in any_sets(), wanted in any_sets()) {
        let changes = difference(&observed, &wanted);
        prop_assert_eq!(difference(&apply(&observed, &changes), &wanted), []);
    }
}
