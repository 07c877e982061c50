//! `freehold up`: controller and nodes of a whole cloud in one process, set up at the first run.
//!
//! Idempotent: what is there stays, and while it runs a second call only tells how to use it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::Args;
use freehold_controller::Controller;
use freehold_kinds::image::Image;
use freehold_node::host::sim::{Sim, SimConfig};
use freehold_node::{Node, NodeConfig, SimulatedNode};
use freehold_store::Key;
use freehold_types::{Id, Secret};

use super::down;
use crate::home::{Credentials, Home, Running};
use crate::report::Progress;
use crate::setup::world::NodeKey;
use crate::setup::{self, demo::Demo};
use crate::{files, logging};

mod background;
mod summary;

pub(crate) const DEFAULT_HOME: &str = ".freehold";
/// Virtual size of the image that simulated hosts have, in bytes: that of the tiny one.
const IMAGE: u64 = 256 * freehold_types::size::MIB;
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8443";

#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Directory of the cloud: store, keys, disks
    #[arg(long, value_name = "DIR", default_value = DEFAULT_HOME)]
    pub(crate) home: PathBuf,
    /// Where the controller listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: SocketAddr,
    /// TLS: `self` (an authority of its own), `off`, or CERTIFICATE,KEY (PEM files)
    #[arg(long, value_name = "self|off|CERT,KEY", default_value = "self")]
    pub(crate) tls: TlsChoice,
    /// Run this many simulated hosts instead of this machine; needs no libvirt
    #[arg(long, value_name = "N")]
    pub(crate) simulated: Option<usize>,
    /// Make no demo project and machine
    #[arg(long)]
    pub(crate) no_demo: bool,
    /// Return when everything runs, and leave it in the background
    #[arg(long)]
    pub(crate) detach: bool,
    /// Remove what an earlier run left in DIR, machines included, and start anew
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Install nothing on this machine; fail when something is missing
    #[arg(long)]
    pub(crate) no_install: bool,
    /// Runs in the background for a waiting parent.
    #[arg(long, hide = true)]
    pub(crate) background: bool,
}

/// How the controller speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TlsChoice {
    SelfMade,
    Off,
    Own { certificate: PathBuf, key: PathBuf },
}

impl FromStr for TlsChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "self" => Ok(Self::SelfMade),
            "off" => Ok(Self::Off),
            pair => match pair.split_once(',') {
                Some((certificate, key)) if !certificate.is_empty() && !key.is_empty() => {
                    Ok(Self::Own { certificate: certificate.into(), key: key.into() })
                }
                _ => Err("write `self`, `off`, or two PEM files as CERTIFICATE,KEY".to_owned()),
            },
        }
    }
}

