//! Whole command lines against a real controller with a node on a simulated host.
//!
//! A scenario is a text file below `scenarios/`, its expected output a snapshot beside it; a new case
//! needs no Rust. Each line is a command line without `freehold`; `<<< TEXT` gives it standard input,
//! `#` begins a comment. `{here}` is the folder of the scenarios, `{port}` the controller's port. `!` begins
//! something that happens outside: `! node NAME` starts a node for the agent with that name, with the key
//! that was mailed last; `! follow the link` opens the page that the last mail leads to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use freehold_cli::context::Environment;
use freehold_cli::terminal::Terminal;
use freehold_controller::{Controller, ControllerConfig};
use freehold_node::host::sim::{Sim, SimConfig};
use freehold_node::{Link, Node, SimulatedNode};
use freehold_store::Memory;
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

/// A cloud on the loopback interface, and the configuration of somebody who uses it.
struct Cloud {
    runtime: Runtime,
    controller: Controller,
    nodes: Vec<Node>,
    home: tempfile::TempDir,
}

impl Cloud {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let config =
            ControllerConfig { listen: "127.0.0.1:0".parse().unwrap(), ..ControllerConfig::default() };
        let environment = freehold_kinds::environment::Environment::for_tests();
        let controller = runtime.block_on(Controller::start(config, environment, Memory::default())).unwrap();
        let home = tempfile::tempdir().unwrap();
        let local = home.path().join(".freehold");
        std::fs::create_dir(&local).unwrap();
        let credentials = format!(r#"{{"url": "http://{}", "master_key": "master"}}"#, controller.address());
        std::fs::write(local.join("credentials.json"), credentials).unwrap();
        Self { runtime, controller, nodes: Vec::new(), home }
    }

    /// Runs one command line; what it prints, and its exit code where that is not 0.
    fn run(&self, line: &str) -> String {
        let (line, input) = line.split_once(" <<< ").unwrap_or((line, ""));
        let screen = Screen::default();
        let code = match CommandLine::try_parse_from(["freehold"].into_iter().chain(line.split_whitespace()))
        {
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
        match event.strip_prefix("node ") {
            Some(agent) => self.start_node(agent),
            None => self.follow_link(),
        }
    }

    /// Starts a node for an agent, with the key of the newest mail.
    fn start_node(&mut self, agent: &str) -> String {
        let id = self.run(&format!("get agent {agent} -o id"));
        let mail = self.run("outbox show");
        let key = mail.split_whitespace().find(|word| word.len() == 64).unwrap();
        let url = format!("http://{}", self.controller.address());
        let setup = SimulatedNode::new(id.trim().parse().unwrap(), key.to_owned().into(), url);
        let sim = Sim::new(SimConfig::default());
        let _guard = self.runtime.enter();
        let node = Node::simulated(setup, sim.host()).unwrap();
        self.runtime.block_on(node.wait_until(|status| matches!(status.link, Link::Connected { .. })));
        self.nodes.push(node);
        format!("(node {agent} is connected)\n")
    }

    /// Follows the link of the newest mail, as its receiver would.
    fn follow_link(&self) -> String {
        let mail = self.run("outbox show");
        let link = mail.split_whitespace().find(|word| word.contains("?user=")).unwrap();
        let (_, path) = link.rsplit_once(".org").unwrap();
        let url = format!("http://{}{path}", self.controller.address());
        format!("(the page answers {})\n", ureq::post(url).send_empty().unwrap().status().as_u16())
    }

    fn stop(self) {
        for node in self.nodes {
            self.runtime.block_on(node.stop());
        }
        self.runtime.block_on(self.controller.stop());
    }
}

fn play(scenario: &Path) -> String {
    let mut cloud = Cloud::start();
    let here = scenario.parent().unwrap().to_string_lossy().into_owned();
    let port = cloud.controller.address().port().to_string();
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
