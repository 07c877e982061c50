//! A whole node on this very host: libvirt, a directory pool and a bridge, driven by slices alone.
//!
//! This needs root, libvirt, QEMU and iproute2; without them it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

mod fixture;
#[path = "libvirt/stage.rs"]
#[allow(dead_code, reason = "it serves the tests of the machines, too")]
mod stage;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fixture::{absent, full, image, key, machine, partial, pool, segment, volume};
use freehold_node::host::machines::Accel;
use freehold_node::{Node, NodeConfig, Status, start_real};
use freehold_types::agent::{
    Desired, Firmware, ObjectKind, Phase, Pool, PoolDriver, Segment, Specification, State,
};
use freehold_types::size::MIB;
use freehold_types::{Id, Secret};
use stage::{PATIENCE, Stage, run, until, virsh};
use tokio::time::timeout;

/// Takes away what a failed test left.
struct Leftovers {
    domain: String,
    bridge: String,
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for arguments in [["destroy", &self.domain].as_slice(), &["undefine", "--nvram", &self.domain]] {
            let _ = Command::new("virsh").args(["-q", "-c", "qemu:///system"]).args(arguments).output();
        }
        let _ = Command::new("ip").args(["link", "del", &self.bridge]).output();
    }
}

/// A machine on a clone of an image, with all that it stands on; ids count up from `first`.
fn objects(first: u64, bridge: &str, directory: &Path, source: &str) -> Vec<Desired> {
    let mut objects = vec![
        pool(first),
        image(first + 1, first),
        volume(first + 2, first, Some(first + 1)),
        segment(first + 3),
        machine(first + 4, &[first + 2], &[first + 3]),
    ];
    for object in &mut objects {
        let State::Present(specification) = &mut object.state else { unreachable!() };
        match specification {
            Specification::Pool(Pool { driver, .. }) => {
                *driver = PoolDriver::Directory { path: directory.display().to_string() };
            }
            Specification::Image(image) => source.clone_into(&mut image.source),
            Specification::Volume(volume) => volume.bytes = 2 * MIB,
            Specification::Segment(Segment { bridge: name, .. }) => bridge.clone_into(name),
            Specification::Machine(machine) => {
                (machine.firmware, machine.vcpus, machine.memory) = (Firmware::Bios, 1, 64 * MIB);
            }
            Specification::Gateway(_)
            | Specification::Balancer(_)
            | Specification::Share(_)
            | Specification::DnsZone(_) => {
                unreachable!()
            }
        }
    }
    objects
}

async fn all(node: &Node, phase: Phase) -> Status {
    let is = |status: &Status| {
        status.idle && status.held.is_some() && status.objects.iter().all(|object| object.phase == phase)
    };
    timeout(PATIENCE, node.wait_until(is)).await.unwrap_or_else(|_| panic!("{phase:?}: {:#?}", node.status()))
}

fn files(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).into_iter().flatten();
    names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_comes_and_comes_back_and_goes_by_slices_alone() {
    let stage = Stage::new().await;
    let is_disk = |name: &&String| Path::new(name).extension().is_some_and(|extension| extension == "qcow2");
    let image = stage.state.path().join(files(stage.state.path()).iter().find(is_disk).unwrap());
    let first = u64::from(rand::random::<u32>()) << 16;
    let machine_id = Id::from_u64(first + 4);
    let bridge = format!("fhn{:08x}", first >> 16);
    let domain = format!("fh-{machine_id}");
    let _leftovers = Leftovers { domain: domain.clone(), bridge: bridge.clone() };
    let directory = stage.state.path().join("pool");
    let objects = objects(first, &bridge, &directory, &format!("file://{}", image.display()));

    let mut config = NodeConfig::new(Id::from_u64(1), Secret::new("key".to_owned()), "http://127.0.0.1:9");
    config.state = stage.state.path().join("node");
    config.accel = Accel::Tcg;
    config.image_directories = vec![stage.state.path().to_owned()];
    let log = config.state.join("machines/serial").join(format!("{machine_id}.log"));
    let boots = |times: usize| {
        until("the guest to boot", PATIENCE, || {
            std::fs::read(&log)
                .is_ok_and(|log| String::from_utf8_lossy(&log).matches("guest: ready").count() >= times)
        });
    };

    let node = start_real(&config).await.unwrap();
    node.deliver(full(1, objects.clone())).await.unwrap();
    all(&node, Phase::Ready).await;
    assert_eq!(virsh(&["domstate", &domain]).trim(), "running");
    boots(1);

    // The node dies, and the host loses what it held in memory.
    drop(node);
    virsh(&["destroy", &domain]);
    run("ip", &["link", "del", &bridge]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let node = start_real(&config).await.unwrap();
    let status = all(&node, Phase::Ready).await;
    assert_eq!(status.held.map(|(_, revision)| revision), Some(1));
    assert_eq!(virsh(&["domstate", &domain]).trim(), "running");
    boots(2);

    // An accident while it runs.
    virsh(&["destroy", &domain]);
    boots(3);

    node.deliver(partial(2, absent(objects))).await.unwrap();
    let status = all(&node, Phase::Absent).await;
    assert!(status.objects.iter().any(|object| object.key == key(ObjectKind::Machine, first + 4)));
    assert!(!virsh(&["list", "--all", "--name"]).contains(&domain));
    assert!(!Path::new("/sys/class/net").join(&bridge).exists());
    assert_eq!(files(&directory), [""; 0]);
    timeout(Duration::from_secs(15), node.stop()).await.unwrap();
    let shown = format!("fh-{}", Id::from_u64(first));
    until("libvirt to forget the pool", PATIENCE, || {
        !virsh(&["pool-list", "--all", "--name"]).contains(&shown)
    });
}
