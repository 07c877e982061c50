//! `freehold secrets certificates`: they are kept in a file of secrets, with their keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::ValueHint;
use freehold_secrets::file;
use freehold_secrets::pki::{self, Input, Item, Options, Row, State, Store};
use freehold_types::Timestamp;

use super::{Context, Current, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// File of secrets that holds the certificates
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Nodes, addresses and roles, in YAML; see docs/secrets.md
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    input: PathBuf,
    /// Issue what is missing, differs from the input, or ends within `--within` days
    #[arg(long)]
    issue: bool,
    /// Renew this certificate, whatever its state
    #[arg(long, value_name = "NAME")]
    renew: Vec<String>,
    /// Renew this authority, which nothing else does; certificates of it are issued anew unless it keeps its key
    #[arg(long, value_name = "NAME")]
    authority: Vec<String>,
    /// Keep the keys of what is renewed
    #[arg(long)]
    keep_keys: bool,
    /// Count what ends within so many days as ending
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=3650))]
    within: u32,
    /// Write the files of all certificates into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    export: Option<PathBuf>,
    /// End with 1 when a certificate is not valid, or ending
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitCode> {
    let subject = arguments.file.display().to_string();
    let input = Input::parse(&arguments.input.display().to_string(), file::read(&arguments.input)?.expose())?;
    let inventory = pki::inventory(&input);
    let current = Current::open(context, &arguments.file)?;
    let mut store = Store::read(&subject, &current.plain)?;
    let now = Timestamp::now();
    if arguments.issue || !arguments.renew.is_empty() || !arguments.authority.is_empty() {
        let options = Options {
            within_days: arguments.within,
            names: arguments.renew.clone(),
            authorities: arguments.authority.clone(),
            keep_keys: arguments.keep_keys,
        };
        let renewed = pki::renew(&inventory, &store, &options, now)?;
        if !renewed.made.is_empty() {
            current.save(&arguments.file, &renewed.store.write(&subject, &current.plain)?)?;
        }
        for (name, reason) in &renewed.made {
            context.tell(&format!("issued {name}: {reason}"))?;
        }
        for name in &renewed.ending_authorities {
            context
                .tell(&format!("warning: {name} ends soon, and is renewed with `--authority {name}` only"))?;
        }
        for name in &renewed.unused {
            context.tell(&format!("note: nothing asks for {name} any more; it is kept"))?;
        }
        store = renewed.store;
    }
    if let Some(directory) = &arguments.export {
        export(directory, &inventory, &store)?;
        context.tell(&format!("wrote certificates and keys to {}", directory.display()))?;
    }
    let rows = pki::report(&inventory, &store, arguments.within, now)?;
    print(&if arguments.json { json(&rows)? } else { table(&rows) })?;
    let is_well = rows.iter().all(|row| row.state == State::Valid);
    Ok(if arguments.check && !is_well { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn export(directory: &Path, inventory: &[Item], store: &Store) -> Result<()> {
    for exported in pki::export(inventory, store) {
        let path = directory.join(&exported.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("the directory {} cannot be made", parent.display()))?;
        }
        file::write(&path, exported.content.expose(), exported.mode)?;
    }
    Ok(())
}

fn date(end: u64) -> String {
    Timestamp::from_millis(end.saturating_mul(1_000)).date().to_string()
}

fn table(rows: &[Row]) -> String {
    let header = ["NAME", "STATE", "ENDS", "DAYS", "AUTHORITY"].map(str::to_owned);
    let mut lines = vec![header];
    lines.extend(rows.iter().map(|row| {
        [
            row.name.clone(),
            row.state.to_string(),
            row.end.map_or_else(|| "-".to_owned(), date),
            row.days.map_or_else(|| "-".to_owned(), |days| days.to_string()),
            row.authority.unwrap_or("-").to_owned(),
        ]
    }));
    let widths: [usize; 5] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or_default());
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn json(rows: &[Row]) -> Result<String> {
    let rows: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "name": row.name,
                "authority": row.authority,
                "state": row.state.to_string(),
                "ends": row.end.map(|end| Timestamp::from_millis(end.saturating_mul(1_000)).to_string()),
                "days": row.days,
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&rows)?)
}
