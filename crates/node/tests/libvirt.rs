//! The machines subsystem against a real libvirtd and QEMU.
//!
//! Most guests are a boot sector (`libvirt/guest.s`), enough for every step of a life cycle; the rest is
//! firmware alone. A missing libvirt is a failure, not a reason to skip. A libvirtd that runs is used as
//! it is; one is started, and stopped again, where none runs.

#[cfg(test)]
#[path = "libvirt/proxy.rs"]
mod proxy;
#[cfg(test)]
#[path = "libvirt/stage.rs"]
mod stage;

use std::path::Path;
use std::time::Duration;

use freehold_node::host::machines::{Accel, Libvirt, LibvirtConfig};
use freehold_node::host::{HostError, MachineMemory, Machines};
use freehold_types::Secret;
use freehold_types::agent::{Firmware, ObjectKey, ObjectKind, Power, PowerTarget};
use freehold_types::size::MIB;
use freehold_types::wire::OperatingSystem;
use tokio::sync::mpsc;

use crate::proxy::Proxy;
use crate::stage::{PATIENCE, Stage, connect, virsh};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_runs_pauses_stops_and_goes() {
    let mut stage = Stage::new().await;
    let started = stage.ensure().await.unwrap();
    assert_eq!((started.state.as_str(), started.reason.as_str()), ("Running", "Booted"));
    assert!(!started.restart_needed);
    stage.boots(1);

    // A second call changes nothing.
    let (definition, memory) = (stage.info(), stage.memory.clone());
    let run = virsh(&["domid", &stage.domain()]);
    assert_eq!(stage.ensure().await.unwrap(), started);
    assert_eq!((stage.info(), &stage.memory), (definition, &memory));
    assert_eq!(virsh(&["domid", &stage.domain()]), run);

    let url = stage.libvirt.console(stage.id).await.unwrap();
    assert!(url.starts_with("vnc://127.0.0.1:59"), "{url}");

    assert_eq!(stage.power(PowerTarget::Paused).await.state, "Paused");
    assert_eq!(stage.state().await, ("Paused".to_owned(), "User".to_owned()));
    stage.power(PowerTarget::Running).await;
    assert_eq!(stage.state().await, ("Running".to_owned(), "Unpaused".to_owned()));

    // Asked once, the guest obeys the power button.
    stage.power(PowerTarget::ShutDown).await;
    stage.reaches("Shutoff", "Shutdown").await;
    let off = stage.libvirt.console(stage.id).await.unwrap_err();
    assert!(matches!(&off, HostError::Refused(reason) if reason.contains("is off")), "{off}");

    stage.power(PowerTarget::Running).await;
    stage.boots(2);
    stage.power(PowerTarget::Off).await;
    assert_eq!(stage.state().await, ("Shutoff".to_owned(), "Destroyed".to_owned()));
    assert_eq!(stage.ensure().await.unwrap().state, "Shutoff");

    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
    assert_eq!(stage.libvirt.observe_machine(stage.id).await.unwrap(), None);
    let left = |directory: &str| std::fs::read_dir(stage.state.path().join(directory)).unwrap().count();
    assert_eq!((left("seeds"), left("serial")), (0, 0));
    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reboots_and_resets_are_done_once() {
    let mut stage = Stage::new().await;
    stage.machine.reboots = 4;
    stage.ensure().await.unwrap();
    stage.boots(1);
    let run = virsh(&["domid", &stage.domain()]);

    stage.machine.reboots += 1;
    stage.ensure().await.unwrap();
    stage.boots(2);
    stage.machine.resets += 1;
    stage.ensure().await.unwrap();
    stage.boots(3);
    stage.ensure().await.unwrap();
    assert_eq!((stage.memory.reboots, stage.memory.resets), (5, 1));
    assert_eq!(virsh(&["domid", &stage.domain()]), run);
    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_switches_itself_off_stays_off() {
    let mut stage = Stage::new().await;
    let mut events = stage.libvirt.events();
    stage.ensure().await.unwrap();
    stage.boots(1);
    heard(&mut events, &stage).await;

    stage.types_until(b'o', "Shutoff", "Shutdown").await;
    heard(&mut events, &stage).await;
    assert_eq!(stage.ensure().await.unwrap().state, "Shutoff");
    assert!(stage.memory.guest_off);
    assert_eq!(stage.ensure().await.unwrap().state, "Shutoff");

    assert_eq!(stage.power(PowerTarget::Running).await.state, "Running");
    assert!(!stage.memory.guest_off);

    // Cut off rather than switched off, as by a power failure of the host, it is started again.
    virsh(&["destroy", &stage.domain()]);
    assert_eq!(stage.ensure().await.unwrap().state, "Running");
    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_wait_for_the_next_start() {
    let mut stage = Stage::new().await;
    stage.ensure().await.unwrap();
    stage.boots(1);

    stage.machine.description = "Only words".to_owned();
    assert!(!stage.ensure().await.unwrap().restart_needed);
    assert!(stage.info().unwrap().contains("Only words"));

    stage.machine.memory = 80 * MIB;
    stage.machine.vcpus = 2;
    assert!(stage.ensure().await.unwrap().restart_needed);
    let waiting = stage.libvirt.observe_machine(stage.id).await.unwrap().unwrap();
    assert!(waiting.restart_needed);

    // A reboot takes it up, although libvirt's own reboot would not.
    stage.machine.reboots += 1;
    assert!(stage.ensure().await.unwrap().restart_needed);
    stage.reaches("Shutoff", "Shutdown").await;
    let started = stage.ensure().await.unwrap();
    assert_eq!((started.state.as_str(), started.restart_needed), ("Running", false));
    assert_eq!((stage.memory.reboots, stage.memory.guest_off), (1, false));
    let memory = virsh(&["dommemstat", &stage.domain()]);
    assert!(memory.contains("actual 81920"), "{memory}");

    // And so does a reset.
    stage.machine.nics.clear();
    stage.machine.resets += 1;
    assert!(!stage.ensure().await.unwrap().restart_needed);
    assert_eq!(virsh(&["domiflist", &stage.domain()]).trim(), "");
    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_told_and_never_keeps_a_machine_running() {
    let mut stage = Stage::new().await;
    stage.machine.vcpus = 100_000;
    let told = stage.ensure().await.unwrap_err();
    assert!(matches!(&told, HostError::Refused(reason) if reason.contains("cannot be defined")), "{told}");
    assert_eq!(stage.info(), None);

    stage.machine.vcpus = 1;
    stage.ensure().await.unwrap();
    stage.machine.vcpus = 100_000;
    stage.machine.power = Power { serial: 2, target: PowerTarget::Off };
    assert!(matches!(stage.ensure().await.unwrap_err(), HostError::Refused(_)));
    assert_eq!(stage.state().await, ("Shutoff".to_owned(), "Destroyed".to_owned()));

    stage.machine.vcpus = 1;
    stage.lose_bridge();
    stage.machine.power = Power { serial: 3, target: PowerTarget::Running };
    let told = stage.ensure().await.unwrap_err();
    assert!(matches!(&told, HostError::Failed(reason) if reason.contains("cannot start")), "{told}");
    assert_eq!(stage.memory.power_serial, 2);
    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_machine_is_adopted_untouched() {
    let mut stage = Stage::new().await;
    stage.machine.reboots = 2;
    stage.ensure().await.unwrap();
    let (run, definition) = (virsh(&["domid", &stage.domain()]), stage.info());

    // Its start is this node's business, not libvirt's.
    virsh(&["autostart", &stage.domain()]);

    // A node that starts anew, with its ledger and then without.
    for memory in [stage.memory.clone(), MachineMemory::default()] {
        stage.libvirt = connect("qemu:///system", stage.state.path()).await;
        let known = stage.memory.clone();
        stage.memory = memory;
        assert_eq!(stage.ensure().await.unwrap().state, "Running");
        assert_eq!(stage.memory, known);
        assert_eq!((virsh(&["domid", &stage.domain()]), stage.info()), (run.clone(), definition.clone()));
        assert!(virsh(&["dominfo", &stage.domain()]).contains("Autostart:      disable"));
    }
    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_of_others_are_left_alone() {
    let mut stage = Stage::new().await;
    let foreign = stage.state.path().join("foreign.xml");
    let domain = stage.domain();
    std::fs::write(
        &foreign,
        format!(
            "<domain type='qemu'><name>{domain}</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>"
        ),
    )
    .unwrap();
    virsh(&["define", foreign.to_str().unwrap()]);
    let before = stage.info();

    let refusals = [
        stage.ensure().await.unwrap_err(),
        stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap_err(),
        stage.libvirt.observe_machine(stage.id).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(
            matches!(&refusal, HostError::Refused(reason) if reason.contains("did not make")),
            "{refusal}"
        );
    }
    assert_eq!(stage.info(), before);
    virsh(&["undefine", &domain]);
}

#[tokio::test(flavor = "multi_thread")]
async fn firmware_variables_and_tpm_go_with_the_machine() {
    for os in [OperatingSystem::Linux, OperatingSystem::Windows] {
        let mut stage = Stage::new().await;
        stage.machine.os = os;
        stage.machine.firmware = Firmware::Uefi;
        stage.machine.vcpus = 2;
        stage.machine.memory = 128 * MIB;
        assert_eq!(stage.ensure_with_patience().await.state, "Running");
        let running = virsh(&["dumpxml", &stage.domain()]);
        let secure = os == OperatingSystem::Windows;
        assert_eq!(running.contains("secure='yes'"), secure, "{running}");
        let between = |start: &str, end: &str| {
            running
                .split_once(start)
                .and_then(|(_, rest)| rest.split_once(end))
                .map(|(found, _)| found.to_owned())
        };
        let nvram = between("<nvram", "</nvram>").unwrap();
        let nvram = nvram.rsplit_once('>').unwrap().1.to_owned();
        assert!(Path::new(&nvram).exists(), "{nvram}");
        let tpm = format!("/var/lib/libvirt/swtpm/{}", between("<uuid>", "</uuid>").unwrap());
        assert_eq!(Path::new(&tpm).exists(), secure);

        stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
        assert!(!Path::new(&nvram).exists() && !Path::new(&tpm).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_comes_back_and_reports_everything() {
    let sockets = tempfile::tempdir().unwrap();
    let socket = sockets.path().join("libvirt.sock");
    let uri = format!("qemu+unix:///system?socket={}", socket.display());
    // Nothing listens yet, as when the node starts before libvirtd.
    let mut stage = Stage::at(&uri).await;
    let mut events = stage.libvirt.events();
    let refused = stage.ensure().await.unwrap_err();
    assert!(
        matches!(&refused, HostError::Failed(reason) if reason.contains("cannot be reached")),
        "{refused}"
    );

    let proxy = Proxy::listen(&socket);
    reachable(&stage, true).await;
    stage.ensure().await.unwrap();
    heard(&mut events, &stage).await;

    proxy.cut();
    reachable(&stage, false).await;
    while events.try_recv().is_ok() {}
    let proxy = Proxy::listen(&socket);
    // What happened meanwhile went unheard, so every machine is reported.
    heard(&mut events, &stage).await;
    reachable(&stage, true).await;
    // And events flow again.
    virsh(&["suspend", &stage.domain()]);
    heard(&mut events, &stage).await;
    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
    proxy.cut();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_described() {
    let stage = Stage::new().await;
    let facts = stage.libvirt.facts().await.unwrap();
    assert_eq!(facts.architecture, std::env::consts::ARCH);
    assert_eq!(facts.accelerator, "tcg");
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!(
        facts.threads as usize >= processors && facts.sockets >= 1 && facts.cores >= facts.sockets,
        "{facts:?}"
    );
    assert!(facts.memory > 256 * MIB, "{facts:?}");
    assert!(!facts.hostname.is_empty());
    for feature in ["bios", "uefi", "secureboot", "tpm"] {
        assert!(facts.features.iter().any(|found| found == feature), "{feature} in {:?}", facts.features);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_open_to_everyone_are_refused() {
    let state = tempfile::tempdir().unwrap();
    for everyone in ["0.0.0.0", "::"] {
        let config = LibvirtConfig {
            display_listen: everyone.parse().unwrap(),
            accel: Accel::Tcg,
            ..LibvirtConfig::new(state.path())
        };
        let refused = Libvirt::connect(config).await.unwrap_err();
        assert!(refused.to_string().contains("127.0.0.1"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_seed_is_read_at_the_next_start() {
    let mut stage = Stage::new().await;
    stage.ensure().await.unwrap();
    stage.boots(1);
    stage.machine.seed.user_data = Secret::new("#cloud-config\nhostname: other\n".to_owned());
    let detail = stage.ensure().await.unwrap();
    assert!(!detail.restart_needed);
    stage.machine.resets += 1;
    stage.ensure().await.unwrap();
    stage.boots(2);
    stage.power(PowerTarget::Off).await;
    stage.power(PowerTarget::Running).await;
    stage.boots(3);
    stage.libvirt.remove_machine(stage.id, &stage.machine).await.unwrap();
}

/// Waits for an event of the stage's machine, and takes all that are there.
async fn heard(events: &mut mpsc::UnboundedReceiver<ObjectKey>, stage: &Stage) {
    let wanted = ObjectKey { kind: ObjectKind::Machine, id: stage.id };
    let found = tokio::time::timeout(PATIENCE, async {
        while let Some(key) = events.recv().await {
            if key == wanted {
                return true;
            }
        }
        false
    });
    assert_eq!(found.await, Ok(true), "an event of {wanted}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    while events.try_recv().is_ok() {}
}

/// Waits until libvirt answers, or answers no more.
async fn reachable(stage: &Stage, wanted: bool) {
    let reached = tokio::time::timeout(PATIENCE, async {
        while stage.libvirt.observe_machine(stage.id).await.is_ok() != wanted {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert_eq!(reached.await, Ok(()), "libvirt is reachable: {wanted}");
}
