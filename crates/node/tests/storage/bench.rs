//! A pool in a directory of its own, with short words for what tests do to it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use freehold_node::host::storage::{LocalStorage, StorageConfig};
use freehold_node::host::{HostError, Storage};
use freehold_types::Id;
use freehold_types::agent::{Detail, Image, Pool, PoolDriver, Volume, VolumeContent};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::watch;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::storage_pool::StoragePool;

pub(crate) const MIB: u64 = 1 << 20;
const LIMIT: u64 = 64 * MIB;
const LIBVIRT: &str = "qemu:///system";

pub(crate) struct Bench {
    pub(crate) storage: LocalStorage,
    pub(crate) pool_id: Id,
    pub(crate) pool: Pool,
    directory: TempDir,
    libvirt: bool,
}

impl Bench {
    /// Without libvirt.
    pub(crate) async fn new() -> Self {
        Self::make(None).await
    }

    pub(crate) async fn with_libvirt() -> Self {
        Self::make(Some(LIBVIRT)).await
    }

    pub(crate) async fn with_uri(uri: &str) -> Self {
        Self::make(Some(uri)).await
    }

    async fn make(uri: Option<&str>) -> Self {
        let directory = TempDir::new().unwrap();
        // QEMU runs as a user of its own.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let allowed = directory.path().join("allowed");
        std::fs::create_dir(&allowed).unwrap();
        let path = directory.path().join("pool");
        let bench = Self {
            storage: LocalStorage::with_memory(
                StorageConfig { image_directories: vec![allowed], libvirt: uri.map(str::to_owned) },
                directory.path().join("memory"),
            ),
            pool_id: Id::generate(),
            pool: Pool {
                name: "fast".to_owned(),
                driver: PoolDriver::Directory { path: path.to_str().unwrap().to_owned() },
            },
            directory,
            libvirt: uri == Some(LIBVIRT),
        };
        bench.ensure_pool().await.unwrap();
        bench
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn image_path(&self, id: u64) -> PathBuf {
        self.path().join(format!("pool/images/{}.qcow2", Id::from_u64(id)))
    }

    pub(crate) fn volume_path(&self, id: u64) -> PathBuf {
        self.path().join(format!("pool/{}.qcow2", Id::from_u64(id)))
    }

    pub(crate) async fn ensure_pool(&self) -> Result<Detail, HostError> {
        self.storage.ensure_pool(self.pool_id, &self.pool).await
    }

    pub(crate) async fn image(&self, id: u64, url: &str, sha256: Option<&str>) -> Result<Detail, HostError> {
        self.image_with(id, url, sha256, LIMIT, watch::channel(None).0).await
    }

    pub(crate) async fn image_with(
        &self,
        id: u64,
        url: &str,
        sha256: Option<&str>,
        limit: u64,
        progress: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError> {
        let image = self.specify(url, sha256, limit);
        self.storage.ensure_image(Id::from_u64(id), &image, &self.pool, progress).await
    }

    pub(crate) async fn remove_image(&self, id: u64) -> Result<(), HostError> {
        let image = self.specify("http://192.0.2.1/", None, LIMIT);
        self.storage.remove_image(Id::from_u64(id), &image, &self.pool).await
    }

    fn specify(&self, url: &str, sha256: Option<&str>, limit: u64) -> Image {
        Image {
            pool: self.pool_id,
            name: "debian".to_owned(),
            source: url.to_owned(),
            sha256: sha256.map(str::to_owned),
            limit,
        }
    }

    pub(crate) async fn volume(&self, id: u64, bytes: u64) -> Result<Detail, HostError> {
        self.ensure_volume(id, VolumeContent::Empty, bytes).await
    }

    pub(crate) async fn clone_of(&self, image: u64, id: u64, bytes: u64) -> Result<Detail, HostError> {
        self.ensure_volume(id, VolumeContent::Clone { image: Id::from_u64(image) }, bytes).await
    }

    async fn ensure_volume(&self, id: u64, content: VolumeContent, bytes: u64) -> Result<Detail, HostError> {
        let volume = Volume { pool: self.pool_id, name: "root".to_owned(), content, bytes };
        self.storage.ensure_volume(Id::from_u64(id), &volume, &self.pool).await
    }

    pub(crate) async fn remove_volume(&self, id: u64) -> Result<(), HostError> {
        let volume =
            Volume { pool: self.pool_id, name: "root".to_owned(), content: VolumeContent::Empty, bytes: 1 };
        self.storage.remove_volume(Id::from_u64(id), &volume, &self.pool).await
    }

    /// Names of unfinished files.
    pub(crate) fn partial_files(&self) -> Vec<String> {
        let pool = self.path().join("pool");
        [pool.join("images"), pool]
            .iter()
            .flat_map(|directory| std::fs::read_dir(directory).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(".partial"))
            .collect()
    }

    /// A running machine without an operating system, with one volume.
    pub(crate) fn run_machine(&self, volume: u64) -> Running {
        let name = format!("fh-{}", Id::generate());
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os>\
             <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
             <source file='{}'/><target dev='vda' bus='virtio'/></disk></devices></domain>",
            self.volume_path(volume).display()
        );
        let connect = Connect::open(Some(LIBVIRT)).expect("libvirtd must run for these tests");
        let domain = Domain::create_xml(&connect, &xml, 0).unwrap();
        Running { connect, domain, name }
    }

    /// What libvirt shows of the pool, if it knows it; nothing between its definition and its start.
    pub(crate) fn libvirt_volumes(&self) -> Option<Vec<String>> {
        let mut connect = Connect::open(Some(LIBVIRT)).expect("libvirtd must run for these tests");
        let pool = StoragePool::lookup_by_name(&connect, &format!("fh-{}", self.pool_id)).ok();
        let volumes = pool.map(|pool| pool.list_volumes().unwrap_or_default());
        connect.close().unwrap();
        volumes
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !self.libvirt {
            return;
        }
        // Ends what shows pools to libvirt, before they are taken out of it.
        self.storage = LocalStorage::new(StorageConfig::default());
        std::thread::sleep(Duration::from_millis(600));
        if let Ok(mut connect) = Connect::open(Some(LIBVIRT)) {
            if let Ok(pool) = StoragePool::lookup_by_name(&connect, &format!("fh-{}", self.pool_id)) {
                let _ = pool.destroy();
                let _ = pool.undefine();
            }
            let _ = connect.close();
        }
    }
}

pub(crate) struct Running {
    connect: Connect,
    domain: Domain,
    name: String,
}

impl Running {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn disk_size(&self, device: &str) -> u64 {
        self.domain.get_block_info(device, 0).unwrap().capacity
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.domain.destroy();
        let _ = self.connect.close();
    }
}

/// Runs `qemu-img` and gives what it says.
pub(crate) fn qemu_img(arguments: &[&str]) -> String {
    let output = Command::new("qemu-img").args(arguments).output().expect("qemu-img must be installed");
    assert!(output.status.success(), "qemu-img {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a qcow2 file that is encrypted with a secret.
///
/// qemu-img times how fast the processor derives keys, and gives up when the clock it reads runs backwards,
/// as it does now and then on a busy virtual machine.
pub(crate) fn encrypted(secret: &str, file: &str) {
    let key = format!("secret,id=s,file={secret}");
    let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
    let arguments = ["create", "--object", &key, "-f", "qcow2", "-o", options, file, "1M"];
    for _ in 0..10 {
        let output = Command::new("qemu-img").args(arguments).output().expect("qemu-img must be installed");
        let told = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return;
        }
        assert!(told.contains("accurate CPU usage"), "qemu-img {arguments:?}: {told}");
    }
    panic!("qemu-img could not time the processor in ten attempts");
}

/// A qcow2 file with some data in it.
pub(crate) fn qcow2(directory: &Path, size: u64) -> Vec<u8> {
    let (raw, file) = (directory.join("source.raw"), directory.join("source.qcow2"));
    std::fs::write(&raw, pattern(2 * MIB)).unwrap();
    std::fs::File::options().write(true).open(&raw).unwrap().set_len(size).unwrap();
    qemu_img(&["convert", "-f", "raw", "-O", "qcow2", raw.to_str().unwrap(), file.to_str().unwrap()]);
    std::fs::read(file).unwrap()
}

/// Data that is neither zero nor packs to nothing.
pub(crate) fn pattern(bytes: u64) -> Vec<u8> {
    (0..u32::try_from(bytes / 4).unwrap())
        .flat_map(|n| (n | 1).wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

pub(crate) fn sha256(data: &[u8]) -> String {
    format!("{:x}", Sha256::digest(data))
}

/// The reason of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, HostError>) -> String {
    match outcome {
        Err(HostError::Refused(text)) => text,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Waits until something becomes true.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..100 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come true within ten seconds");
}
