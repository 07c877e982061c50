//! No input makes the loader panic, hang or forget a limit.

use std::time::{Duration, Instant};

use freehold_platform::examples::ALL;
use proptest::prelude::*;

use crate::support::{load, plain, report, secret};

/// Pieces that make YAML go wrong.
const PIECES: &[&str] = &[
    "",
    " ",
    "\n",
    "  ",
    "\t",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!str ",
    "|",
    ">",
    "#",
    "---\n",
    "...\n",
    "<<: ",
    "? ",
    "~",
    "null",
    "${",
    "}",
    "${X:-",
    "$${",
    "\0",
    "\u{feff}",
    "é",
    "\u{1f980}",
    "\r\n",
    "%YAML 1.2\n",
    "-1",
    "99999999999999999999",
    "1e999",
    ".nan",
    "0x1f",
    "true",
    "10.0.0.0/0",
    "::/0",
    "::1",
    "a.b",
];

#[derive(Debug, Clone)]
enum Edit {
    Insert(usize, usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    SwapLines(usize, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (any::<usize>(), 0..PIECES.len()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<usize>(), 1..200_usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
        (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Edit::SwapLines(one, other)),
    ];
    proptest::collection::vec(edit, 1..8)
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for edit in edits {
        let place = |at: usize, chars: &[char]| at % (chars.len() + 1);
        match *edit {
            Edit::Insert(at, piece) => {
                let at = place(at, &chars);
                chars.splice(at..at, PIECES[piece].chars());
            }
            Edit::Remove(at, length) => {
                let at = place(at, &chars);
                chars.drain(at..(at + length).min(chars.len()));
            }
            Edit::Repeat(at, length) => {
                let at = place(at, &chars);
                let copy: Vec<char> = chars[at..(at + length).min(chars.len())].to_vec();
                chars.splice(at..at, copy);
            }
            Edit::SwapLines(one, other) => {
                let text: String = chars.iter().collect();
                let mut lines: Vec<&str> = text.split('\n').collect();
                let (one, other) = (one % lines.len(), other % lines.len());
                lines.swap(one, other);
                chars = lines.join("\n").chars().collect();
            }
        }
    }
    chars.into_iter().collect()
}

/// How many cases of each property: few in the suite, many where somebody asks for a long search.
fn cases() -> u32 {
    std::env::var("FREEHOLD_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Examples with mutations either load or tell their faults; structure that is right always deserialises.
    #[test]
    fn mutated_examples_never_panic(example in 0..ALL.len(), file in any::<usize>(), edits in edits(), hide in any::<bool>()) {
        let files = ALL[example].files;
        let broken = file % files.len();
        let inputs = files.iter().enumerate().map(|(at, (name, text))| {
            let text = if at == broken { edited(text, &edits) } else { (*text).to_owned() };
            if at == broken && hide { secret(name, &text) } else { plain(name, &text) }
        });
        let loaded = load(inputs.collect(), &["ceph"]);
        let text = report(&loaded);
        prop_assert!(loaded.platform().is_some() || loaded.faults().is_fatal());
        prop_assert!(!text.contains("the platform cannot be read"), "the shape let through what the types refuse:\n{text}");
    }

    #[test]
    fn noise_never_panics(pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        let loaded = load(vec![plain("noise.yaml", &text)], &[]);
        let _ = report(&loaded);
    }
}

#[test]
fn aliases_that_multiply_are_refused_at_once() {
    let mut text = "name: x\nx0: &x0 [1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..40 {
        let before = level - 1;
        let items = vec![format!("*x{before}"); 8].join(", ");
        text += &format!("x{level}: &x{level} [{items}]\n");
    }
    let began = Instant::now();
    let loaded = load(vec![plain("bomb.yaml", &text)], &[]);
    assert!(report(&loaded).contains("counting what aliases repeat"));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// What groups give to machines is counted, too.
#[test]
fn groups_that_multiply_are_refused() {
    let packages = vec!["p"; 20_000].join(", ");
    let machines: String = (0..500).map(|at| format!("  m{at}: {{}}\n")).collect();
    let text = format!("name: x\ndefaults: {{ packages: [{packages}] }}\nmachines:\n{machines}");
    let loaded = load(vec![plain("bomb.yaml", &text)], &[]);
    let text = report(&loaded);
    assert!(text.contains("machines have more than 1000000 values"), "{text}");
    assert_eq!(loaded.faults().errors(), 1, "{text}");
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let text = format!("x: {}1{}\n", open.repeat(5_000), close.repeat(5_000));
        let loaded = load(vec![plain("deep.yaml", &text)], &[]);
        let text = report(&loaded);
        assert!(text.contains("nested"), "{open}: {text}");
    }
    let block: String = (0..300).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(report(&load(vec![plain("deep.yaml", &block)], &[])).contains("nested more than"));
}

/// A thousand machines are read and checked in a blink; the bound is wide, for slow and busy hosts.
#[test]
fn a_thousand_machines_load_quickly() {
    let mut text = "name: many\nnetworks: { lan: { cidr: 10.0.0.0/16, gateway: 10.0.0.1 } }\n".to_owned();
    text += "defaults: { sysctls: { vm.swappiness: '10' } }\ngroups:\n  nodes:\n    settings:\n      packages: [vim]\nmachines:\n";
    for at in 0..1_000 {
        let (high, low) = (1 + at / 250, 1 + at % 250);
        text += &format!(
            "  node-{at}:\n    groups: [nodes]\n    number: {}\n    interfaces:\n      eth0: {{ network: lan, addresses: [10.0.{high}.{low}], default_route: true }}\n    disks:\n      system: {{ id: disk-{at}, use: system }}\n",
            at + 1
        );
    }
    text += "roles: { worker: [nodes], control-plane: [node-0], etcd: [node-0] }\nservices: { kubernetes: { version: 1.36.1, endpoint: node-0, pod_cidr: 10.128.0.0/10, service_cidr: 10.112.0.0/12 } }\n";
    let began = Instant::now();
    let loaded = load(vec![plain("many.yaml", &text)], &[]);
    let took = began.elapsed();
    assert!(loaded.faults().is_empty(), "{}", report(&loaded));
    eprintln!("1,000 machines: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Whoever makes one mistake a thousand times is not told a thousand times.
#[test]
fn many_faults_are_cut_short() {
    let machines: String = (0..500).map(|at| format!("  m{at}: {{ ssh: {{ port: none }} }}\n")).collect();
    let loaded = load(vec![plain("many.yaml", &format!("name: x\nmachines:\n{machines}"))], &[]);
    assert_eq!(loaded.faults().errors(), 500);
    assert!(report(&loaded).trim_end().ends_with("and 400 more"));
}
