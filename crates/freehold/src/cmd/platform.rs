//! `freehold platform`: begin a platform file, see what is wrong with it, and where its values come from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use freehold_cli::Error;
use freehold_cli::error::Failure;
use freehold_cli::terminal::Terminal;
use freehold_platform::examples;
use freehold_platform::load::{self, Loaded, Options};
use freehold_platform::{Look, Report};
use freehold_secrets::keys::{Environment, Keyring};
use freehold_secrets::sops;
use serde::Serialize;

use crate::files;

/// Columns of reports, for terminals and logs alike.
const WIDTH: usize = 100;
/// What a repository with a platform does not hold.
const IGNORED: &str = "# Secrets in the clear. Encrypted ones, in files that end in .sops.yaml, may be kept.\n\
                       secrets.yaml\n*.secrets.yaml\n.env\n";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a complete example to begin from
    Init {
        /// Which one
        #[arg(long, value_name = "NAME", value_parser = names())]
        example: String,
        /// Directory for its files
        #[arg(long, value_name = "DIR", default_value = "platform", value_hint = clap::ValueHint::DirPath)]
        out: PathBuf,
    },
    /// Tell everything that is wrong with a platform
    Validate {
        #[command(flatten)]
        source: Source,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what a key means, where its value comes from, and what it replaced
    Explain {
        /// The key, such as `machines.web-1.ssh.port`
        key: String,
        #[command(flatten)]
        source: Files,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of platform files, for editors
    Schema,
}

/// Where a platform is read from.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Files, and directories of files
    #[arg(value_name = "PATH", default_value = ".", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    options: Choices,
}

/// The same, where something else stands first on the command line.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Files, and directories of files [default: those of this directory, if any]
    #[arg(long = "file", short = 'f', value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    options: Choices,
}

#[derive(Debug, Args)]
struct Choices {
    /// Profile to merge over the files
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// File of variables, one NAME=VALUE a line; those of the environment come first
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    env_file: Option<PathBuf>,
}

fn names() -> PossibleValuesParser {
    let named =
        |example: &examples::Example| clap::builder::PossibleValue::new(example.name).help(example.about);
    PossibleValuesParser::new(examples::ALL.iter().map(named))
}

