//! What the tests stand on: a libvirtd, a throwaway machine, and a bridge for its card.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use freehold_node::host::machines::{Accel, Libvirt, LibvirtConfig};
use freehold_node::host::{HostError, MachineMemory, MachinePlan, Machines};
use freehold_types::agent::{
    Firmware, Machine, MachineDetail, Nic, Pool, PoolDriver, Power, PowerTarget, Seed, Volume, VolumeContent,
};
use freehold_types::net::Mac;
use freehold_types::size::MIB;
use freehold_types::wire::OperatingSystem;
use freehold_types::{Id, Secret};
use tempfile::TempDir;

const SOCKET: &str = "/run/libvirt/libvirt-sock";

/// The code of `guest.s`; its boot sector ends with the usual two bytes.
const GUEST: [u8; 100] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb, 0xbe, 0x54, 0x7c, 0xe8,
    0x29, 0x00, 0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef, 0xba, 0x00, 0x06, 0xed, 0xf6, 0xc4, 0x01, 0x75,
    0x10, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xef, 0xba, 0xf8, 0x03, 0xec, 0x3c, 0x6f, 0x75, 0xe7,
    0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xeb, 0xf7, 0xac, 0x84, 0xc0, 0x74, 0x12, 0x88, 0xc3, 0xba,
    0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xf8, 0x88, 0xd8, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xe9, 0xc3, 0x0d,
    0x0a, 0x67, 0x75, 0x65, 0x73, 0x74, 0x3a, 0x20, 0x72, 0x65, 0x61, 0x64, 0x79, 0x0d, 0x0a,
];

/// Daemons that a test started since none ran; they end with the last test of the process.
#[derive(Debug)]
struct Daemons(Vec<Child>);

impl Drop for Daemons {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Politely, so that the socket files go too.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

fn daemons() -> Arc<Daemons> {
    static RUNNING: Mutex<Weak<Daemons>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(daemons) = running.upgrade() {
        return daemons;
    }
    let mut started = Vec::new();
    if UnixStream::connect(SOCKET).is_err() {
        for (daemon, socket) in [("virtlogd", "/run/libvirt/virtlogd-sock"), ("libvirtd", SOCKET)] {
            if UnixStream::connect(socket).is_ok() {
                continue;
            }
            let child = Command::new(daemon)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{daemon} must be installed to run these tests: {error}"));
            started.push(child);
            until("the daemon to listen", Duration::from_secs(20), || UnixStream::connect(socket).is_ok());
        }
    }
    let daemons = Arc::new(Daemons(started));
    *running = Arc::downgrade(&daemons);
    daemons
}

/// Runs a program and gives its output; a failure of it is one of the test.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} must be installed to run these tests: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn virsh(arguments: &[&str]) -> String {
    run("virsh", &[&["-q", "-c", "qemu:///system"], arguments].concat())
}

