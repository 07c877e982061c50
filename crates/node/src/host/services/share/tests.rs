use freehold_types::net::Mac;
use freehold_types::service::Port;

use super::*;

fn share(writable: bool) -> Share {
    Share {
        name: "photos".to_owned(),
        private: Port {
            segment: Id::from_u64(1),
            mac: Mac::new([0xda, 0x1e, 0x70, 0, 0, 1]),
            address: Some("10.1.0.50/24".parse().unwrap()),
        },
        router: None,
        store: ShareStore::Directory { path: "/srv/shares".to_owned() },
        writable,
        protocols: Vec::new(),
        clients: vec!["10.1.0.0/24".parse().unwrap()],
    }
}

#[test]
fn what_is_rendered_is_what_people_see() {
    let files = files(Id::from_u64(7), &share(true).store).unwrap();
    let address = "10.1.0.50".parse().unwrap();
    insta::assert_snapshot!("core", ganesha::core(Path::new("/run/share"), address));
    insta::assert_snapshot!("export", ganesha::export(&share(true), &files));
    assert!(ganesha::export(&share(false), &files).contains("    Access_Type = RO;"));
}

#[test]
fn files_in_use_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let before = used(directory.path());
    std::fs::create_dir(directory.path().join("below")).unwrap();
    std::fs::write(directory.path().join("below/file"), vec![1; 100_000]).unwrap();
    assert!((100_000..200_000).contains(&(used(directory.path()) - before)));
    assert_eq!(used(Path::new("/nowhere")), 0);
}