pub(super) fn run(arguments: &Arguments, quiet: bool, logging: &logging::Options) -> Result<ExitCode> {
    let home = Home::open(&arguments.home)?;
    if arguments.fresh && !arguments.background {
        start_anew(&home)?;
    }
    if !arguments.background && home.process()?.is_some() {
        summary::print_existing(&home)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.detach && !arguments.background {
        return background::start(&home, arguments, quiet, logging);
    }
    let Some(running) = home.lock()? else {
        bail!("another process runs {}; stop it with `freehold down`", home.path().display());
    };
    let progress =
        if arguments.background { Progress::in_file(home.progress()) } else { Progress::on_terminal(quiet) };
    logging::start(logging, Some(&home.log()))?;
    super::runtime()?.block_on(serve(&home, arguments, &progress, running))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(home: &Home, arguments: &Arguments, progress: &Progress, running: Running) -> Result<()> {
    let cloud = match Cloud::start(home, arguments, progress).await {
        Ok(cloud) => cloud,
        Err(failure) => {
            tracing::error!(error = format!("{failure:#}"), "the cloud could not be started");
            return Err(failure);
        }
    };
    let told = summary::Summary::of(home, arguments, cloud.demo.as_ref())?;
    files::write_private(&home.ready(), &serde_json::to_vec_pretty(&told)?)?;
    progress.finish();
    if !arguments.background {
        told.print()?;
    }
    super::ended().await?;
    tracing::info!("stopping");
    // Whoever waits for the cloud must not find it ready while it stops.
    std::fs::remove_file(home.ready()).context("the cloud cannot be marked as stopped")?;
    cloud.stop().await;
    running.release();
    Ok(())
}

/// A running cloud.
struct Cloud {
    controller: Controller,
    nodes: Vec<Node>,
    demo: Option<Demo>,
}

impl Cloud {
    async fn start(home: &Home, arguments: &Arguments, progress: &Progress) -> Result<Self> {
        // First of all: they mark the directory as a home, which `--fresh` may empty when what follows fails.
        let secrets = home.secrets()?;
        let image = match arguments.simulated {
            Some(_) => "https://images.internal/tiny.qcow2".to_owned(),
            None => prepare(home, arguments, progress)?,
        };
        progress.step("starting the controller");
        let key = setup::keys::ensure(home)?;
        let controller =
            setup::controller::start(home, &secrets, arguments.listen, &arguments.tls, key).await?;
        write_credentials(home, arguments, &controller, &secrets)?;
        progress.step("setting up region, hosts, networks and storage");
        let names = host_names(arguments.simulated);
        let keys = setup::world::agents(&controller, &names).await?;
        let data = home.data();
        let pool = format!("dir:{}", data.join("pool").display());
        let world =
            setup::world::ensure_world(&controller, &keys, &names, &pool, &image, &secrets.admin_password)
                .await?;
        progress.step("starting the nodes");
        let url = setup::controller::url(controller.address(), arguments.tls != TlsChoice::Off);
        let nodes = match arguments.simulated {
            Some(_) => simulated(&keys, &url, home, &arguments.tls)?,
            None => vec![real(&keys, &url, home, &arguments.tls, &data).await?],
        };
        let mut cloud = Self { controller, nodes, demo: None };
        progress.step("waiting for the image");
        setup::demo::settled(&cloud.controller, Key::of::<Image>(world.image)).await?;
        if !arguments.no_demo {
            progress.step("starting the demo machine");
            cloud.demo = Some(setup::demo::ensure(&cloud.controller, &world).await?);
        }
        Ok(cloud)
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
        self.controller.stop().await;
    }
}

/// Makes this machine fit, and the first image; gives the image's URL.
fn prepare(home: &Home, arguments: &Arguments, progress: &Progress) -> Result<String> {
    let images = home.data().join("images");
    let install = !arguments.no_install;
    tokio::task::block_in_place(|| {
        let mut step = |text: &str| progress.step(text);
        if install {
            freehold_images::system::ensure_packages(&mut step)?;
        }
        freehold_images::system::start_libvirt(&mut step)?;
        files::make_directory(&images, 0o711)?;
        step("building the tiny image");
        let path = images.join("tiny.qcow2");
        let built =
            freehold_images::tiny::build(&path, freehold_images::tiny::Options::default(), &mut step)?;
        Ok(format!("file://{}", built.path.display()))
    })
}

fn host_names(simulated: Option<usize>) -> Vec<String> {
    if let Some(count) = simulated {
        return (1..=count).map(|number| format!("simulated-{number}")).collect();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    vec![if name.is_empty() { "this-host".to_owned() } else { name.to_owned() }]
}

fn write_credentials(
    home: &Home,
    arguments: &Arguments,
    controller: &Controller,
    secrets: &crate::home::Secrets,
) -> Result<()> {
    let credentials = Credentials {
        url: setup::controller::url(controller.address(), arguments.tls != TlsChoice::Off),
        master_key: secrets.master_key.clone(),
        ca_file: (arguments.tls == TlsChoice::SelfMade).then(|| home.ca_file()),
    };
    files::write_private(&home.credentials_file(), &serde_json::to_vec_pretty(&credentials)?)?;
    let admin = serde_json::json!({ "email": "admin@home.internal", "password": secrets.admin_password });
    files::write_private(&home.admin_file(), &serde_json::to_vec_pretty(&admin)?)
}

fn authorities(home: &Home, tls: &TlsChoice) -> Option<PathBuf> {
    (*tls == TlsChoice::SelfMade).then(|| home.ca_file())
}

fn simulated(keys: &[NodeKey], url: &str, home: &Home, tls: &TlsChoice) -> Result<Vec<Node>> {
    keys.iter()
        .map(|key| {
            let setup = SimulatedNode {
                ca_file: authorities(home, tls),
                state: Some(home.nodes().join(key.agent.to_string())),
                ..SimulatedNode::new(key.agent, key.key.clone(), url)
            };
            let small = SimConfig { image_size: IMAGE, ..SimConfig::default() };
            Ok(Node::simulated(setup, Sim::new(small).host())?)
        })
        .collect()
}

async fn real(keys: &[NodeKey], url: &str, home: &Home, tls: &TlsChoice, data: &Path) -> Result<Node> {
    let key = keys.first().context("there is no node")?;
    let config = NodeConfig { ca_file: authorities(home, tls), ..node_config(key, url, data) };
    Ok(freehold_node::start_real(&config).await?)
}

fn node_config(key: &NodeKey, url: &str, data: &Path) -> NodeConfig {
    NodeConfig {
        state: data.join("node"),
        image_directories: vec![data.join("images")],
        ..NodeConfig::new(key.agent, key.key.clone(), url)
    }
}

/// Stops what runs and removes what it made.
fn start_anew(home: &Home) -> Result<()> {
    home.ensure_removable()?;
    down::stop(home)?;
    let data = home.data();
    if data.join("node").exists() {
        // Nothing is dialled, so neither agent nor key matter.
        let nobody = NodeKey { agent: Id::from_u64(0), key: Secret::new(String::new()) };
        let config = node_config(&nobody, DEFAULT_LISTEN, &data);
        super::runtime()?.block_on(async {
            let host = freehold_node::real_host(&config).await?;
            anyhow::Ok(freehold_node::purge(&config, &host).await?)
        })?;
    }
    if !data.starts_with(home.path()) && data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("{} cannot be removed", data.display()))?;
    }
    home.clear()
}
