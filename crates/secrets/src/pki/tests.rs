//! The inventory, renewal, and `openssl`'s word on all of it.

use std::path::Path;
use std::process::Command;

use freehold_types::{Secret, Timestamp};

use super::*;

const INPUT: &str = "
service_address: 10.96.0.1
endpoint: {names: [api.example.org], addresses: [192.0.2.250]}
nodes:
    - {name: n1, addresses: [192.0.2.1, '2001:db8::1'], roles: [control-plane, etcd, agent, mqtt]}
    - {name: n2, addresses: [192.0.2.2], roles: [control-plane, etcd, ceph, kafka]}
    - {name: n3, addresses: [192.0.2.3], names: [n3.example.org], roles: [worker]}
web:
    - {name: cloud.example.org, names: ['*.cloud.example.org'], addresses: [192.0.2.250]}
";

fn items() -> Vec<Item> {
    inventory(&Input::parse("input", INPUT).unwrap())
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn made(store: &Store, options: &Options, at: Timestamp) -> Renewed {
    renew(&items(), store, options, at).unwrap()
}

fn in_days(days: u64) -> Timestamp {
    now() + std::time::Duration::from_secs(days * 86_400)
}

fn openssl(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("openssl is installed");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

#[test]
fn openssl_accepts_everything_for_its_purpose_and_names() {
    let directory = tempfile::tempdir().unwrap();
    let store = made(&Store::default(), &Options::default(), now()).store;
    for file in export(&items(), &store) {
        let path = directory.path().join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.content.expose()).unwrap();
    }
    for item in items() {
        let file = format!("{}.crt", item.name);
        let key = format!("{}.key", item.name);
        let public = openssl(directory.path(), &["pkey", "-in", &key, "-pubout"]);
        if item.purpose == Purpose::KeyPair {
            assert_eq!(
                public,
                std::fs::read_to_string(directory.path().join(format!("{}.pub", item.name))).unwrap()
            );
            continue;
        }
        assert_eq!(openssl(directory.path(), &["x509", "-in", &file, "-noout", "-pubkey"]), public, "{file}");
        let authority = format!("{}.crt", item.authority.unwrap_or(&item.name));
        let verify = |purpose: &str, options: &[&str]| {
            let mut arguments = vec!["verify", "-x509_strict", "-CAfile", &authority, "-purpose", purpose];
            arguments.extend(options);
            arguments.push(&file);
            openssl(directory.path(), &arguments);
        };
        match item.purpose {
            Purpose::Server => verify("sslserver", &[]),
            Purpose::Client => verify("sslclient", &[]),
            Purpose::Peer => {
                verify("sslserver", &[]);
                verify("sslclient", &[]);
            }
            Purpose::Authority | Purpose::KeyPair => verify("any", &[]),
        }
        for name in &item.names {
            verify("any", &["-verify_hostname", &name.replace('*', "any")]);
        }
        for address in &item.addresses {
            verify("any", &["-verify_ip", &address.to_string()]);
        }
        let text =
            openssl(directory.path(), &["x509", "-in", &file, "-noout", "-subject", "-nameopt", "RFC2253"]);
        let group = item.organisation.map_or_else(String::new, |group| format!(",O={group}"));
        assert_eq!(text.trim(), format!("subject=CN={}{group}", item.common_name));
    }
    let conf = std::fs::read_to_string(directory.path().join("shared/admin.conf")).unwrap();
    let conf: serde_json::Value = serde_norway::from_str(&conf).unwrap();
    assert_eq!(conf["clusters"][0]["cluster"]["server"], "https://api.example.org:6443");
}

#[test]
fn the_inventory_is_that_of_kubeadm() {
    let items = items();
    let item = |name: &str| items.iter().find(|item| item.name == name).unwrap_or_else(|| panic!("{name}"));
    let server = item("nodes/n1/kubernetes/apiserver");
    for name in ["n1", "localhost", "kubernetes", "kubernetes.default.svc.cluster.local", "api.example.org"] {
        assert!(server.names.contains(name), "{name}");
    }
    for address in ["192.0.2.1", "2001:db8::1", "127.0.0.1", "192.0.2.250", "10.96.0.1"] {
        assert!(server.addresses.contains(&address.parse().unwrap()), "{address}");
    }
    assert_eq!(item("nodes/n3/kubernetes/kubelet").common_name, "system:node:n3");
    assert!(!items.iter().any(|item| item.name == "nodes/n3/etcd/server"));
    let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
    insta::assert_snapshot!(names.join("\n"));
}

#[test]
fn a_second_run_makes_nothing_and_changes_make_only_what_they_touch() {
    let first = made(&Store::default(), &Options::default(), now());
    assert!(first.made.iter().all(|(_, reason)| *reason == Reason::Missing));
    let again = made(&first.store, &Options::default(), now());
    assert_eq!((again.made.len(), &again.store), (0, &first.store));
    let moved = inventory(&Input::parse("input", &INPUT.replace("192.0.2.3]", "192.0.2.33]")).unwrap());
    let changed = renew(&moved, &first.store, &Options::default(), now()).unwrap();
    let names: Vec<&str> = changed.made.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["nodes/n3/kubernetes/kubelet-server"]);
    let fewer = inventory(&Input::parse("input", &INPUT.replace("roles: [worker]", "roles: []")).unwrap());
    let left = renew(&fewer, &first.store, &Options::default(), now()).unwrap();
    assert_eq!(left.unused.len(), 3, "kept, and told");
    assert!(left.store.0.contains_key("nodes/n3/kubernetes/kubelet"));
}

