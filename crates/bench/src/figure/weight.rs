//! Memory of the real binary with an empty store.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Effort;
use crate::measure::{median, resident};
use crate::place::{self, Process};
use crate::table::Figure;

const MOST: f64 = 40.0;
/// How long a start may take, and how long after it memory is looked at.
const PATIENCE: Duration = Duration::from_secs(30);
const REST: Duration = Duration::from_secs(1);

/// Measures it.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let binary = place::binary()?;
    let sizes = (0..effort.rounds.min(3)).map(|_| size(&binary)).collect::<Result<Vec<_>>>()?;
    let mebibytes = median(&sizes);
    Ok(vec![Figure {
        name: "resident memory of a controller with an empty store".to_owned(),
        ours: format!("{mebibytes:.1} MiB"),
        reference: String::new(),
        ratio: None,
        demand: "≤ 40 MiB",
        is_met: mebibytes <= MOST,
    }])
}

/// Starts a controller, and gives its resident memory in MiB.
fn size(binary: &Path) -> Result<f64> {
    let directory = place::directory()?;
    let listen = std::net::TcpListener::bind(place::anywhere())?.local_addr()?;
    let config = serde_json::json!({
        "listen": listen,
        "public_url": format!("http://{listen}"),
        "store": directory.path().join("store.sqlite"),
        "secrets": directory.path().join("secrets.json"),
        "bootstrap": { "user": "admin", "pubkey": "ssh-ed25519 AAAA bench" },
    });
    let path = directory.path().join("controller.json");
    std::fs::write(&path, config.to_string())
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let child = Command::new(binary)
        .arg("controller")
        .arg("--config")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{} cannot be run", binary.display()))?;
    let mut process = Process(child);
    let since = Instant::now();
    while std::net::TcpStream::connect(listen).is_err() {
        if let Some(status) = process.0.try_wait()? {
            bail!("the controller ended with {status}");
        }
        anyhow::ensure!(
            since.elapsed() < PATIENCE,
            "the controller does not listen after {} s",
            PATIENCE.as_secs()
        );
        sleep(Duration::from_millis(20));
    }
    sleep(REST);
    #[expect(clippy::cast_precision_loss, reason = "sizes of processes are far below 2^52")]
    let size = resident(process.0.id())? as f64;
    Ok(size / f64::from(1 << 20))
}
