//! The format against the real `age`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use freehold_secrets::age::{self, Identity};

fn run(program: &str, arguments: &[&str], directory: &Path) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("{program} does not start, see deploy/packages/test: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn both_open_what_the_other_encrypts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    run("age-keygen", &["-o", "key.txt"], path);
    let key = Identity::parse_file(&fs::read_to_string(path.join("key.txt")).unwrap()).unwrap().remove(0);
    let public = String::from_utf8(run("age-keygen", &["-y", "key.txt"], path)).unwrap();
    assert_eq!(public.trim(), key.recipient().to_string());
    let own = Identity::generate();
    fs::write(path.join("own.txt"), own.to_key_file("now").unwrap().expose()).unwrap();
    let public = String::from_utf8(run("age-keygen", &["-y", "own.txt"], path)).unwrap();
    assert_eq!(public.trim(), own.recipient().to_string());
    let recipients = [own.recipient().clone(), key.recipient().clone()];
    for length in [0, 1, 48, 65_536, 150_000] {
        let content: Vec<u8> = (0..length).map(|index| u8::try_from(index % 253).unwrap()).collect();
        fs::write(path.join("plain"), &content).unwrap();
        fs::write(path.join("ours.age"), age::encrypt(&recipients, &content).unwrap()).unwrap();
        fs::write(path.join("armored.age"), age::encrypt_armored(&recipients, &content).unwrap()).unwrap();
        for file in ["ours.age", "armored.age"] {
            for key in ["key.txt", "own.txt"] {
                assert_eq!(run("age", &["-d", "-i", key, file], path), content, "{file}, {length} bytes");
            }
        }
        for armor in [&["-a"][..], &[]] {
            let other = recipients[1].to_string();
            let mut arguments = vec!["-r", &other, "-R", "own.pub", "-o", "theirs.age"];
            fs::write(path.join("own.pub"), own.recipient().to_string()).unwrap();
            arguments.extend(armor);
            arguments.push("plain");
            run("age", &arguments, path);
            let theirs = fs::read(path.join("theirs.age")).unwrap();
            for key in [&own, &key] {
                assert_eq!(
                    age::decrypt(std::slice::from_ref(key), &theirs).unwrap().as_deref(),
                    Some(&content[..])
                );
            }
        }
    }
}
