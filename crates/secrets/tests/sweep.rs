//! What this crate prints of its values in `Debug` and in errors holds none of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use std::collections::BTreeSet;

use freehold_secrets::age::Identity;
use freehold_secrets::keys::{Environment, Keyring};
use freehold_secrets::pki::{self, Input, Options, Store};
use freehold_secrets::sops::{self, Format, Policy};
use freehold_secrets::{catalogue, file};
use freehold_types::{Secret, Timestamp};

#[test]
fn debug_and_errors_show_no_value() {
    let key = Identity::generate();
    let key_text = key.to_secret_text().unwrap();
    let sets = catalogue::sets();
    let filled = catalogue::fill("f", &Secret::default(), &sets, &[]).unwrap();
    let input =
        "web: [{name: example.org}]\nnodes: [{name: n, addresses: [192.0.2.1], roles: [etcd, kafka]}]";
    let inventory = pki::inventory(&Input::parse("input", input).unwrap());
    let renewed = pki::renew(&inventory, &Store::default(), &Options::default(), Timestamp::now()).unwrap();
    let plain = renewed.store.write("f", &filled.text).unwrap();
    let policy = Policy { recipients: vec![key.recipient().clone()], ..Policy::default() };
    let text = sops::encrypt("f", Format::Yaml, &plain, &policy).unwrap();
    let keys = Keyring::of(vec![key.clone()]);
    let opened = sops::open("f", Format::Yaml, &text, &keys).unwrap();
    let environment =
        Environment::of(&[("SOPS_AGE_KEY", key_text.expose()), ("VAULT_TOKEN", "hunter2-hunter2")]);
    let private = file::Private::create("f.yaml", &plain, None).unwrap();

    let mut printed = format!(
        "{filled:?}{renewed:?}{opened:?}{keys:?}{environment:?}{private:?}{key:?}{:?}{:?}{:#?}",
        pki::export(&inventory, &renewed.store),
        Keyring::find(&environment),
        opened.values().collect::<Vec<_>>(),
    );
    let mut fail = |text: &str, keys: &Keyring| {
        let error = sops::open("f", Format::Yaml, text, keys).expect_err("it is broken");
        printed.extend([error.to_string(), format!("{error:?}")]);
    };
    fail(&text, &Keyring::of(vec![Identity::generate()]));
    // One value after the other is broken, taken out of its encryption, or torn apart.
    let values: Vec<&str> = text.lines().filter(|line| line.contains("ENC[")).collect();
    for line in values.iter().step_by(values.len() / 20) {
        fail(&text.replace(line, &line.replacen("data:", "data:AAAA", 1)), &keys);
        fail(&text.replace(line, &format!("{line} [")), &keys);
        fail(&text.replace(line, ""), &keys);
    }
    for (index, line) in plain.expose().lines().enumerate().step_by(7) {
        let mut broken = plain.expose().clone();
        broken.insert_str(broken.find(line).unwrap(), ": [ &x \t");
        if let Err(error) = sops::encrypt(&format!("f{index}"), Format::Yaml, &Secret::new(broken), &policy) {
            printed.extend([error.to_string(), format!("{error:?}")]);
        }
    }

    let mut looked = 0;
    let secrets = plain
        .expose()
        .lines()
        .filter_map(|line| line.split_once(": ").map_or(Some(line), |(_, value)| Some(value)));
    // Certificates are public, and shown.
    let public: BTreeSet<&str> = renewed.store.0.values().flat_map(|pair| pair.certificate.lines()).collect();
    for value in secrets
        .map(str::trim)
        .filter(|value| !public.contains(value))
        .filter(|value| value.len() >= 8 && !value.starts_with("-----") && !value.ends_with(':'))
    {
        looked += 1;
        assert!(!printed.contains(value), "a value was printed; it starts with {}", &value[..3]);
    }
    assert!(looked > 200, "{looked}");
    for value in [key_text.expose().as_str(), "hunter2-hunter2"] {
        assert!(!printed.contains(value));
    }
}
