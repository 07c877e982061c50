use std::collections::BTreeMap;
use std::process::Command;

use proptest::prelude::*;

use super::*;

/// A reader that shares nothing with the writer: follows the descriptor of one tree to its files.
fn read(image: &[u8], descriptor: usize) -> BTreeMap<String, Vec<u8>> {
    let number = |at: usize| {
        let little = u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
        assert_eq!(little, u32::from_be_bytes(image[at + 4..at + 8].try_into().unwrap()), "at {at}");
        little as usize
    };
    let base = descriptor * 2048;
    assert_eq!(&image[base + 1..base + 6], b"CD001");
    assert_eq!(number(base + 80) * 2048, image.len());
    let joliet = image[base] == 2;
    let (start, length) = (number(base + 158) * 2048, number(base + 166));
    let table = u32::from_le_bytes(image[base + 140..base + 144].try_into().unwrap()) as usize * 2048;
    assert_eq!(u32::from_le_bytes(image[table + 2..table + 6].try_into().unwrap()) as usize * 2048, start);
    let table = u32::from_be_bytes(image[base + 148..base + 152].try_into().unwrap()) as usize * 2048;
    assert_eq!(u32::from_be_bytes(image[table + 2..table + 6].try_into().unwrap()) as usize * 2048, start);
    let mut files = BTreeMap::new();
    let mut at = start;
    let mut identifiers = Vec::new();
    while at < start + length && image[at] != 0 {
        let record = &image[at..at + usize::from(image[at])];
        let identifier = &record[33..33 + usize::from(record[32])];
        let block = number(at + 2) * 2048;
        let content = &image[block..block + number(at + 10)];
        if record[25] & 2 == 0 {
            identifiers.push(identifier.to_vec());
            let name = if joliet {
                let units: Vec<u16> =
                    identifier.chunks(2).map(|unit| u16::from_be_bytes(unit.try_into().unwrap())).collect();
                String::from_utf16(&units).unwrap().strip_suffix(";1").unwrap().to_owned()
            } else {
                rock_ridge_name(&record[(33 + identifier.len()).next_multiple_of(2)..])
            };
            files.insert(name, content.to_vec());
        }
        at += record.len();
    }
    assert!(joliet || identifiers.is_sorted());
    files
}

fn rock_ridge_name(mut area: &[u8]) -> String {
    while area.len() > 4 {
        let (entry, rest) = area.split_at(usize::from(area[2]));
        if &entry[..2] == b"NM" {
            return String::from_utf8(entry[5..].to_vec()).unwrap();
        }
        area = rest;
    }
    panic!("no name");
}

#[test]
fn other_tools_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("seed.iso");
    let large = vec![b'x'; 5000];
    let files: [(&str, &[u8]); 3] =
        [("user-data", &large), ("meta-data", b"instance-id: 1\n"), ("network-config", b"")];
    std::fs::write(&file, image("cidata", &files).unwrap()).unwrap();
    for tree in ["on", "off"] {
        let out = directory.path().join(tree);
        // Without Rock Ridge, xorriso is left with the Joliet names.
        let output = Command::new("xorriso")
            .args(["-report_about", "WARNING", "-osirrox", "on", "-read_fs"])
            .arg(if tree == "on" { "any" } else { "norock" })
            .arg("-indev")
            .arg(&file)
            .args(["-extract", "/"])
            .arg(&out)
            .output()
            .expect("xorriso is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for (name, content) in files {
            assert_eq!(std::fs::read(out.join(name)).unwrap(), content, "{name}, Rock Ridge {tree}");
        }
    }
    let blkid =
        Command::new("blkid").args(["-p", "-o", "export"]).arg(&file).output().expect("blkid is installed");
    let found = String::from_utf8(blkid.stdout).unwrap();
    assert!(found.contains("LABEL=cidata\n") && found.contains("TYPE=iso9660\n"), "{found}");
}

#[test]
fn bytes_depend_on_nothing_but_the_files() {
    let one = image("cidata", &[("user-data", b"a"), ("meta-data", b"b")]).unwrap();
    let two = image("cidata", &[("meta-data", b"b"), ("user-data", b"a")]).unwrap();
    assert_eq!(one, two);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_eq!(image("", &[]), Err(Unfit::Label(String::new())));
    assert_eq!(image("a label", &[]), Err(Unfit::Label("a label".to_owned())));
    for name in ["", "User", "a/b", "é", &"x".repeat(28)] {
        assert_eq!(image("cidata", &[(name, b"")]), Err(Unfit::Name(name.to_owned())));
    }
    assert_eq!(image("cidata", &[("a-b", b""), ("a_b", b"")]), Err(Unfit::Twice("a_b".to_owned())));
    let names: Vec<String> = (0..40).map(|n| format!("file-{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(image("cidata", &files), Err(Unfit::Many(40)));
}

proptest! {
    #[test]
    fn both_trees_read_back(
        files in proptest::collection::btree_map("[a-z0-9-]{1,27}", proptest::collection::vec(any::<u8>(), 0..5000), 0..10),
        label in "[a-zA-Z]{1,16}",
    ) {
        let listed: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
        let image = image(&label, &listed).unwrap();
        prop_assert_eq!(image.len() % BLOCK, 0);
        prop_assert_eq!(&image[16 * 2048 + 40..16 * 2048 + 40 + label.len()], label.as_bytes());
        prop_assert_eq!(&read(&image, 16), &files);
        prop_assert_eq!(&read(&image, 17), &files);
        prop_assert_eq!(image[18 * 2048], 255);
    }
}
