//! Tests of what the text of a pool means.

use freehold_types::agent::PoolDriver;
use freehold_types::{ErrorKind, Id};
use proptest::prelude::*;

use super::{Pool, driver};
use crate::cost::Price;

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
