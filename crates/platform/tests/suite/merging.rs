//! Several files, profiles, secrets and groups become one platform, in the stated order.

use freehold_platform::load::{LARGEST_FILE, read};
use freehold_platform::words::SecretText;
use freehold_platform::{Input, Kind};
use proptest::prelude::*;

use crate::support::{load, plain, report, secret};

const BASE: &str = "
name: test
domain: one.example.org
networks:
  lan: { cidr: 10.0.0.0/24 }
machines:
  a: { interfaces: { eth0: { network: lan, addresses: [10.0.0.11] } } }
";

fn no_decryption(_: &std::path::Path, _: &str) -> Result<String, String> {
    Err("there is no key".to_owned())
}

#[test]
fn a_later_file_wins_key_by_key_and_lists_are_replaced_whole() {
    let over = "
domain: two.example.org
machines:
  a: { packages: [vim], interfaces: { eth0: { addresses: [10.0.0.12] } } }
  b: { ssh: { host: b.example.org } }
";
    let loaded = load(vec![plain("1.yaml", BASE), plain("2.yaml", over)], &[]);
    let platform = loaded.platform().unwrap_or_else(|| panic!("{}", report(&loaded)));
    assert_eq!(platform.domain, "two.example.org");
    let interface = &platform.machines["a"].interfaces["eth0"];
    assert_eq!(interface.network.as_ref().unwrap().as_str(), "lan");
    assert_eq!(interface.addresses.len(), 1);
    assert_eq!(interface.addresses[0].to_string(), "10.0.0.12");
    assert_eq!(platform.machines["a"].packages, ["vim"]);
    assert!(platform.machines.contains_key("b"));
}

#[test]
fn documents_of_one_file_are_merged_like_files() {
    let text = format!("{BASE}---\ndomain: two.example.org\n---\n---\ndomain: three.example.org\n");
    let loaded = load(vec![plain("1.yaml", &text)], &[]);
    assert_eq!(loaded.platform().unwrap().domain, "three.example.org");
}

#[test]
fn nothing_replaces_nothing() {
    let over = "domain:\nmachines:\n  a:\nnetworks: ~\n";
    let loaded =
        load(vec![plain("1.yaml", BASE), plain("2.yaml", over), plain("3.yaml", "domain: ''\n")], &[]);
    let platform = loaded.platform().unwrap_or_else(|| panic!("{}", report(&loaded)));
    assert_eq!(platform.domain, "one.example.org");
    assert_eq!(platform.networks.len(), 1);
    assert_eq!(platform.machines["a"].interfaces.len(), 1);
}

/// Defaults, groups in the order listed (parents before children), the machine; profiles over files; secrets last.
#[test]
fn precedence_is_what_the_documentation_says() {
    let text = "
name: test
defaults:
  ssh: { port: 1, user: defaults, key_file: defaults, host: defaults }
  sysctls: { a: defaults, b: defaults, c: defaults, d: defaults, e: defaults }
groups:
  parent:
    settings: { sysctls: { b: parent, c: parent, d: parent, e: parent } }
  child:
    groups: [parent]
    settings: { sysctls: { c: child, d: child, e: child } }
  other:
    settings: { sysctls: { d: other, e: other } }
machines:
  m:
    groups: [child, other]
    sysctls: { e: machine }
profiles:
  lab:
    defaults: { sysctls: { a: lab } }
    machines: { m: { ssh: { user: lab } } }
";
    let secrets = "machines: { m: { ssh: { key_file: secrets }, root_password_hash: $6$a$b } }\n";
    let files = || vec![plain("1.yaml", text), secret("secrets.yaml", secrets)];
    let of = |profiles: &[&str]| {
        let loaded = load(files(), profiles);
        let machine =
            loaded.platform().unwrap_or_else(|| panic!("{}", report(&loaded))).machines["m"].clone();
        let sysctls: Vec<String> = machine.sysctls.values().cloned().collect();
        (sysctls.join(" "), machine.ssh, machine.root_password_hash)
    };
    let (sysctls, ssh, hash) = of(&[]);
    assert_eq!(sysctls, "defaults parent child other machine");
    assert_eq!((ssh.user.as_str(), ssh.key_file.as_deref(), ssh.port.0), ("defaults", Some("secrets"), 1));
    assert!(matches!(hash, Some(SecretText::Value(value)) if value.expose() == "$6$a$b"));
    let (sysctls, ssh, _) = of(&["lab"]);
    assert_eq!(sysctls, "lab parent child other machine");
    assert_eq!(ssh.user, "lab");
    let unknown = load(files(), &["lap"]);
    assert!(report(&unknown).contains("did you mean `lab`?"), "{}", report(&unknown));
}

