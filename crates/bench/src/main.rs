//! Measures what docs/benchmarks.md tells: each figure beside a reference that is taken in the same run, on the
//! same machine, in turns, so that what is printed is a ratio and not a machine's speed.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a measurement is there to be read")]

mod figure;
mod load;
mod measure;
mod place;
mod report;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use figure::{boot, elections, fleet, reads, weight, writes};
use table::Figure;

/// Measures Freehold on this machine.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", max_term_width = 100)]
struct Arguments {
    /// Few and short rounds, to see whether it works
    #[arg(long)]
    quick: bool,
    /// Measure these only
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Subject>,
    /// Write the table to this file, such as docs/benchmarks.md
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Exit with 1 when a demand is not met
    #[arg(long)]
    strict: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Starting a machine on this host; needs root and libvirt
    Boot,
    /// Reading one object over HTTP
    Reads,
    /// Creating objects over HTTP
    Writes,
    /// Electing a host
    Elections,
    /// Memory of an idle controller
    Weight,
    /// Loading a large store
    Load,
    /// Many nodes at one controller
    Fleet,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds of each pair; odd, as the median is told.
    pub(crate) rounds: usize,
    /// Seconds of each measurement that has no end of its own.
    pub(crate) seconds: f64,
    /// Nodes of the fleet.
    pub(crate) nodes: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(figures) if arguments.strict && figures.iter().any(|figure| !figure.is_met) => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Vec<Figure>> {
    let effort = if arguments.quick {
        Effort { rounds: 3, seconds: 1.0, nodes: 200 }
    } else {
        Effort { rounds: 7, seconds: 3.0, nodes: 2_000 }
    };
    let subjects = if arguments.only.is_empty() { Subject::value_variants() } else { &arguments.only };
    let mut figures = Vec::new();
    for subject in subjects {
        eprintln!("measuring {}", name(*subject));
        let measured = match subject {
            Subject::Boot => boot::measure(effort),
            Subject::Reads => reads::measure(effort),
            Subject::Writes => writes::measure(effort),
            Subject::Elections => elections::measure(effort),
            Subject::Weight => weight::measure(effort),
            Subject::Load => elections::measure_load(effort),
            Subject::Fleet => fleet::measure(effort),
        };
        figures.extend(measured.with_context(|| format!("{} could not be measured", name(*subject)))?);
    }
    let text = report::page(&figures, arguments.quick);
    println!("{text}");
    if let Some(path) = &arguments.write {
        std::fs::write(path, &text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(figures)
}

fn name(subject: Subject) -> String {
    subject.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