/// Waits for a condition; panics with what was waited for when it takes longer.
pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How long a guest may take for anything; emulation next to other load is slow.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// One machine, its disk, its bridge and the subsystem under test.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) libvirt: Libvirt,
    pub(crate) id: Id,
    pub(crate) machine: Machine,
    pub(crate) memory: MachineMemory,
    pub(crate) state: TempDir,
    volumes: Vec<(Id, Volume)>,
    pool: Pool,
    bridge: String,
    _daemons: Arc<Daemons>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::at("qemu:///system").await
    }

    /// With libvirt reached by another address.
    pub(crate) async fn at(uri: &str) -> Self {
        let daemons = daemons();
        let state = tempfile::Builder::new().prefix("freehold-libvirt-").tempdir().unwrap();
        // QEMU has a user of its own, which must pass through to the disk and the seed.
        std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let id = Id::generate();
        let disk = Id::generate();
        let volume = Volume {
            pool: Id::from_u64(1),
            name: "system".to_owned(),
            content: VolumeContent::Empty,
            bytes: MIB,
        };
        make_disk(state.path(), disk);
        let text = id.to_string();
        let bridge = format!("fht{}", &text[14..]);
        run("ip", &["link", "add", &bridge, "type", "bridge"]);
        run("ip", &["link", "set", &bridge, "up"]);
        let bytes = id.as_bytes();
        let mac = Mac::new([0xda, 0x1e, bytes[8], bytes[9], bytes[10], bytes[11]]);
        Self {
            libvirt: connect(uri, state.path()).await,
            id,
            machine: Machine {
                name: format!("test <{text}>"),
                description: String::new(),
                os: OperatingSystem::Linux,
                vcpus: 1,
                memory: 64 * MIB,
                firmware: Firmware::Bios,
                disks: vec![disk],
                nics: vec![Nic { segment: Id::from_u64(2), mac, addresses: vec![] }],
                seed: Seed {
                    user_data: Secret::new("#cloud-config\n".to_owned()),
                    meta_data: Secret::new(format!("instance-id: {text}\n")),
                    network_config: Secret::new("version: 2\n".to_owned()),
                },
                power: Power { serial: 1, target: PowerTarget::Running },
                reboots: 0,
                resets: 0,
                motion: None,
            },
            memory: MachineMemory::default(),
            volumes: vec![(disk, volume)],
            pool: Pool {
                name: "local".to_owned(),
                driver: PoolDriver::Directory { path: state.path().display().to_string() },
            },
            state,
            bridge,
            _daemons: daemons,
        }
    }

    /// Brings the machine to its target once.
    pub(crate) async fn ensure(&mut self) -> Result<MachineDetail, HostError> {
        let plan = MachinePlan {
            id: self.id,
            machine: &self.machine,
            disks: self.volumes.iter().map(|(id, volume)| (*id, volume, volume.pool, &self.pool)).collect(),
            bridges: vec![&self.bridge; self.machine.nics.len()],
        };
        self.libvirt.ensure_machine(&plan, &mut self.memory).await
    }

    /// As a node does, which tries again what may work later: `swtpm_setup` was seen to fail once, and its log was lost.
    pub(crate) async fn ensure_with_patience(&mut self) -> MachineDetail {
        let mut attempts = 1;
        loop {
            match self.ensure().await {
                Ok(detail) => return detail,
                Err(HostError::Failed(text)) if attempts < 3 && text.contains("swtpm_setup") => attempts += 1,
                Err(error) => panic!("attempt {attempts}: {error}"),
            }
        }
    }

    /// Sets a new power target and brings the machine to it.
    pub(crate) async fn power(&mut self, target: PowerTarget) -> MachineDetail {
        self.machine.power = Power { serial: self.machine.power.serial + 1, target };
        self.ensure().await.unwrap()
    }

    /// State and reason as they are now.
    pub(crate) async fn state(&self) -> (String, String) {
        let detail = self.libvirt.observe_machine(self.id).await.unwrap().expect("the machine exists");
        (detail.state, detail.reason)
    }

    /// Waits until the machine is in this state.
    pub(crate) async fn reaches(&self, state: &str, reason: &str) {
        let start = Instant::now();
        loop {
            let now = self.state().await;
            if now == (state.to_owned(), reason.to_owned()) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "waited for {state} ({reason}), and it is {now:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn domain(&self) -> String {
        format!("fh-{}", self.id)
    }

    /// What libvirt knows of the domain; none when it has none.
    pub(crate) fn info(&self) -> Option<String> {
        let output = Command::new("virsh")
            .args(["-q", "-c", "qemu:///system", "dumpxml", "--inactive", &self.domain()])
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    pub(crate) fn serial_log(&self) -> PathBuf {
        self.state.path().join("serial").join(format!("{}.log", self.id))
    }

    /// Waits until the guest has said so often that it is ready.
    pub(crate) fn boots(&self, times: usize) {
        let mut log = String::new();
        until("the guest to boot", PATIENCE, || {
            log.clear();
            if let Ok(mut file) = File::open(self.serial_log()) {
                file.read_to_string(&mut log).unwrap();
            }
            log.matches("guest: ready").count() >= times
        });
    }

    /// Takes the bridge of the machine's card away.
    pub(crate) fn lose_bridge(&self) {
        run("ip", &["link", "del", &self.bridge]);
    }

    /// Types a letter on the serial console until the machine is in a state. QEMU may miss what comes before it has
    /// noticed that the console is open.
    pub(crate) async fn types_until(&self, letter: u8, state: &str, reason: &str) {
        let console = virsh(&["ttyconsole", &self.domain()]);
        let mut console = File::options().write(true).open(console.trim()).unwrap();
        let (start, wanted) = (Instant::now(), (state.to_owned(), reason.to_owned()));
        while start.elapsed() < PATIENCE {
            // The other end goes with the machine.
            let _ = console.write_all(&[letter]);
            let typed = Instant::now();
            while typed.elapsed() < Duration::from_secs(2) {
                if self.state().await == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        panic!("typed {:?} until {wanted:?}, and it is {:?}", char::from(letter), self.state().await);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What a failed test left.
        if self.info().is_some() {
            let domain = self.domain();
            for arguments in [
                ["destroy", &domain].as_slice(),
                ["undefine", &domain, "--nvram", "--tpm", "--managed-save"].as_slice(),
            ] {
                let _ = Command::new("virsh").args(["-q", "-c", "qemu:///system"]).args(arguments).output();
            }
        }
        let _ = Command::new("ip").args(["link", "del", &self.bridge]).output();
    }
}

/// The subsystem, emulating.
pub(crate) async fn connect(uri: &str, state: &Path) -> Libvirt {
    let config = LibvirtConfig { uri: uri.to_owned(), accel: Accel::Tcg, ..LibvirtConfig::new(state) };
    Libvirt::connect(config).await.unwrap()
}

fn make_disk(directory: &Path, id: Id) {
    let raw = directory.join("guest.raw");
    let mut sectors = vec![0; usize::try_from(MIB).unwrap()];
    sectors[..GUEST.len()].copy_from_slice(&GUEST);
    sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&raw, sectors).unwrap();
    let disk = directory.join(format!("{id}.qcow2"));
    run("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", raw.to_str().unwrap(), disk.to_str().unwrap()]);
    std::fs::remove_file(raw).unwrap();
}