#[test]
fn variables_reach_values_of_every_type() {
    let text = "
name: test
machines:
  a: { ssh: { host: '${HOST:-a.example.org}', port: '${PORT}' }, sshd: { root: '${ROOT:-false}' }, zone: '${ZONE:-}' }
";
    let loaded = load(vec![plain("1.yaml", text)], &[]);
    let platform = loaded.platform().unwrap_or_else(|| panic!("{}", report(&loaded)));
    let machine = &platform.machines["a"];
    assert_eq!((machine.ssh.host.as_deref(), machine.ssh.port.0), (Some("a.example.org"), 2222));
    assert!(!machine.sshd.root && machine.zone.is_none());
}

#[test]
fn nothing_of_a_secrets_file_is_shown() {
    let secrets = "
domain: Hunter Two
services:
  mosquitto: { users: { one: { password: [hunter2] } }, port: hunter2, hunter: hunter2 }
machines: { a: { number: hunter2, groups: [hunter2], roles: [hunter2], number: hunter2 } }
networks: { lan: { vlan: 77777 } }
";
    let loaded = load(vec![plain("1.yaml", BASE), secret("secrets.yaml", secrets)], &[]);
    let text = report(&loaded);
    assert!(loaded.faults().errors() >= 7, "{text}");
    assert!(!text.contains("hunter2") && !text.contains("77777") && !text.contains("Hunter"), "{text}");
    assert!(text.contains("secrets.yaml:4:"), "{text}");
}

#[test]
fn directories_are_read_by_name_with_secrets_last() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("b.yaml", "domain: two.example.org\n");
    write("a.yml", BASE);
    write("aa.secrets.yaml", "domain: secrets.example.org\n");
    write(".hidden.yaml", "- nonsense");
    write("notes.txt", "- nonsense");
    let inputs = read(&[folder.path().to_owned()], &no_decryption).unwrap();
    let names = |input: &Input| input.name.rsplit('/').next().unwrap().to_owned();
    assert_eq!(inputs.iter().map(names).collect::<Vec<_>>(), ["a.yml", "b.yaml", "aa.secrets.yaml"]);
    assert_eq!(inputs[2].kind, Kind::Secrets);
    assert_eq!(load(inputs, &[]).platform().unwrap().domain, "secrets.example.org");
}

#[test]
fn what_cannot_be_read_is_said_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let fails = |name: &str| read(&[path(name)], &no_decryption).unwrap_err();
    assert!(fails("none.yaml").contains("none.yaml cannot be read"));
    std::fs::write(path("latin.yaml"), b"name: \xe9").unwrap();
    assert!(fails("latin.yaml").ends_with("latin.yaml is not UTF-8 text"));
    let large = std::fs::File::create(path("large.yaml")).unwrap();
    large.set_len(LARGEST_FILE + 1).unwrap();
    assert!(fails("large.yaml").contains("is larger than 8 MiB"));
    std::fs::write(path("x.sops.yaml"), "name: ENC[x]\nsops: {}\n").unwrap();
    assert!(fails("x.sops.yaml").ends_with("x.sops.yaml cannot be decrypted: there is no key"));
    std::fs::create_dir(path("empty")).unwrap();
    assert!(fails("empty").contains("holds no .yaml file"));
}

