//! From the request for a machine until its guest's userland is up, against the same image started by QEMU alone.
//!
//! Both take the same seed, firmware, memory and accelerator, and both are done when the guest says so on its
//! serial console. QEMU's disk lies ready before its time begins. A real cloud is started for this and taken down
//! again; it needs root and libvirt, and no other cloud on this host.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::Effort;
use crate::load::Connection;
use crate::measure::Pairs;
use crate::place::{self, Process};
use crate::table::Figure;

const MOST: f64 = 1.25;
/// What the tiny guest writes when all is up.
const READY: &str = "FREEHOLD ready";
const PATIENCE: Duration = Duration::from_mins(3);
/// How often the console is looked at; what this adds falls on both sides alike.
const LOOK: Duration = Duration::from_millis(5);
const MIB: u64 = 1 << 20;
const MEMORY: u64 = 256 * MIB;
const DISK: u64 = 1024 * MIB;

/// Measures it.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let cloud = Cloud::start()?;
    let turns = (0..effort.rounds).map(|round| turn(&cloud, round)).collect::<Result<Vec<_>>>();
    let cleared = cloud.clear();
    let pairs = Pairs::of(&turns?);
    cleared?;
    Ok(vec![Figure {
        name: "POST of a compute until its guest is up".to_owned(),
        ours: format!("{:.2} s", pairs.ours),
        reference: format!("{:.2} s, the same image and seed under QEMU alone", pairs.reference),
        ratio: Some(pairs.ratio),
        demand: "≤ 1.25",
        is_met: pairs.ratio <= MOST,
    }])
}

/// Seconds of ours and of QEMU alone.
fn turn(cloud: &Cloud, round: usize) -> Result<(f64, f64)> {
    let body = json!({
        "name": format!("guest-{round}"), "vcpus": 1, "memory": MEMORY, "disk": DISK, "uefi": false,
    });
    let since = Instant::now();
    let made = cloud.ask(&Method::POST, &cloud.computes, Some(&body))?;
    let instance = cloud.newest("/api/v1/instance")?;
    let machines = cloud.data.join("node/machines");
    let log = machines.join(format!("serial/{instance}.log"));
    let ours = until_ready(&log, since, &mut || Ok(()))?;

    let seed = cloud.home.path().join("seed.iso");
    std::fs::copy(machines.join(format!("seeds/{instance}.iso")), &seed)
        .context("the seed cannot be copied")?;
    let accelerator = accelerator(&instance)?;
    let compute = made["id"].as_str().context("the new machine has no id")?;
    cloud.ask(&Method::DELETE, &format!("/api/v1/kompute/{compute}"), None)?;
    Ok((ours, alone(cloud, &seed, accelerator)?))
}

/// The accelerator of a running machine, in QEMU's words.
fn accelerator(instance: &str) -> Result<&'static str> {
    let xml = run(Command::new("virsh").args(["dumpxml", &format!("fh-{instance}")]))?;
    Ok(if xml.contains("type='kvm'") { "kvm" } else { "tcg" })
}

