//! `freehold node`: the node role, from its configuration file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use freehold_node::host::sim::{Sim, SimConfig};
use freehold_node::{Node, NodeConfig};

use crate::{files, logging};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Configuration file, YAML or JSON
    #[arg(long, short, value_name = "FILE", default_value = "/etc/freehold/node.yaml")]
    config: PathBuf,
    /// Run a simulated host, for trying things out: nothing on this machine is touched
    #[arg(long)]
    simulated: bool,
}

pub(super) fn run(arguments: &Arguments, logging: &logging::Options) -> Result<ExitCode> {
    logging::start(logging, None)?;
    let config: NodeConfig = serde_norway::from_str(&files::read(&arguments.config)?)
        .with_context(|| format!("the configuration {} cannot be used", arguments.config.display()))?;
    super::runtime()?.block_on(async {
        let ended = async {
            // Without signals the role could not be ended in order, so it ends at once.
            if let Err(error) = super::ended().await {
                tracing::error!(%error, "signals cannot be heard");
            }
        };
        if arguments.simulated {
            Node::run(&config, Sim::new(SimConfig::default()).host(), ended).await?;
        } else {
            freehold_node::run_real(&config, ended).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