#[test]
fn an_encrypted_file_is_opened_by_whoever_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.yaml");
    std::fs::write(&path, "domain: ENC[x]\nsops: { mac: x }\n").unwrap();
    let decrypt = |_: &std::path::Path, text: &str| Ok(text.replace("ENC[x]", "opened.example.org"));
    let mut inputs = read(&[path], &decrypt).unwrap();
    inputs.insert(0, plain("1.yaml", BASE));
    let loaded = load(inputs, &[]);
    assert!(loaded.faults().is_empty(), "{}", report(&loaded));
    assert_eq!(loaded.platform().unwrap().domain, "opened.example.org");
}

/// Scalars under a few keys, for laws of merging.
fn layer() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-c]", "[x-z]{0,1}", 0..4)
}

proptest! {
    /// The last layer that says something about a key decides it, whatever stands in between.
    #[test]
    fn the_last_word_counts(layers in proptest::collection::vec(layer(), 1..5)) {
        let inputs = layers.iter().enumerate().map(|(at, layer)| {
            let sysctls = serde_json::to_string(layer).unwrap();
            plain(&format!("{at}.yaml"), &format!("name: t\nmachines: {{ m: {{ ssh: {{ host: h }}, sysctls: {sysctls} }} }}\n"))
        });
        let loaded = load(inputs.collect(), &[]);
        let merged = &loaded.platform().unwrap().machines["m"].sysctls;
        for key in ["a", "b", "c"] {
            let said = layers.iter().rev().filter_map(|layer| layer.get(key)).find(|value| !value.is_empty());
            let empty = layers.iter().any(|layer| layer.contains_key(key)).then(String::new);
            prop_assert_eq!(merged.get(key).cloned(), said.cloned().or(empty));
        }
    }
}

#[test]
fn stars_cover_secrets_wherever_they_stand() {
    let text = "
name: test
machines: { a: { ssh: { host: a } } }
users:
  # Ünïcödé before and between.
  alice: { full_name: Éloïse Ñandú, password_hash: hunter2, bogus: 1, pasword: hunter2 }
  bob:
    password_hash: |
      hunter2
      hunter2
    sudo: perhaps
  carol: { password_hash: 'hunter2', ключ: 'ü', bogus: 1 }
";
    let loaded = load(vec![plain("1.yaml", text)], &[]);
    let report = report(&loaded);
    assert!(!report.contains("hunter2"), "{report}");
    assert!(report.contains("full_name: Éloïse Ñandú, password_hash: *******, bogus: *"), "{report}");
    // What stands under a key that is not known may be a secret, too, where there are secrets.
    assert!(report.contains("    sudo: perhaps"), "{report}");
    assert!(loaded.faults().errors() >= 5, "{report}");
}

#[test]
fn variables_are_expanded_in_secrets_too_and_hashes_stay_as_they_are() {
    let hash = "$6$rounds=5000$saltsaltsalt$Zm9vYmFyYmF6cXV4${not}a$variable/.";
    let escaped = hash.replace("${", "$${");
    let secrets = format!(
        "machines: {{ a: {{ sshd: {{ port: '${{PORT}}' }}, ssh: {{ port: '${{PORT}}' }}, root_password_hash: '{escaped}' }} }}\n"
    );
    let loaded = load(vec![plain("1.yaml", BASE), secret("secrets.yaml", &secrets)], &[]);
    let machine = &loaded.platform().unwrap_or_else(|| panic!("{}", report(&loaded))).machines["a"];
    assert_eq!(machine.sshd.port.0, 2222);
    assert!(matches!(&machine.root_password_hash, Some(SecretText::Value(value)) if value.expose() == hash));
    let round_trip = serde_json::to_value(machine).unwrap();
    assert_eq!(round_trip["root_password_hash"], hash);
}