/// Seconds from the start of QEMU until the guest is up.
fn alone(cloud: &Cloud, seed: &Path, accelerator: &str) -> Result<f64> {
    let (disk, log) = (cloud.home.path().join("alone.qcow2"), cloud.home.path().join("alone.log"));
    // A console of an earlier round must not be taken for this one's.
    let _ = std::fs::remove_file(&log);
    run(Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
        .args([&cloud.image, &disk])
        .arg(DISK.to_string()))?;
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-nodefaults", "-display", "none", "-machine", "q35", "-cpu", "max", "-smp", "1"])
        .args(["-accel", accelerator, "-m", &format!("{}M", MEMORY / MIB)])
        .args(["-serial", &format!("file:{}", log.display())])
        .args(["-drive", &format!("if=virtio,format=qcow2,file={}", disk.display())])
        .args(["-drive", &format!("if=virtio,format=raw,readonly=on,file={}", seed.display())])
        .args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="])
        .args(["-device", "virtio-rng-pci"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let since = Instant::now();
    let mut process = Process(command.spawn().context("qemu-system-x86_64 cannot be run")?);
    until_ready(&log, since, &mut || {
        let ended = process.0.try_wait()?;
        ensure!(ended.is_none(), "QEMU alone ended before its guest was up: {ended:?}");
        Ok(())
    })
}

/// Waits until a console tells that its guest is up; gives the seconds since then.
fn until_ready(log: &Path, since: Instant, check: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
    loop {
        let told = std::fs::read(log).unwrap_or_default();
        if told.windows(READY.len()).any(|window| window == READY.as_bytes()) {
            return Ok(since.elapsed().as_secs_f64());
        }
        check()?;
        ensure!(since.elapsed() < PATIENCE, "no '{READY}' in {} after {PATIENCE:?}", log.display());
        sleep(LOOK);
    }
}

/// `freehold up` on this host, without its demonstration.
struct Cloud {
    home: tempfile::TempDir,
    binary: PathBuf,
    runtime: Runtime,
    address: SocketAddr,
    key: String,
    /// Where disks, seeds and consoles lie.
    data: PathBuf,
    image: PathBuf,
    /// Path of the project's machines.
    computes: String,
}

impl Cloud {
    fn start() -> Result<Self> {
        let (home, binary, runtime) = (place::directory()?, place::binary()?, place::runtime()?);
        // QEMU runs as a user of its own, which must be able to pass.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711))?;
        let address = std::net::TcpListener::bind(place::anywhere())?.local_addr()?;
        run(Command::new(&binary)
            .args(["up", "--no-demo", "--no-install", "--detach", "--tls", "off", "--listen"])
            .arg(address.to_string())
            .arg("--home")
            .arg(home.path()))?;
        let credentials = std::fs::read(home.path().join("credentials.json"))?;
        let credentials: Value = serde_json::from_slice(&credentials)?;
        let key = credentials["master_key"].as_str().context("no master key in the credentials")?.to_owned();
        let unknown = PathBuf::new;
        let mut cloud = Self {
            home,
            binary,
            runtime,
            address,
            key,
            data: unknown(),
            image: unknown(),
            computes: String::new(),
        };
        cloud.prepare()?;
        Ok(cloud)
    }

    /// Makes a project, and finds out where everything is.
    fn prepare(&mut self) -> Result<()> {
        let pool = self.ask(&Method::GET, &format!("/api/v1/pool/{}", self.newest("/api/v1/pool")?), None)?;
        let pool = pool["pool"].as_str().and_then(|pool| pool.strip_prefix("dir:"));
        let pool = Path::new(pool.context("the pool is no directory")?);
        pool.parent().context("the pool has no parent directory")?.clone_into(&mut self.data);
        self.image = std::fs::read_dir(self.data.join("images"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "qcow2"))
            .context("`freehold up` left no image")?;
        let body = json!({
            "name": "bench", "domain": "bench.home.internal",
            "teams": [self.newest("/api/v1/team")?], "regions": [self.newest("/api/v1/region")?],
        });
        let project = self.ask(&Method::POST, "/api/v1/project", Some(&body))?;
        let project = project["id"].as_str().context("the new project has no id")?;
        self.computes = format!("/api/v1/project/{project}/zone/{}/kompute", self.newest("/api/v1/zone")?);
        Ok(())
    }

    /// The last id of a list.
    fn newest(&self, path: &str) -> Result<String> {
        let ids = self.ask(&Method::GET, path, None)?;
        let newest = ids.as_array().and_then(|ids| ids.last()).and_then(Value::as_str);
        Ok(newest.with_context(|| format!("{path} is empty"))?.to_owned())
    }

    /// Asks the API, and gives what it answers.
    fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let (status, answer) = self.runtime.block_on(async {
            let mut connection = Connection::open_as(self.address, &self.key).await?;
            connection.ask(method.clone(), path, body).await
        })?;
        ensure!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// Removes what lies outside the home, and stops.
    fn clear(&self) -> Result<()> {
        for list in ["/api/v1/template", "/api/v1/pool"] {
            let id = self.newest(list)?;
            self.ask(&Method::DELETE, &format!("{list}/{id}"), None)?;
        }
        Ok(())
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // What went wrong before is told; this is the best that can be done about the rest.
        let _ = run(Command::new(&self.binary).arg("down").arg("--home").arg(self.home.path()));
    }
}

/// Runs a program that must succeed, and gives what it prints.
fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} cannot be run", command.get_program().display()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {told}", command.get_program().display());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
