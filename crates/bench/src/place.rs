//! What is measured: controllers with a store of their own on a real disk, and the built binary.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result};
use freehold_controller::{Controller, ControllerConfig};
use freehold_kinds::environment::Environment;
use freehold_store::{Sealer, Sqlite};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// The master key of controllers started here.
pub(crate) const MASTER_KEY: &str = "master";

/// A directory in the checkout's build directory: the system's temporary one may be in memory, where nothing
/// is durable and writes cost nothing.
pub(crate) fn directory() -> Result<TempDir> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    std::fs::create_dir_all(&parent).with_context(|| format!("{} cannot be made", parent.display()))?;
    TempDir::new_in(&parent).with_context(|| format!("nothing can be made in {}", parent.display()))
}

/// Opens the SQLite backend of a directory.
pub(crate) fn sqlite(directory: &Path) -> Result<Sqlite> {
    Sqlite::open(&directory.join("store.sqlite"), Sealer::new(&[7; 32])).context("the store cannot be opened")
}

/// A runtime with a thread per processor, as the roles have.
pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("no runtime can be started")
}

/// Loopback, any free port.
pub(crate) fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Starts a controller on plain HTTP with the store in a directory.
pub(crate) async fn controller(directory: &Path) -> Result<Controller> {
    let config = ControllerConfig { listen: anywhere(), ..ControllerConfig::default() };
    Ok(Controller::start(config, Environment::for_tests(), sqlite(directory)?).await?)
}

/// The binary, built if need be.
pub(crate) fn binary() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--release", "--locked", "--quiet", "--package", "freehold"])
        .status()
        .context("cargo cannot be run")?;
    anyhow::ensure!(status.success(), "the binary cannot be built");
    root.join("target/release/freehold").canonicalize().context("the built binary is not in target/release")
}

/// Ends its process when it goes.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
