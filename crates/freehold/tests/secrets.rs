//! `freehold secrets` as people run it, against the real `age`, and a sweep: no value shows where it was not asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory with a key and rules.
struct World {
    directory: tempfile::TempDir,
    /// All that was told, but by `view` and `decrypt`.
    told: RefCell<String>,
}

impl World {
    fn new() -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap(), told: RefCell::default() };
        fs::create_dir(world.path("run")).unwrap();
        world.runs(&["init"]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
        command
            .arg("secrets")
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.directory.path())
            .env("XDG_RUNTIME_DIR", self.path("run"));
        command
    }

    fn keep(&self, arguments: &[&str], output: &Output) {
        if !matches!(arguments[0], "view" | "decrypt") {
            self.told.borrow_mut().push_str(&String::from_utf8_lossy(&output.stdout));
        }
        self.told.borrow_mut().push_str(&String::from_utf8_lossy(&output.stderr));
    }

    fn runs(&self, arguments: &[&str]) -> String {
        self.runs_with(arguments, &[])
    }

    fn runs_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.command(arguments).envs(variables.iter().copied()).output().unwrap();
        self.keep(arguments, &output);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.command(arguments).envs(variables.iter().copied()).output().unwrap();
        self.keep(arguments, &output);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?} succeeds, or prints");
        String::from_utf8(output.stderr).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }
}

const KEY: &str = ".config/sops/age/keys.txt";

