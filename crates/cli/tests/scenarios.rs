//! Whole command lines against a real controller with a node on a simulated host.
//!
//! A scenario is a text file below `scenarios/`, its expected output a snapshot beside it; a new case
//! needs no Rust. Each line is a command line without `freehold`, a word with blanks in single quotes;
//! `<<< TEXT` gives it standard input, `#` begins a comment. `{here}` is the folder of the scenarios,
//! `{port}` the controller's port. `!` begins something that happens outside: `! machine NAME in ZONE`
//! connects a machine, with an agent and a hypervisor of that name; `! follow the link` opens the page
//! that the last mail leads to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use freehold_cli::context::Environment;
use freehold_cli::terminal::Terminal;
use freehold_testkit::{Cluster, MASTER_KEY, facts};
use freehold_types::Id;
use tokio::runtime::Runtime;

#[derive(Parser)]
#[command(name = "freehold", term_width = 80)]
struct CommandLine {
    #[command(flatten)]
    globals: freehold_cli::Globals,
    #[command(subcommand)]
    command: freehold_cli::Command,
}

/// Standard output and standard error together, as on a terminal.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A cloud on the loopback interface, and the home of somebody who uses it.
struct Cloud {
    runtime: Runtime,
    cluster: Cluster,
    home: tempfile::TempDir,
}

impl Cloud {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let cluster = runtime.block_on(Cluster::start());
        let home = tempfile::tempdir().unwrap();
        let local = home.path().join(".freehold");
        std::fs::create_dir(&local).unwrap();
        let credentials = format!(r#"{{"url": "{}", "master_key": "{MASTER_KEY}"}}"#, cluster.url());
        std::fs::write(local.join("credentials.json"), credentials).unwrap();
        Self { runtime, cluster, home }
    }

    /// Runs one command line; what it prints, and its exit code where that is not 0.
    fn run(&self, line: &str) -> String {
        let (line, input) = line.split_once(" <<< ").unwrap_or((line, ""));
        let screen = Screen::default();
        let words = std::iter::once("freehold".to_owned()).chain(words(line));
        let code = match CommandLine::try_parse_from(words) {
            Err(error) => {
                screen.0.lock().unwrap().extend(error.to_string().into_bytes());
                error.exit_code()
            }
            Ok(arguments) => self.carry_out(&arguments, input, &screen),
        };
        let mut text = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        if code != 0 {
            text.push_str("[exit ");
            text.push_str(&code.to_string());
            text.push_str("]\n");
        }
        text
    }

    fn carry_out(&self, arguments: &CommandLine, input: &str, screen: &Screen) -> i32 {
        let environment = Environment {
            config: Some(self.home.path().join("config.json")),
            api_key: None,
            folder: self.home.path().to_owned(),
        };
        let input = std::io::Cursor::new(input.replace("\\n", "\n"));
        let (quiet, verbose) = (arguments.globals.quiet, arguments.globals.verbose > 0);
        let terminal = Terminal::plain(
            Box::new(screen.clone()),
            Box::new(screen.clone()),
            Box::new(input),
            quiet,
            verbose,
        );
        match freehold_cli::run_with(&arguments.command, &arguments.globals, &environment, &terminal) {
            Ok(code) if code == std::process::ExitCode::SUCCESS => 0,
            // Told already; the code itself cannot be looked into.
            Ok(_) => 1,
            Err(error) => {
                terminal.report(&error);
                i32::from(error.code())
            }
        }
    }

    /// Something that happens outside of the command line.
    fn happens(&mut self, event: &str) -> String {
        match event.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["machine", name, "in", zone] => self.start_machine(name, zone),
            _ => self.follow_link(),
        }
    }

    /// A machine in a zone: its agent, its hypervisor, and its node, connected.
    fn start_machine(&mut self, name: &str, zone: &str) -> String {
        let zone: Id = self.run(&format!("get zone {zone} -o id")).trim().parse().unwrap();
        self.runtime.block_on(self.cluster.machine(zone, facts(name)));
        format!("(machine {name} is connected)\n")
    }

    /// Follows the link of the newest mail, as its receiver would.
    fn follow_link(&self) -> String {
        let mail = self.run("outbox show");
        let link = mail.split_whitespace().find(|word| word.contains("?user=")).unwrap();
        let (_, path) = link.rsplit_once(".org").unwrap();
        let url = format!("{}{path}", self.cluster.url());
        format!("(the page answers {})\n", ureq::post(url).send_empty().unwrap().status().as_u16())
    }

    fn stop(self) {
        self.runtime.block_on(self.cluster.stop());
    }
}

/// The words of a command line; one in single quotes may hold blanks.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (position, part) in line.split('\'').enumerate() {
        match position % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn play(scenario: &Path) -> String {
    let mut cloud = Cloud::start();
    let here = scenario.parent().unwrap().to_string_lossy().into_owned();
    let port = cloud.cluster.url().rsplit_once(':').unwrap().1.to_owned();
    let mut told = Vec::new();
    for line in std::fs::read_to_string(scenario).unwrap().lines().filter(|line| !line.is_empty()) {
        match line.split_once(' ') {
            Some(("#", _)) => told.push(format!("{line}\n")),
            Some(("!", event)) => told.push(cloud.happens(event)),
            _ => {
                told.push(format!("$ freehold {line}\n"));
                told.push(cloud.run(&line.replace("{here}", &here).replace("{port}", &port)));
            }
        }
    }
    let told =
        told.concat().replace(&here, "{here}").replace(&*cloud.home.path().to_string_lossy(), "{home}");
    cloud.stop();
    told
}

fn all() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scenarios: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    scenarios.sort();
    scenarios
}

#[test]
fn scenarios() {
    insta::with_settings!({
        filters => vec![
            (r"\b[0-9a-f]{24}\b", "[ID]"),
            (r"\d+ ms", "[TIME]"),
            (r"made \d{4}-\d\d-\d\d", "made [DAY]"),
            (r"Revision:    \d+", "Revision:    [NUMBER]"),
            (r"127\.0\.0\.1-\d+", "127.0.0.1-[PORT]"),
            (r"http://127\.0\.0\.1:\d+", "[URL]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
            (r"(?m)  \d+s$", "  [AGE]"),
            (r"  \d+s  ", "  [AGE]  "),
            (r"\(\d+s ago\)", "([AGE] ago)"),
            (r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", "[MAC]"),
        ],
        omit_expression => true,
    }, {
        for scenario in all() {
            let name = scenario.file_stem().unwrap().to_string_lossy().into_owned();
            insta::assert_snapshot!(name, play(&scenario));
        }
    });
}
