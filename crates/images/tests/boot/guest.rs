//! A guest under plain QEMU (TCG) for tests: made from an image and a seed, watched through its serial console.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How a guest starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firmware {
    Bios,
    Uefi,
}

/// Where the seed is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeedBus {
    Virtio,
    ScsiCdrom,
    IdeCdrom,
}

/// The machine around an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hardware {
    pub firmware: Firmware,
    pub seed_bus: SeedBus,
    /// Bytes.
    pub memory: u64,
    pub processors: u32,
}

impl Default for Hardware {
    fn default() -> Self {
        Self { firmware: Firmware::Bios, seed_bus: SeedBus::Virtio, memory: 256 << 20, processors: 1 }
    }
}

/// The three texts of a seed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seed {
    pub meta_data: String,
    pub user_data: String,
    pub network_config: Option<String>,
}

/// The files of one guest: disk, seed, firmware variables, key. They outlive a run, so that it can start again.
#[derive(Debug)]
pub(crate) struct Workshop {
    directory: TempDir,
}

/// A running guest; ended when dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    child: Child,
    console: PathBuf,
    monitor: PathBuf,
    key: PathBuf,
    ssh_port: u16,
}

pub(crate) const MAC: &str = "52:54:00:12:34:56";

/// Runs a program of the host and wants it to succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; './x packages' installs what tests need"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Workshop {
    /// A disk of this size in bytes on top of the image.
    pub(crate) fn new(image: &Path, size: u64) -> Self {
        let directory = TempDir::new().unwrap();
        let workshop = Self { directory };
        run(Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
            .arg(image)
            .arg(workshop.path("disk.qcow2"))
            .arg(size.to_string()));
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(workshop.path("key")));
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The public key to put into seeds.
    pub(crate) fn public_key(&self) -> String {
        std::fs::read_to_string(self.path("key.pub")).unwrap().trim().to_owned()
    }

    /// Starts the guest with a fresh console.
    pub(crate) fn start(&self, hardware: Hardware, seed: &Seed) -> Guest {
        self.write_seed(seed);
        let (console, monitor) = (self.path("console"), self.path("monitor"));
        File::create(&console).unwrap();
        let ssh_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("qemu-system-x86_64");
        // Only the older machine type has an IDE controller.
        let machine = if hardware.seed_bus == SeedBus::IdeCdrom { "pc" } else { "q35" };
        command.args([
            "-nodefaults",
            "-display",
            "none",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-machine",
            machine,
        ]);
        command.args([
            "-m",
            &format!("{}M", hardware.memory >> 20),
            "-smp",
            &hardware.processors.to_string(),
        ]);
        command.args(["-serial", &format!("file:{}", console.display())]);
        command.args(["-monitor", &format!("unix:{},server,nowait", monitor.display())]);
        if hardware.firmware == Firmware::Uefi {
            let variables = self.path("variables.fd");
            if !variables.exists() {
                std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables)
                    .expect("the package ovmf is needed");
            }
            for (unit, more, path) in
                [(0, ",readonly=on", Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd")), (1, "", &variables)]
            {
                command.args([
                    "-drive",
                    &format!("if=pflash,format=raw,unit={unit}{more},file={}", path.display()),
                ]);
            }
        }
        let disk = self.path("disk.qcow2");
        command.args(["-drive", &format!("if=virtio,format=qcow2,cache=unsafe,file={}", disk.display())]);
        let seed_drive = format!("format=raw,readonly=on,file={}", self.path("seed.iso").display());
        match hardware.seed_bus {
            SeedBus::Virtio => command.args(["-drive", &format!("if=virtio,{seed_drive}")]),
            SeedBus::IdeCdrom => command.args(["-drive", &format!("if=ide,media=cdrom,{seed_drive}")]),
            SeedBus::ScsiCdrom => command
                .args(["-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=seed"])
                .args(["-drive", &format!("if=none,id=seed,media=cdrom,{seed_drive}")]),
        };
        command.args(["-netdev", &format!("user,id=net,hostfwd=tcp:127.0.0.1:{ssh_port}-:22")]);
        command.args(["-device", &format!("virtio-net-pci,netdev=net,romfile=,mac={MAC}")]);
        command.args(["-device", "virtio-rng-pci"]).stdin(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("qemu-system-x86_64: {error}; './x packages' installs what tests need")
        });
        Guest { child, console, monitor, key: self.path("key"), ssh_port }
    }

    fn write_seed(&self, seed: &Seed) {
        let directory = self.path("seed");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("meta-data"), &seed.meta_data).unwrap();
        std::fs::write(directory.join("user-data"), &seed.user_data).unwrap();
        if let Some(text) = &seed.network_config {
            std::fs::write(directory.join("network-config"), text).unwrap();
        }
        let _ = std::fs::remove_file(self.path("seed.iso"));
        run(Command::new("xorriso")
            .args(["-as", "mkisofs", "-quiet", "-V", "cidata", "-J", "-r", "-o"])
            .arg(self.path("seed.iso"))
            .arg(directory));
    }
}

impl Guest {
    /// All that the guest has said so far, in lines.
    pub(crate) fn console(&self) -> Vec<String> {
        let text = std::fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
    }

    /// Waits until a line of the console holds `text`, and returns that line.
    pub(crate) fn wait_for(&mut self, text: &str, patience: Duration) -> String {
        let begin = Instant::now();
        loop {
            if let Some(line) = self.console().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < patience,
                "no '{text}' on the console after {:?} (QEMU ended: {ended:?}):\n{}",
                begin.elapsed(),
                self.console().join("\n")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs a command in the guest over SSH and wants it to succeed.
    pub(crate) fn ssh(&self, user: &str, command: &str) -> String {
        let output = self.try_ssh(user, command);
        assert!(
            output.status.success(),
            "ssh {user}: {command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs a command in the guest over SSH.
    pub(crate) fn try_ssh(&self, user: &str, command: &str) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.arg("-i").arg(&self.key).args(["-p", &self.ssh_port.to_string()]);
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=30",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("{user}@127.0.0.1")).arg(command).stdin(Stdio::null());
        ssh.output().expect("ssh is needed: './x packages' installs what tests need")
    }

    /// Presses the power button and waits until the machine is off.
    pub(crate) fn power_off(mut self, patience: Duration) {
        let mut monitor = UnixStream::connect(&self.monitor).unwrap();
        monitor.write_all(b"system_powerdown\n").unwrap();
        let begin = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                begin.elapsed() < patience,
                "still on after {patience:?}:\n{}",
                self.console().join("\n")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