#[test]
fn from_a_key_to_secrets_and_back() {
    let world = World::new();
    assert_eq!((world.mode(KEY), world.mode(".config/sops/age")), (0o600, 0o700));
    assert!(world.fails(&["init"], &[]).contains("is there already"));
    assert!(world.fails(&["generate", "secrets.yaml"], &[]).contains("kubernetes, etcd, ceph"));
    world.runs(&["generate", "secrets.yaml", "--for", "node,ceph"]);
    let before = world.read("secrets.yaml");
    let fsid = world.runs(&["view", "secrets.yaml", "--path", "ceph.fsid"]);
    let json: serde_json::Value =
        serde_json::from_str(&world.runs(&["view", "secrets.yaml", "--json"])).unwrap();
    assert_eq!(json["ceph"]["fsid"].as_str().unwrap(), fsid.trim());
    world.runs(&["generate", "secrets.yaml"]);
    assert_eq!(world.read("secrets.yaml"), before, "nothing is missing, the same bytes");
    let report = world.runs(&["generate", "secrets.yaml", "--rotate", "node.root_password", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["rotated"], serde_json::json!(["node.root_password", "node.root_password_hash"]));
    let changed = world.read("secrets.yaml");
    let differing: BTreeSet<&str> = before
        .lines()
        .zip(changed.lines())
        .filter(|(before, after)| before != after)
        .map(|(line, _)| line.trim().split(':').next().unwrap())
        .collect();
    assert!(
        differing.is_subset(&BTreeSet::from(["root_password", "root_password_hash", "lastmodified", "mac"])),
        "{differing:?}"
    );
}

#[test]
fn an_editor_sees_plain_text_in_a_private_file_that_goes_away() {
    let world = World::new();
    fs::write(world.path("secrets.yaml"), "a: hunter2 # note\nb: 1\n").unwrap();
    world.runs(&["encrypt", "secrets.yaml"]);
    assert!(!world.read("secrets.yaml").contains("hunter2"));
    let encrypted = world.read("secrets.yaml");
    let editor = |name: &str, script: &str| {
        let path = world.path(name);
        fs::write(&path, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let log = world.path("log");
    let look = format!(
        "stat -c '%a %n' \"$1\" \"$(dirname \"$1\")\" > {0}; cp \"$1\" {0}.text; touch \"$1~\"",
        log.display()
    );
    let editor_that_looks = editor("look", &look);
    world.runs_with(&["edit", "secrets.yaml"], &[("EDITOR", &editor_that_looks)]);
    assert_eq!(world.read("secrets.yaml"), encrypted, "no change, the same bytes");
    assert_eq!(world.read("log.text"), "a: hunter2 # note\nb: 1\n");
    let seen = world.read("log");
    assert!(seen.starts_with("600 ") && seen.contains("\n700 ") && seen.contains("/run/"), "{seen}");
    let changes = editor("change", "test \"$1\" = --flag\nsed -i s/hunter2/hunter3/ \"$2\"");
    world.runs_with(&["edit", "secrets.yaml"], &[("EDITOR", &format!("{changes} --flag"))]);
    assert_eq!(world.runs(&["view", "secrets.yaml", "--path", "a"]), "hunter3\n");
    let good = world.read("secrets.yaml");
    for (name, script, expected) in [
        ("fail", "exit 3", "nothing was changed"),
        ("break", "echo 'a: [hunter9' > \"$1\"", "stays as it was"),
        ("kill", "kill -TERM $PPID; exec sleep 60", "ended by a signal"),
    ] {
        let path = editor(name, script);
        let error = world.fails(&["edit", "secrets.yaml"], &[("EDITOR", &path)]);
        assert!(error.contains(expected), "{name}: {error}");
        assert_eq!(world.read("secrets.yaml"), good, "{name}");
    }
    assert_eq!(fs::read_dir(world.path("run")).unwrap().count(), 0, "nothing is left in memory");
    let new = editor("new", "printf 'x: new\\n' > \"$1\"");
    world.runs_with(&["edit", "more.sops.yaml"], &[("EDITOR", &new)]);
    assert_eq!(world.runs(&["view", "more.sops.yaml"]), "x: new\n");
}

#[test]
fn a_colleague_is_let_in_and_out_with_keys_of_the_real_age() {
    let world = World::new();
    fs::write(world.path("secrets.yaml"), "a: hunter2\n").unwrap();
    world.runs(&["encrypt", "secrets.yaml"]);
    let made =
        Command::new("age-keygen").arg("-o").arg(world.path("other.txt")).output().expect("age is installed");
    assert!(made.status.success());
    let public = String::from_utf8_lossy(&made.stderr).split_whitespace().last().unwrap().to_owned();
    let reference = format!("file://{}", world.path("other.txt").display());
    let error = world.fails(&["view", "secrets.yaml", "--key", &reference], &[]);
    let own = Command::new("age-keygen").arg("-y").arg(world.path(KEY)).output().unwrap();
    let own = String::from_utf8(own.stdout).unwrap().trim().to_owned();
    for part in ["secrets.yaml", &own, &public, &reference, "--add"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    world.runs(&["rotate", "secrets.yaml", "--add", &public]);
    assert_eq!(world.runs(&["view", "secrets.yaml", "--key", &reference]), "a: hunter2\n");
    let section = world.read("secrets.yaml");
    let armored: String = section
        .lines()
        .skip_while(|line| !line.contains("BEGIN AGE"))
        .map(|line| format!("{}\n", line.trim()))
        .take_while(|line| !line.starts_with("recipient"))
        .collect();
    fs::write(world.path("data.age"), armored).unwrap();
    let opened = Command::new("age")
        .args(["-d", "-i"])
        .arg(world.path(KEY))
        .arg(world.path("data.age"))
        .output()
        .unwrap();
    assert_eq!(
        opened.stdout.len(),
        32,
        "age opens the data key: {}",
        String::from_utf8_lossy(&opened.stderr)
    );
    world.runs(&["rotate", "secrets.yaml", "--remove", &public]);
    assert!(world.fails(&["view", "secrets.yaml", "--key", &reference], &[]).contains("cannot be decrypted"));
}

const INPUT: &str = "
service_address: 10.96.0.1
endpoint: {addresses: [192.0.2.250]}
nodes:
    - {name: n1, addresses: [192.0.2.1], roles: [control-plane, etcd, ceph, mqtt, kafka, agent]}
";

#[test]
fn certificates_are_issued_reported_and_exported() {
    let world = World::new();
    fs::write(world.path("nodes.yaml"), INPUT).unwrap();
    let base = ["certificates", "secrets.yaml", "--input", "nodes.yaml"];
    let with = |more: &[&'static str]| base.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    assert!(world.runs(&base).contains("missing"));
    assert_eq!(world.command(&with(&["--check"])).output().unwrap().status.code(), Some(1));
    world.runs(&with(&["--issue"]));
    let report: serde_json::Value = serde_json::from_str(&world.runs(&with(&["--json", "--check"]))).unwrap();
    assert!(report.as_array().unwrap().iter().all(|row| row["state"] == "valid"), "{report}");
    let encrypted = world.read("secrets.yaml");
    world.runs(&with(&["--issue"]));
    assert_eq!(world.read("secrets.yaml"), encrypted, "a second run makes nothing");
    world.runs(&with(&["--export", "out"]));
    assert_eq!(world.mode("out/nodes/n1/etcd/peer.key"), 0o600);
    assert_eq!(world.mode("out/shared/admin.conf"), 0o600);
    let verified = Command::new("openssl")
        .args(["verify", "-CAfile", "out/authorities/etcd.crt", "out/nodes/n1/etcd/peer.crt"])
        .current_dir(world.directory.path())
        .status()
        .unwrap();
    assert!(verified.success());
    assert!(world.fails(&with(&["--renew", "authorities/etcd"]), &[]).contains("--authority"));
}

/// Every text of every value, whole and by line.
fn values(value: &serde_json::Value, into: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::String(text) => {
            into.extend(
                text.lines().filter(|line| line.len() >= 8 && !line.starts_with("-----")).map(str::to_owned),
            );
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| values(value, into)),
        serde_json::Value::Object(map) => map.values().for_each(|value| values(value, into)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

#[test]
fn no_value_shows_where_it_was_not_asked_for() {
    let world = World::new();
    fs::write(world.path("nodes.yaml"), INPUT).unwrap();
    world.runs(&[
        "generate",
        "secrets.yaml",
        "--for",
        "node,keepalived,kubernetes,etcd,ceph,mqtt,kafka,dns,talos,kolla",
    ]);
    let issue = ["certificates", "secrets.yaml", "--input", "nodes.yaml", "--issue"];
    world.runs(&issue);
    let mut secret = BTreeSet::new();
    let mut collect = || {
        let json = world.runs(&["view", "secrets.yaml", "--json"]);
        values(&serde_json::from_str(&json).unwrap(), &mut secret);
    };
    collect();
    world.runs(&[
        "generate",
        "secrets.yaml",
        "--rotate",
        "node.root_password",
        "--rotate",
        "ceph.mon_key",
        "--json",
    ]);
    world.runs(&[
        "certificates",
        "secrets.yaml",
        "--input",
        "nodes.yaml",
        "--renew",
        "nodes/n1/agent",
        "--json",
    ]);
    world.runs(&["rotate", "secrets.yaml"]);
    collect();
    // Everything that can go wrong with a file that holds them.
    let good = world.read("secrets.yaml");
    let plain = world.runs(&["decrypt", "secrets.yaml"]);
    fs::write(
        world.path("broken.sops.yaml"),
        good.replacen("ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:AAAA", 1),
    )
    .unwrap();
    fs::write(world.path("plain.sops.yaml"), plain.replacen("node:", "node: [", 1)).unwrap();
    fs::write(world.path("twice.sops.yaml"), format!("{plain}{plain}")).unwrap();
    fs::write(world.path("key.txt"), plain.lines().rev().nth(1).unwrap()).unwrap();
    let key = format!("file://{}", world.path("key.txt").display());
    for arguments in [
        ["view", "broken.sops.yaml"].as_slice(),
        &["decrypt", "broken.sops.yaml"],
        &["rotate", "broken.sops.yaml"],
        &["encrypt", "plain.sops.yaml"],
        &["encrypt", "twice.sops.yaml"],
        &["view", "plain.sops.yaml"],
        &["encrypt", "secrets.yaml"],
        &["generate", "secrets.yaml", "--rotate", "ceph.fsid"],
        &["view", "secrets.yaml", "--path", "no.such"],
        &["view", "secrets.yaml", "--key", &key],
    ] {
        world.fails(arguments, &[]);
    }
    for name in ["broken", "plain", "twice"] {
        fs::remove_file(world.path(&format!("{name}.sops.yaml"))).unwrap();
    }
    fs::remove_file(world.path("key.txt")).unwrap();
    secret.insert(world.read(KEY).lines().last().unwrap().to_owned());
    assert!(secret.len() > 300, "there is something to look for: {}", secret.len());
    let told = world.told.borrow();
    assert!(told.contains("added ceph.fsid"), "it is all here");
    for value in &secret {
        assert!(!told.contains(value.as_str()), "a value was told; it starts with {}", &value[..3]);
    }
    sweep(world.directory.path(), &secret, &world.path(KEY));
}

/// No file holds a value in plain text but the key file.
fn sweep(directory: &Path, secret: &BTreeSet<String>, key: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sweep(&path, secret, key);
        } else if path != key {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(
                !secret.iter().any(|value| text.contains(value.as_str())),
                "{} holds a value",
                path.display()
            );
        }
    }
}
