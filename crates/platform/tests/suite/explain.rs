//! Where values come from.

use freehold_platform::explain::explain;
use freehold_platform::load::Loaded;

use crate::support::{load, plain, secret};

fn platform() -> Loaded {
    let base = "
name: test
domain: one.example.org
defaults:
  ssh: { user: admin, port: 22 }
groups:
  web:
    settings: { ssh: { port: 2200 } }
machines:
  web-1:
    groups: [web]
    ssh: { host: web-1.example.org, port: 2222 }
services:
  dns: { zones: { example.net: { ttl: 1h } } }
  mosquitto: { users: { sensor: { password: not-for-eyes } } }
profiles:
  lab: { domain: lab.example.org }
";
    let files = vec![
        plain("base.yaml", base),
        plain("later.yaml", "domain: two.example.org\n"),
        secret("secrets.yaml", "services: { mosquitto: { users: { sensor: { password: nor-this } } } }\n"),
    ];
    load(files, &["lab"])
}

fn told(key: &str) -> String {
    let explanation = explain(&platform(), key).unwrap();
    explanation.to_string()
}

#[test]
fn values_tell_their_history() {
    insta::assert_snapshot!(told("domain"), @r"
    domain: domain name
      Domain of the machines: a machine's full name is `MACHINE.DOMAIN`.
      default: home.internal

    domain = lab.example.org
      from base.yaml:17:18 (profile `lab`)
      instead of two.example.org from later.yaml:1:9 (file)
      instead of one.example.org from base.yaml:3:9 (file)
    ");
    insta::assert_snapshot!(told("machines.web-1.ssh"), @r"
    machines.web-1.ssh: mapping
      How it is reached.

    machines.web-1.ssh.host = web-1.example.org
      from base.yaml:12:18 (file)

    machines.web-1.ssh.port = 2222
      from base.yaml:12:43 (file)
      instead of 2200 from base.yaml:8:30 (group `web`)
      instead of 22 from base.yaml:5:29 (defaults)

    machines.web-1.ssh.user = admin
      from base.yaml:5:16 (defaults)
    ");
}

#[test]
fn what_nobody_said_has_its_default() {
    insta::assert_snapshot!(told("services.etcd.client_port"), @r"
    services.etcd.client_port: number from 1 to 65535
      Port for clients.
      default: 2379
      nothing is said about it
    ");
}

#[test]
fn names_with_dots_need_no_quotes() {
    let (bare, quoted) =
        (told("services.dns.zones.example.net.ttl"), told("services.dns.zones.\"example.net\".ttl"));
    assert_eq!(bare, quoted);
    assert!(bare.contains("= 1h\n"), "{bare}");
}

#[test]
fn secrets_are_explained_and_not_shown() {
    for key in ["services.mosquitto.users.sensor.password", "services", "services.mosquitto"] {
        let text = told(key);
        assert!(text.contains("password = [secret]"), "{text}");
        assert!(text.contains("instead of [secret] from base.yaml"), "{text}");
        assert!(!text.contains("not-for-eyes") && !text.contains("nor-this"), "{text}");
    }
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    let fails = |key: &str| explain(&platform(), key).unwrap_err();
    assert_eq!(fails("machine"), "a platform has no `machine`; did you mean `machines`?");
    assert_eq!(fails("machines.web-2"), "`machines` has no `web-2`; did you mean `web-1`?");
    assert_eq!(fails("machines.web-1.ssh.prot"), "`machines.web-1.ssh` has no `prot`; did you mean `port`?");
    assert_eq!(fails("name.x"), "`name` is a name, and has no keys");
    assert_eq!(
        fails("machines.web-1.groups.first"),
        "`machines.web-1.groups` is a list: name a position from 0"
    );
}
