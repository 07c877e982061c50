//! Files against the real SOPS: fixtures that it wrote, and, where it is installed, the program itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use freehold_secrets::age::Identity;
use freehold_secrets::keys::Keyring;
use freehold_secrets::sops::{self, Format, Policy};
use freehold_types::Secret;
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn read(name: &str) -> String {
    fs::read_to_string(fixtures().join(name)).unwrap()
}

fn key() -> Identity {
    Identity::parse_file(&read("key.txt")).unwrap().remove(0)
}

fn open(format: Format, text: &str) -> freehold_secrets::Result<sops::Opened> {
    sops::open("fixture", format, text, &Keyring::of(vec![key()]))
}

fn as_value(format: Format, text: &str) -> Value {
    without_kinds_of_numbers(match format {
        Format::Json => serde_json::from_str(text).unwrap(),
        Format::Yaml => serde_norway::from_str(text).unwrap(),
        Format::Dotenv => Value::String(text.to_owned()),
    })
}

/// SOPS writes 1.0 as 1; we keep it a number with a fraction.
fn without_kinds_of_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(format!("{:?}", number.as_f64().unwrap().abs())),
        Value::Array(list) => list.into_iter().map(without_kinds_of_numbers).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| (key, without_kinds_of_numbers(value))).collect()
        }
        other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
    }
}

const FILES: &[(&str, Format)] = &[
    ("all.yaml", Format::Yaml),
    ("regex.yaml", Format::Yaml),
    ("two.yaml", Format::Yaml),
    ("all.json", Format::Json),
    ("all.env", Format::Dotenv),
];

/// What `sops encrypt` wrote opens to what `sops decrypt` gives.
#[test]
fn files_of_sops_open() {
    for (name, format) in FILES {
        let opened = open(*format, &read(&format!("encrypted/{name}")))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = read(&format!("decrypted/{name}"));
        assert_eq!(as_value(*format, opened.text().expose()), as_value(*format, &expected), "{name}");
        for comment in expected.lines().filter_map(|line| line.split_once('#')).map(|(_, comment)| comment) {
            assert!(opened.text().expose().contains(&format!("#{comment}\n")), "{name}: #{comment}");
        }
    }
}

/// SOPS 3.13.2 writes this file and cannot read it: comments in lists become items that it does not count.
#[test]
fn comments_in_lists_survive_what_sops_makes_of_them() {
    let opened = open(Format::Yaml, &read("encrypted/list-comments.yaml")).unwrap();
    assert_eq!(opened.text().expose(), "hosts:\n    # the first\n    - one\n    # the second\n    - two\n");
}

/// Runs the real program. Without it, CI relies on the fixtures, which `tests/fixtures/make.sh` makes with it.
fn real(arguments: &[&str]) -> String {
    let program = std::env::var_os("SOPS").unwrap_or_else(|| "sops".into());
    let output = Command::new(&program)
        .args(arguments)
        .env("SOPS_AGE_KEY_FILE", fixtures().join("key.txt"))
        .output()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
    assert!(output.status.success(), "sops {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `go install github.com/getsops/sops/v3/cmd/sops@v3.13.2`, then `SOPS=... cargo test -p freehold-secrets -- --ignored`.
#[test]
#[ignore = "needs the program sops, which no distribution packages and which takes minutes to build"]
fn the_real_sops_reads_and_edits_our_files() {
    let directory = tempfile::tempdir().unwrap();
    for (name, format) in FILES {
        let plain = read(&format!("plain/{name}"));
        let policy = Policy {
            recipients: vec![key().recipient().clone()],
            encrypted_regex: name.starts_with("regex").then(|| "^(data|stringData)$".to_owned()),
            mac_only_encrypted: name.starts_with("regex"),
            ..Policy::default()
        };
        let text = sops::encrypt(name, *format, &Secret::new(plain.clone()), &policy).unwrap();
        let path = directory.path().join(name);
        fs::write(&path, &text).unwrap();
        let file = path.to_str().unwrap();
        let decrypted = real(&["decrypt", file]);
        assert_eq!(
            as_value(*format, &decrypted),
            as_value(*format, &read(&format!("decrypted/{name}"))),
            "{name}"
        );
        for comment in plain.lines().filter_map(|line| line.split_once("# ")).map(|(_, comment)| comment) {
            assert!(decrypted.contains(&format!("# {comment}\n")), "{name}: {comment} in {decrypted}");
        }
        // After our edit and rotation, the program still reads it; and we read what it changed.
        let opened = open(*format, &text).unwrap();
        let changed = opened.text().expose().replace("hunter2", "hunter3");
        assert_ne!(&changed, opened.text().expose(), "{name} holds the word");
        fs::write(&path, opened.seal(&Secret::new(changed)).unwrap()).unwrap();
        assert!(real(&["decrypt", file]).contains("hunter3"), "{name}");
        let other = Identity::generate();
        fs::write(&path, opened.rotate(&[other.recipient().clone()], &[]).unwrap()).unwrap();
        assert!(real(&["decrypt", file]).contains("hunter2"), "{name}");
        real(&["rotate", "--in-place", file]);
        let rotated = fs::read_to_string(&path).unwrap();
        let keys = Keyring::of(vec![other]);
        assert!(
            sops::open(name, *format, &rotated, &keys).unwrap().text().expose().contains("hunter2"),
            "{name}"
        );
    }
}
