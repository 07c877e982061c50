//! Tests of what a network may be.

use std::collections::BTreeSet;

use freehold_types::ErrorKind;
use proptest::prelude::*;

use super::spec;

#[test]
fn bridges_have_names_that_linux_takes() {
    for good in ["br0", "br-public.100", "a", "_x", "fifteen-bytes-x"] {
        assert!(spec::check_interface(good).is_ok(), "{good}");
    }
    for bad in [
        ".",
        "..",
        "lo",
        "all",
        "default",
        "-x",
        "a/b",
        "a b",
        "a:b",
        "a%d",
        "br\u{e4}",
        "sixteen-bytes-xx",
        "a\n",
        "a@b",
    ] {
        assert_eq!(spec::check_interface(bad).unwrap_err().kind, ErrorKind::Invalid, "{bad}");
    }
    assert_eq!(spec::check_interface("").unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn tags_are_those_of_the_standard() {
    assert!(spec::check_vlan(0).is_ok() && spec::check_vlan(4_094).is_ok());
    assert!(spec::check_vlan(4_095).is_err() && spec::check_vlan(u16::MAX).is_err());
}

#[test]
fn identifiers_run_out_with_an_answer() {
    assert_eq!(spec::free_vni(|_| true).unwrap_err().kind, ErrorKind::NoRoom);
}

proptest! {
    #[test]
    fn the_lowest_free_identifier_is_taken(taken in proptest::collection::btree_set(4_090_u32..4_120, 0..30)) {
        let vni = spec::free_vni(|vni| taken.contains(&vni)).unwrap();
        let below: BTreeSet<u32> = (4_096..vni).collect();
        prop_assert!(vni >= 4_096 && !taken.contains(&vni) && below.is_subset(&taken));
    }

    #[test]
    fn a_name_that_is_taken_fits_the_kernel(name in "[ -~]{0,20}") {
        if spec::check_interface(&name).is_ok() {
            prop_assert!((1..=15).contains(&name.len()) && !name.contains(['/', ':', ' ', '%']));
        }
    }
}
