//! The list, what is made of it, and what is left alone.

use std::collections::BTreeSet;

use freehold_types::Secret;

use super::*;

fn fill_for(plain: &str, sets: &[&str], rotate: &[&str]) -> crate::Result<Filled> {
    let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    fill("file", &Secret::new(plain.to_owned()), &owned(sets), &owned(rotate))
}

fn value(filled: &Filled, name: &str) -> String {
    crate::sops::edit::find("file", filled.text.expose(), name)
        .unwrap()
        .unwrap_or_else(|| panic!("{name}"))
        .into_inner()
}

#[test]
fn names_are_unique_and_hashes_have_their_source_before_them() {
    let mut seen = BTreeSet::new();
    for entry in all() {
        if let Some(of) = entry.kind.hash_of() {
            assert!(seen.contains(&format!("{}.{of}", entry.set())), "{}", entry.name);
        }
        assert!(entry.name.contains('.'), "{}", entry.name);
        assert!(seen.insert(entry.name.clone()), "{} is there twice", entry.name);
    }
    assert_eq!(
        all().iter().filter(|entry| entry.set() == "kolla").count(),
        110,
        "as many as kolla-genpwd makes"
    );
}

#[test]
fn everything_is_made_in_its_form() {
    let sets = sets();
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let filled = fill_for("", &sets, &[]).unwrap();
    let mut values = BTreeSet::new();
    for entry in all() {
        if entry.kind == Kind::Given {
            assert!(filled.to_be_given.contains(&entry.name));
            continue;
        }
        let leaf = if entry.kind == Kind::SshKey {
            format!("{}.private_key", entry.name)
        } else {
            entry.name.clone()
        };
        let value = value(&filled, &leaf);
        match entry.kind {
            Kind::Password(length, alphabet) => {
                assert_eq!(value.len(), length, "{}", entry.name);
                assert!(
                    value.chars().all(|character| alphabet.characters().contains(character)),
                    "{}",
                    entry.name
                );
            }
            Kind::Key(bytes) | Kind::UrlKey(bytes) => {
                assert_eq!(value.len(), bytes.div_ceil(3) * 4, "{}", entry.name);
            }
            Kind::Uuid => assert_eq!((value.len(), value.as_bytes()[14]), (36, b'4'), "{}", entry.name),
            Kind::ShortUuid | Kind::BcryptSalt => assert_eq!(value.len(), 22, "{}", entry.name),
            Kind::BootstrapToken => {
                assert_eq!((value.len(), value.find('.')), (23, Some(6)), "{}", entry.name);
            }
            Kind::Cephx => assert!(value.len() == 40 && value.starts_with("AQ"), "{}", entry.name),
            Kind::SshKey => {
                assert!(value.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{}", entry.name);
            }
            Kind::ShadowHash(_) => assert!(value.starts_with("$6$"), "{}", entry.name),
            Kind::MosquittoHash(_) => assert!(value.starts_with("$7$101$"), "{}", entry.name),
            Kind::Given => unreachable!("left out above"),
        }
        assert!(values.insert(value), "{} has the value of another", entry.name);
    }
    let again = fill_for(filled.text.expose(), &[], &[]).unwrap();
    assert_eq!(again.text, filled.text, "nothing is missing, nothing changes");
    assert!(again.added.is_empty() && again.rotated.is_empty());
}

#[test]
fn what_is_there_is_never_overwritten() {
    let plain = "# mine\nceph:\n  fsid: my-own # keep\n  mon_key:\n\nother:\n    x: 1\n";
    let filled = fill_for(plain, &[], &[]).unwrap();
    let text = filled.text.expose();
    assert!(text.starts_with("# mine\nceph:\n  fsid: my-own # keep\n  mon_key: AQ"), "{text}");
    assert!(text.ends_with("\n\nother:\n    x: 1\n"), "{text}");
    assert!(text.contains("\n  admin_key: AQ"), "indented like its neighbours: {text}");
    assert!(!filled.added.contains(&"ceph.fsid".to_owned()));
}

#[test]
fn renewal_is_asked_for_by_name_and_takes_hashes_along() {
    let filled = fill_for("", &["node", "ceph"], &[]).unwrap();
    let renewed = fill_for(filled.text.expose(), &[], &["node.root_password", "node.ssh_key"]).unwrap();
    assert_eq!(renewed.rotated, ["node.root_password", "node.root_password_hash", "node.ssh_key"]);
    assert!(renewed.added.is_empty());
    assert_ne!(value(&renewed, "node.root_password"), value(&filled, "node.root_password"));
    assert_eq!(value(&renewed, "ceph.fsid"), value(&filled, "ceph.fsid"));
    sha_crypt::sha512_check(
        &value(&renewed, "node.root_password"),
        &value(&renewed, "node.root_password_hash"),
    )
    .unwrap();
    for (name, expected) in [
        ("ceph.fsid", "never renewed"),
        ("ceph.fsidd", "did you mean `ceph.fsid`"),
        ("node.root_password_hash", "--rotate node.root_password"),
        ("cloud.smtp_password", "comes from outside"),
        ("mqtt.admin_password", "is not in file"),
    ] {
        let error = fill_for(filled.text.expose(), &[], &[name]).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let error = fill_for("", &["kubernets"], &[]).unwrap_err().to_string();
    assert!(error.contains("did you mean `kubernetes`"), "{error}");
}

/// `docs/secrets.md` holds the table between two marks; `UPDATE_DOCS=1` writes it anew.
#[test]
fn the_document_is_up_to_date() {
    crate::testing::check_document("catalogue", &table());
}