#[test]
fn renewal_keeps_keys_when_told_and_leaves_authorities_alone() {
    let first = made(&Store::default(), &Options::default(), now()).store;
    let options = Options { within_days: 30, keep_keys: true, ..Options::default() };
    let renewed = made(&first, &options, in_days(340));
    let leaf = "nodes/n1/etcd/peer";
    assert!(renewed.made.contains(&(leaf.to_owned(), Reason::Ending)));
    assert_eq!(renewed.store.0[leaf].private_key, first.0[leaf].private_key);
    assert_ne!(renewed.store.0[leaf].certificate, first.0[leaf].certificate);
    assert!(renewed.made.iter().all(|(name, _)| !name.starts_with("authorities/")));
    let fresh = made(&first, &Options { keep_keys: false, ..options.clone() }, in_days(340));
    assert_ne!(fresh.store.0[leaf].private_key, first.0[leaf].private_key);

    let late = made(&first, &options, in_days(3_630));
    assert!(late.ending_authorities.contains(&"authorities/etcd".to_owned()), "told, not renewed");
    assert_eq!(late.store.0["authorities/etcd"], first.0["authorities/etcd"]);
    let error = renew(&items(), &first, &options, in_days(3_700)).unwrap_err().to_string();
    assert!(error.contains("--authority authorities/kubernetes"), "{error}");
}

#[test]
fn an_authority_is_made_anew_only_by_name_and_takes_its_certificates_along() {
    let first = made(&Store::default(), &Options::default(), now()).store;
    let options = Options { authorities: vec!["authorities/etcd".to_owned()], ..Options::default() };
    let renewed = made(&first, &options, now());
    assert!(renewed.made.contains(&("nodes/n2/etcd/server".to_owned(), Reason::Authority)));
    assert!(renewed.made.iter().all(|(name, _)| name.contains("etcd")), "{:?}", renewed.made);
    let kept = made(&first, &Options { keep_keys: true, ..options }, now());
    assert_eq!(kept.made.len(), 1, "with its key kept, what it signed stays valid: {:?}", kept.made);

    let mut lost = first.clone();
    lost.0.remove("authorities/etcd");
    let error = renew(&items(), &lost, &Options::default(), now()).unwrap_err().to_string();
    assert!(error.contains("the authority is lost"), "{error}");
    let options = Options { names: vec!["authorities/etcd".to_owned()], ..Options::default() };
    assert!(renew(&items(), &first, &options, now()).unwrap_err().to_string().contains("it is an authority"));
}

#[test]
fn the_report_tells_how_each_stands() {
    let mut store = made(&Store::default(), &Options::default(), now()).store;
    let state = |store: &Store, name: &str, at| {
        let rows = report(&items(), store, 30, at).unwrap();
        rows.into_iter().find(|row| row.name == name).map(|row| (row.state, row.days)).unwrap()
    };
    let leaf = "nodes/n1/agent";
    assert_eq!(state(&store, leaf, now()).0, State::Valid);
    assert_eq!(state(&store, leaf, in_days(350)).0, State::Ending);
    assert_eq!(state(&store, leaf, in_days(366)).0, State::Ended);
    assert_eq!(state(&store, "shared/service-account", now()), (State::Valid, None));
    let other = store.0["nodes/n1/mqtt/client"].clone();
    store.0.insert(leaf.to_owned(), other);
    assert_eq!(state(&store, leaf, now()).0, State::Different);
    store.0.remove(leaf);
    assert_eq!(state(&store, leaf, now()).0, State::Missing);
}

#[test]
fn the_store_reads_back_what_it_writes_and_leaves_the_rest() {
    let store = made(&Store::default(), &Options::default(), now()).store;
    let plain = Secret::new("a: 1 # one\ncertificates:\n    old: {}\nb: 2\n".to_owned());
    let written = store.write("file", &plain).unwrap();
    assert!(
        written.expose().starts_with("a: 1 # one\ncertificates:\n") && written.expose().ends_with("b: 2\n")
    );
    assert_eq!(Store::read("file", &written).unwrap(), store);
    assert!(!format!("{store:?}").contains("PRIVATE"));
}

#[test]
fn faults_of_the_input_are_told() {
    for (input, expected) in [
        ("nodes: [{name: a, addresses: [], roles: []}]", "no address"),
        ("nodes: [{name: 'a b', addresses: [192.0.2.1], roles: []}]", "no host name"),
        ("nodes: [{name: a, addresses: [192.0.2.1], roles: [control-plane]}]", "no endpoint"),
        ("nodes: [{name: a, addresses: [192.0.2.1], roles: [boss]}]", "unknown variant `boss`"),
        ("days: 9999", "1 to 825"),
        ("nods: []", "unknown field `nods`"),
    ] {
        let error = Input::parse("input", input).unwrap_err().to_string();
        assert!(error.contains(expected), "{input}: {error}");
    }
}

#[test]
fn the_document_is_up_to_date() {
    crate::testing::check_document("certificates", &table());
}
