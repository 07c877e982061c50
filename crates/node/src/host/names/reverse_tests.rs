use super::*;

const ONE: u64 = 1;
const TWO: u64 = 2;

fn names(names: &[(&str, &str)]) -> BTreeMap<String, Vec<IpAddr>> {
    names.iter().map(|(name, address)| ((*name).to_owned(), vec![address.parse().unwrap()])).collect()
}

fn sets(id: u64, pairs: &[(&str, &str)]) -> Vec<RecordSet> {
    wanted(Id::from_u64(id), &names(pairs)).into_values().flatten().collect()
}

#[test]
fn private_addresses_have_a_place_and_those_of_the_world_have_none() {
    let shown = |text: &str| place(text.parse().unwrap()).map(|place| (place.zone, place.name));
    let of = |zone: &str, name: &str| Some((zone.to_owned(), name.to_owned()));
    assert_eq!(shown("10.1.2.3"), of("2.1.10.in-addr.arpa.", "3.2.1.10.in-addr.arpa."));
    assert_eq!(shown("100.127.0.1"), of("0.127.100.in-addr.arpa.", "1.0.127.100.in-addr.arpa."));
    assert_eq!(
        shown("fd00:1:2:3::5"),
        of(
            "3.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.",
            "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa."
        )
    );
    for public in ["192.0.2.1", "100.63.0.1", "100.128.0.1", "8.8.8.8", "2001:db8::1", "127.0.0.1", "fe80::1"]
    {
        assert_eq!(shown(public), None, "{public}");
    }
}

#[test]
fn an_address_of_several_names_tells_the_first() {
    let sets = sets(ONE, &[("b.x.", "10.0.0.1"), ("a.x.", "10.0.0.1"), ("c.x.", "10.0.1.1")]);
    let shown: Vec<_> = sets.iter().map(|set| (set.name.as_str(), set.records[0].content.as_str())).collect();
    assert_eq!(shown, [("1.0.0.10.in-addr.arpa.", "a.x."), ("1.1.0.10.in-addr.arpa.", "c.x.")]);
}

#[test]
fn zones_that_share_a_network_do_not_touch_each_other() {
    let (one, two) = (Id::from_u64(ONE), Id::from_u64(TWO));
    let held = sets(ONE, &[("a.x.", "10.0.0.1"), ("b.x.", "10.0.0.2")]);
    // The same address, and another.
    let other = sets(TWO, &[("a.y.", "10.0.0.1"), ("c.y.", "10.0.0.3")]);
    let changes = difference(two, &held, &other);
    assert_eq!(changes, [Change::Replace(other[1].clone())]);
    let both: Vec<RecordSet> = held.iter().chain(&other[1..]).cloned().collect();
    assert_eq!(difference(one, &both, &held), []);
    // Each takes back its own alone.
    let changes = difference(one, &both, &[]);
    assert_eq!(changes, [held[0].deletion(), held[1].deletion()]);
    assert!(!is_empty_after(&both, &changes));
    assert!(is_empty_after(&held, &changes));
    assert!(is_empty_after(&[], &[]));
    assert!(!is_empty_after(&[], &[Change::Replace(held[0].clone())]));
}

#[test]
fn what_was_made_or_changed_by_hand_gives_way() {
    let one = Id::from_u64(ONE);
    let wanted = sets(ONE, &[("a.x.", "10.0.0.1")]);
    let mut by_hand = wanted.clone();
    by_hand[0].comments.clear();
    by_hand[0].records[0].content = "hand.example.".to_owned();
    assert_eq!(difference(one, &by_hand, &wanted), [Change::Replace(wanted[0].clone())]);
    let mut changed = wanted.clone();
    changed[0].ttl = 1;
    assert_eq!(difference(one, &changed, &wanted), [Change::Replace(wanted[0].clone())]);
    assert_eq!(difference(one, &wanted, &wanted), []);
}