pub(super) fn run(command: &Command, quiet: bool) -> Result<ExitCode> {
    let terminal = Terminal::of_process(quiet, false);
    match command {
        Command::Init { example, out } => init(example, out, &terminal),
        Command::Validate { source, json } => {
            validate(&load(&source.paths, &source.options)?, *json, &terminal)
        }
        Command::Explain { key, source, json } => {
            explain(&load_for_explanation(source)?, key, *json, &terminal)
        }
        Command::Schema => {
            terminal.print(&serde_json::to_string_pretty(&freehold_platform::schema())?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn init(name: &str, out: &Path, terminal: &Terminal) -> Result<ExitCode> {
    let example = examples::find(name).with_context(|| format!("there is no example {name}"))?;
    let existing: Vec<String> = example
        .files
        .iter()
        .filter(|(file, _)| out.join(file).exists())
        .map(|(file, _)| (*file).to_owned())
        .collect();
    if !existing.is_empty() {
        let message = format!("{} already holds {}", out.display(), existing.join(", "));
        return Err(Error::new(Failure::Conflict, message).hint("name another directory with --out").into());
    }
    files::make_directory(out, 0o755)?;
    for (file, text) in example.files {
        files::write_public(&out.join(file), text.as_bytes())?;
    }
    // Whoever keeps the platform in a repository has rules of their own there.
    if !out.join(".gitignore").exists() {
        files::write_public(&out.join(".gitignore"), IGNORED.as_bytes())?;
    }
    terminal.note(&format!("Wrote the example {name} to {}.", out.display()));
    terminal.note(&format!("Change it, then run `freehold platform validate {}`.", out.display()));
    Ok(ExitCode::SUCCESS)
}

fn load(paths: &[PathBuf], choices: &Choices) -> Result<Loaded> {
    let variables = match &choices.env_file {
        Some(path) => of_file(path)?,
        None => BTreeMap::new(),
    };
    let inputs = load::read(paths, &decrypted).map_err(Error::usage)?;
    let variable = |name: &str| std::env::var(name).ok().or_else(|| variables.get(name).cloned());
    Ok(load::assemble(inputs, Options { profiles: &choices.profiles, variables: &variable }))
}

/// The text of an encrypted file, with the keys of this user.
fn decrypted(path: &Path, text: &str) -> Result<String, String> {
    let open = || {
        let keys = Keyring::find(&Environment::of_process(None))?;
        sops::open(&path.display().to_string(), sops::Format::of(path)?, text, &keys)
    };
    open()
        .map(|opened| opened.text().expose().clone())
        .map_err(|error: freehold_secrets::Error| error.to_string())
}

/// Keys can be explained without a platform.
fn load_for_explanation(source: &Files) -> Result<Loaded> {
    if !source.paths.is_empty() {
        return load(&source.paths, &source.options);
    }
    let here = load(&[PathBuf::from(".")], &source.options);
    Ok(here.unwrap_or_else(|_| load::assemble(Vec::new(), Options { profiles: &[], variables: &|_| None })))
}

/// Variables of a file: lines of NAME=VALUE, with or without `export` and quotes; lines with `#` are comments.
fn of_file(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = files::read(path)?;
    let mut variables = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = assignment.split_once('=') else {
            // The line may hold a secret, and is not shown.
            let message = format!("line {} of {} is not NAME=VALUE", at + 1, path.display());
            return Err(Error::usage(message).into());
        };
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        variables.insert(name.trim().to_owned(), quoted.unwrap_or(value).to_owned());
    }
    Ok(variables)
}

/// What programs read of a validation.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    valid: bool,
    errors: usize,
    warnings: usize,
    faults: Vec<&'a Report>,
}

fn validate(loaded: &Loaded, json: bool, terminal: &Terminal) -> Result<ExitCode> {
    let faults = loaded.faults();
    let (errors, warnings) = (faults.errors(), faults.warnings());
    if json {
        let verdict =
            Verdict { valid: !faults.is_fatal(), errors, warnings, faults: faults.reports().collect() };
        terminal.print(&serde_json::to_string_pretty(&verdict)?)?;
        return Ok(ExitCode::from(if faults.is_fatal() { Failure::Usage.code() } else { 0 }));
    }
    tell(loaded);
    let more = |word: &str| {
        if warnings == 0 { String::new() } else { format!("{word}{}", count(warnings, "warning")) }
    };
    let Some(platform) = loaded.platform() else {
        let errors = count(errors, "error");
        return Err(Error::usage(format!("the platform has {errors}{}", more(" and "))).into());
    };
    let machines = count(platform.machines.len(), "machine");
    let networks = count(platform.networks.len(), "network");
    let name = &platform.name;
    terminal.note(&format!("The platform {name} is valid: {machines} on {networks}{}.", more(", with ")));
    Ok(ExitCode::SUCCESS)
}

/// Writes what is wrong to standard error.
fn tell(loaded: &Loaded) {
    let text = loaded.faults().render(loaded.sources(), Look { colour: true, width: WIDTH });
    // When standard error is gone, nobody is left to tell.
    let _ = write!(anstream::stderr().lock(), "{text}");
}

fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

fn explain(loaded: &Loaded, key: &str, json: bool, terminal: &Terminal) -> Result<ExitCode> {
    let explanation = freehold_platform::explain::explain(loaded, key)
        .map_err(|message| Error::new(Failure::NotFound, message))?;
    if json {
        terminal.print(&serde_json::to_string_pretty(&explanation)?)?;
    } else {
        terminal.print(&explanation.to_string())?;
    }
    if loaded.faults().is_fatal() && !loaded.sources().inputs().is_empty() {
        let errors = count(loaded.faults().errors(), "error");
        terminal.warn(&format!("the platform has {errors}; see `freehold platform validate`"));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "# comment\n\nA=one\nexport B='two words'\nC = \"three\"\nD=a=b\n").unwrap();
        let found = of_file(&path).unwrap();
        let all: Vec<(&str, &str)> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(all, [("A", "one"), ("B", "two words"), ("C", "three"), ("D", "a=b")]);
        std::fs::write(&path, "hunter2\n").unwrap();
        let failure = of_file(&path).unwrap_err().to_string();
        assert!(failure.contains("line 1 of") && !failure.contains("hunter2"), "{failure}");
    }
}
