//! Files against themselves; `tests/sops.rs` holds them against files of SOPS.

use freehold_types::Secret;

use super::*;
use crate::age::Identity;
use crate::keys::Keyring;

const YAML: &str = "\
# about everything
db:
    password: hunter2 # of the database
    port: 5432
    ratio: 1.0
    on_unencrypted: yes it is
    since: 2001-01-02
    enabled: true
    nothing:
    empty: \"\"
    # of the list
    hosts:
        - one
        # before two
        - 'two: really'
        - name: three
          key: |
              -----BEGIN KEY-----
                indented

              -----END KEY-----
flow: {a: b, list: [1, \"two\"]}
quoted: \"12\"
# the end
";

struct World {
    key: Identity,
    policy: Policy,
}

impl World {
    fn new() -> Self {
        let key = Identity::generate();
        let policy = Policy { recipients: vec![key.recipient().clone()], ..Policy::default() };
        Self { key, policy }
    }

    fn encrypt(&self, format: Format, plain: &str) -> String {
        encrypt("file", format, &Secret::new(plain.to_owned()), &self.policy).unwrap()
    }

    fn open(&self, format: Format, text: &str) -> Result<Opened> {
        open("file", format, text, &Keyring::of(vec![self.key.clone()]))
    }
}

#[test]
fn yaml_keeps_its_layout_and_comes_back() {
    let world = World::new();
    let text = world.encrypt(Format::Yaml, YAML);
    for visible in
        ["db:\n    password: ENC[", "on_unencrypted: yes it is", "nothing:\n", "empty: \"\"", "- name: ENC["]
    {
        assert!(text.contains(visible), "{visible:?} in {text}");
    }
    for hidden in
        ["hunter2", "5432", "really", "BEGIN KEY", "of the database", "about everything", "before two"]
    {
        assert!(!text.contains(hidden), "{hidden:?} in {text}");
    }
    let opened = world.open(Format::Yaml, &text).unwrap();
    let expected = YAML
        .replace("'two: really'", "\"two: really\"")
        .replace("since: 2001-01-02", "since: 2001-01-02T00:00:00Z");
    let expected = expected.replace("a: b", "a: \"b\"");
    assert_eq!(opened.text().expose(), &expected);
    assert_eq!(opened.find("db.port").unwrap().expose(), "5432");
    assert_eq!(opened.find("db.nothing"), None);
}

#[test]
fn json_and_dotenv_come_back() {
    let world = World::new();
    let json = "{\n\t\"a\": \"\\ud83d\\ude00 \\/ x\",\n\t\"n\": [1, 2.5, true, null, {\"b\": \"\"}],\n\t\"plain_unencrypted\": 7\n}\n";
    for plain in [json, "{}", "{\"only\": \"one\"}"] {
        let text = world.encrypt(Format::Json, plain);
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        let opened = world.open(Format::Json, &text).unwrap();
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(opened.text().expose()), read(plain));
    }
    let plain = "# note\nNAME=value = with\nLINES=a\\nb\n\nEMPTY=\n";
    let text = world.encrypt(Format::Dotenv, plain);
    assert!(text.contains("NAME=ENC[") && text.contains("sops_age__list_0__map_recipient=age1"), "{text}");
    let opened = world.open(Format::Dotenv, &text).unwrap();
    assert_eq!(opened.text().expose(), plain);
    assert_eq!(opened.find("LINES").unwrap().expose(), "a\nb");
}

#[test]
fn an_edit_changes_only_what_it_changes() {
    let world = World::new();
    let text = world.encrypt(Format::Yaml, YAML);
    let opened = world.open(Format::Yaml, &text).unwrap();
    assert_eq!(opened.seal(opened.text()).unwrap(), text, "no change, the same bytes");
    let changed = opened.text().expose().replace("hunter2", "hunter3");
    let sealed = opened.seal(&Secret::new(changed)).unwrap();
    let differing: Vec<(&str, &str)> =
        text.lines().zip(sealed.lines()).filter(|(before, after)| before != after).collect();
    let names: Vec<&str> = differing.iter().map(|(line, _)| line.trim().split(':').next().unwrap()).collect();
    assert!(names == ["password", "mac"] || names == ["password", "lastmodified", "mac"], "{names:?}");
    assert_eq!(world.open(Format::Yaml, &sealed).unwrap().find("db.password").unwrap().expose(), "hunter3");
}

#[test]
fn rotation_renews_everything_and_changes_recipients() {
    let mut world = World::new();
    let text = world.encrypt(Format::Yaml, YAML);
    let other = Identity::generate();
    let added = world.open(Format::Yaml, &text).unwrap().rotate(&[other.recipient().clone()], &[]).unwrap();
    for line in text.lines().filter(|line| line.contains("ENC[")) {
        assert!(!added.contains(line), "{line} is still there");
    }
    let own = world.key.recipient().clone();
    world.key = other;
    let opened = world.open(Format::Yaml, &added).unwrap();
    let without = opened.rotate(&[], std::slice::from_ref(&own)).unwrap();
    assert_eq!(recipients("file", Format::Yaml, &without).unwrap(), [world.key.recipient().to_string()]);
    let error = opened.rotate(&[], &[Identity::generate().recipient().clone()]).unwrap_err().to_string();
    assert!(error.contains("not encrypted for"), "{error}");
}

#[test]
fn a_wrong_key_is_told_with_file_recipients_and_places() {
    let world = World::new();
    let text = world.encrypt(Format::Yaml, YAML);
    let stranger = Identity::generate();
    let error =
        open("a/secrets.yaml", Format::Yaml, &text, &Keyring::of(vec![stranger.clone()])).unwrap_err();
    let told = error.to_string();
    for part in [
        "a/secrets.yaml",
        &world.key.recipient().to_string(),
        &stranger.recipient().to_string(),
        "keys given by the program",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn whatever_is_tampered_with_gives_nothing() {
    let world = World::new();
    let plain = "a: one\nb: two\nlist:\n    - x\n    - y\nfree_unencrypted: 1\n";
    let text = world.encrypt(Format::Yaml, plain);
    let line =
        |start: &str| text.lines().find(|line| line.trim_start().starts_with(start)).unwrap().to_owned();
    let (a, b) = (line("a:"), line("b:"));
    let items: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("- ENC")).collect();
    let tampered = [
        text.replace(&a, &b.replacen("b:", "a:", 1)),
        text.replace(&format!("{a}\n"), ""),
        text.replace(items[0], "SWAP").replace(items[1], items[0]).replace("SWAP", items[1]),
        text.replace("free_unencrypted: 1", "free_unencrypted: 2"),
        text.replace("free_unencrypted: 1", "free_unencrypted: 1\nmore_unencrypted: 1"),
        text.replace("lastmodified: \"2", "lastmodified: \"3"),
        text.split_inclusive('\n').filter(|line| !line.contains("mac:")).collect(),
    ];
    for (index, tampered) in tampered.iter().enumerate() {
        assert_ne!(tampered, &text, "case {index} changes something");
        let error = world.open(Format::Yaml, tampered).unwrap_err();
        assert!(matches!(error, Error::Tampered { .. }), "case {index}: {error}");
    }
}

#[test]
fn what_is_not_supported_is_refused_with_its_line() {
    let world = World::new();
    for (plain, expected) in [
        ("a: &x 1\nb: *x\n", "line 1: anchors"),
        ("a: 1\n---\nb: 2\n", "several documents"),
        ("a: !!str 1\n", "line 1: tags"),
        ("- a\n- b\n", "not a list"),
        ("just text\n", "name: value"),
        ("8080: x\n", "put it in quotes"),
        ("a: 1\nb: 2\na: 3\n", "line 3: the key `a` is there twice"),
        ("a: 9223372036854775808\n", "too large"),
        ("{a: b}\n", "without braces"),
        ("a: [1\n", "no valid YAML"),
        ("a: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\n", "`a`: it is already encrypted"),
        ("a: 1\nsops: 1\n", "encrypted already"),
    ] {
        let error = encrypt("file", Format::Yaml, &Secret::new(plain.to_owned()), &world.policy);
        let error = error.expect_err(plain).to_string();
        assert!(error.contains(expected), "{plain:?}: {error}");
    }
}

#[test]
fn rules_choose_what_is_encrypted() {
    let mut world = World::new();
    world.policy.encrypted_regex = Some("^(data|stringData)$".to_owned());
    world.policy.mac_only_encrypted = true;
    let text = world.encrypt(Format::Yaml, "kind: Secret\nstringData:\n    password: hunter2\n");
    assert!(text.contains("kind: Secret\n") && !text.contains("hunter2"), "{text}");
    let changed = text.replace("kind: Secret", "kind: Other");
    let opened = world.open(Format::Yaml, &changed).unwrap();
    assert_eq!(
        opened.find("stringData.password").unwrap().expose(),
        "hunter2",
        "the MAC leaves the rest out"
    );
}

proptest::proptest! {
    #[test]
    fn any_text_comes_back(values in proptest::collection::vec("(?s).{0,40}", 1..6), format in 0..3_u8) {
        let world = World::new();
        let format = [Format::Yaml, Format::Json, Format::Dotenv][usize::from(format)];
        let mut plain = String::new();
        for (index, value) in values.iter().enumerate() {
            let line = match format {
                Format::Yaml => format!("k{index}: {}\n", write::quoted(value)),
                Format::Json => format!("{} \"k{index}\": {}", if index == 0 { "{" } else { "," }, write::quoted(value)),
                Format::Dotenv => format!("k{index}={}\n", value.replace(['\n', '\r', '\\', '\0'], "")),
            };
            plain.push_str(&line);
        }
        if format == Format::Json {
            plain.push('}');
        }
        let opened = world.open(format, &world.encrypt(format, &plain)).unwrap();
        for (index, value) in values.iter().enumerate() {
            let expected = if format == Format::Dotenv { value.replace(['\n', '\r', '\\', '\0'], "") } else { value.clone() };
            proptest::prop_assert_eq!(opened.find(&format!("k{index}")).unwrap().into_inner(), expected);
        }
    }

    #[test]
    fn nothing_that_is_read_panics(text in "(?s).{0,200}") {
        let world = World::new();
        for format in [Format::Yaml, Format::Json, Format::Dotenv] {
            let _ = world.open(format, &text);
            let _ = encrypt("file", format, &Secret::new(text.clone()), &world.policy);
        }
    }
}
