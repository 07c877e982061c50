//! Logs: for people or as JSON, on standard error or in a file.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Human,
    Json,
}

/// Choices about logs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging (roles only)")]
pub(crate) struct Options {
    /// How log lines look
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "human",
        env = "FREEHOLD_LOG_FORMAT",
        hide_env = true
    )]
    pub(crate) log_format: Format,
    /// Which lines: a level, or `target=level` pairs with commas
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        default_value = "info",
        env = "FREEHOLD_LOG",
        hide_env = true
    )]
    pub(crate) log_level: String,
}

/// Starts logging for a role.
///
/// # Errors
/// For a filter that cannot be read, or a file that cannot be written.
pub(crate) fn start(options: &Options, file: Option<&Path>) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&options.log_level).with_context(|| {
        format!(
            "`--log-level {}` cannot be read; write `info`, or `freehold_node=debug,info`",
            options.log_level
        )
    })?;
    let writer = match file {
        Some(path) => {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("the log {} cannot be written", path.display()))?;
            tracing_subscriber::fmt::writer::BoxMakeWriter::new(Mutex::new(file))
        }
        None => tracing_subscriber::fmt::writer::BoxMakeWriter::new(std::io::stderr),
    };
    let registry = tracing_subscriber::registry().with(filter);
    match options.log_format {
        Format::Human => {
            registry.with(layer().with_ansi(file.is_none()).with_target(false).with_writer(writer)).try_init()
        }
        Format::Json => registry.with(layer().json().with_writer(writer)).try_init(),
    }
    .context("logging was started twice")
}
