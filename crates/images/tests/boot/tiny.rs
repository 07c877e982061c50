//! The tiny image: each test takes some ten seconds.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use freehold_images::tiny;

use super::guest::{Firmware, Guest, Hardware, MAC, Seed, SeedBus, Workshop};

/// Generous: other tests may run beside this one on two cores.
const PATIENCE: Duration = Duration::from_mins(3);
const GIB: u64 = 1 << 30;

/// The image, made once; kept between runs while recipe and packages stay as they are.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny.qcow2");
        let built = tiny::build(&out, tiny::Options::default(), &mut |_| {}).unwrap();
        assert!(built.bytes < 64 << 20, "{} bytes are too many", built.bytes);
        assert_eq!(built.virtual_size, 256 << 20);
        built.path
    })
}

fn meta_data(instance: &str, hostname: &str) -> String {
    format!("instance-id: {instance}\nlocal-hostname: {hostname}\n")
}

fn network_config() -> String {
    format!(
        r#"version: 2
ethernets:
  private0:
    match:
      macaddress: "{MAC}"
    set-name: private0
    accept-ra: false
    link-local: []
    mtu: 1450
    addresses: ["10.0.2.15/24", "10.77.0.5/16"]
    routes:
      - to: default
        via: 10.0.2.2
        metric: 200
      - to: 192.0.2.0/24
        via: 10.0.2.9
    nameservers:
      addresses: [10.0.2.3]
      search: [example.test]
"#
    )
}

/// Asks for everything that the tiny guest knows of cloud-config, with the YAML that people write.
fn user_data(key: &str) -> String {
    format!(
        r#"#cloud-config
# a comment
hostname: one
fqdn: one.example.test
users:
  - name: root
    lock_passwd: false
    hashed_passwd: "$6$salt$/h4jKxJHlHIhlqPg4KQDzGH4vb2HtfQkVKLTZ0wZdzXkWbIzYHZqMQ1YXjL3kMtCJZ0bZz9Zl1nGQ8Xh7GKZ01"
  - {{name: service, groups: [users, admin], shell: /bin/bash, sudo: "ALL=(ALL) NOPASSWD:ALL",
     ssh_authorized_keys: ["{key}"]}}
  - name: guest
    lock_passwd: true
    ssh_authorized_keys:
      - >-
        {key}
write_files:
  - path: /etc/decoded
    permissions: "0640"
    encoding: b64
    content: ZGVjb2RlZAo=
  - path: /etc/multi/line
    owner: service:service
    defer: true
    content: |
      first: "quoted"
        second
  - {{path: /etc/multi/line, content: "third\n", append: true, defer: true}}
packages: [curl]
bootcmd:
  - echo x >> /var/lib/boots
runcmd:
  - [sh, -c, "echo \"it's a list\" > /run/list"]
  - echo "a string" | tr a-z A-Z > /run/string
  - echo x >> /var/lib/instances
  - "false"
  - exit 7
"#
    )
}

fn full_seed(workshop: &Workshop) -> Seed {
    Seed {
        meta_data: meta_data("000000000000000000012345", "other"),
        user_data: user_data(&workshop.public_key()),
        network_config: Some(network_config()),
    }
}

fn expect_markers(guest: &mut Guest) {
    guest.wait_for("FREEHOLD ready ", PATIENCE);
    let console = guest.console();
    let markers: Vec<&str> =
        console.iter().filter_map(|line| Some(line.split_once("FREEHOLD ")?.1)).collect();
    let position = |text: &str| {
        markers
            .iter()
            .position(|marker| marker.starts_with(text))
            .unwrap_or_else(|| panic!("no {text}: {markers:#?}"))
    };
    let order = [
        "root /dev/",
        "nocloud /dev/",
        "nic private0 52:54:00:12:34:56 10.0.2.15/24,10.77.0.5/16",
        "bootcmd done 0",
        "hostkey ssh-ed25519 ",
        "ssh ready",
        "runcmd done 7",
        "ready ",
    ];
    let positions = order.map(position);
    assert!(positions.is_sorted(), "{markers:#?}");
    assert!(
        markers[positions[1]].ends_with(" instance=000000000000000000012345 hostname=one"),
        "{markers:#?}"
    );
    assert!(markers.contains(&"ignored user-data packages"), "{markers:#?}");
    assert!(markers.iter().all(|marker| !marker.starts_with("failed")), "{markers:#?}");
}

fn expect_seed_applied(guest: &Guest) {
    let service = |command: &str| guest.ssh("service", command);
    assert_eq!(service("hostname; hostname -f"), "one\none.example.test");
    assert_eq!(service("id -un; id -Gn | tr ' ' '\\n' | sort"), "service\nadmin\nservice\nusers");
    assert_eq!(service("echo $BASH_VERSION | cut -c1"), "5");
    assert_eq!(service("sudo id -u; sudo -n -u guest id -un"), "0\nguest");
    assert_eq!(service("cat /run/list /run/string"), "it's a list\nA STRING");
    assert_eq!(
        service("sudo cat /etc/decoded; stat -c '%a %U' /etc/decoded /etc/multi/line"),
        "decoded\n640 root\n644 service"
    );
    assert_eq!(service("cat /etc/multi/line"), "first: \"quoted\"\n  second\nthird");
    assert_eq!(service("cat /etc/resolv.conf"), "search example.test\nnameserver 10.0.2.3");
    let routes = service("ip route");
    assert!(routes.contains("default via 10.0.2.2 dev private0  metric 200"), "{routes}");
    assert!(routes.contains("192.0.2.0/24 via 10.0.2.9 dev private0"), "{routes}");
    let link = service(
        "ip link show private0; cat /proc/sys/net/ipv6/conf/private0/accept_ra; ip -6 addr show private0",
    );
    assert!(link.contains("mtu 1450") && link.ends_with("\n0"), "{link}");
    let hashes = service("sudo cut -d: -f1,2 /etc/shadow");
    assert!(hashes.contains("root:$6$salt$") && hashes.contains("service:!"), "{hashes}");

    assert_eq!(guest.ssh("guest", "id -un"), "guest");
    assert!(!guest.try_ssh("guest", "sudo id").status.success());
    assert!(!guest.try_ssh("root", "true").status.success(), "root has no key");
}

/// Legacy BIOS; a larger disk; what is done once, and what again; the power button.
#[test]
fn a_seed_is_applied_once_per_instance() {
    let workshop = Workshop::new(image(), GIB);
    let mut guest = workshop.start(Hardware::default(), &full_seed(&workshop));
    expect_markers(&mut guest);
    expect_seed_applied(&guest);
    let mebibytes: u64 = guest.ssh("service", "df -m / | awk 'END { print $2 }'").parse().unwrap();
    assert!(mebibytes > 850, "the root has not grown: {mebibytes} MiB");
    let host_key = guest.wait_for("FREEHOLD hostkey", PATIENCE);
    guest.power_off(PATIENCE);

    // The same instance starts again: its own changes stay, runcmd does not run.
    let mut guest = workshop.start(Hardware::default(), &full_seed(&workshop));
    guest.wait_for("FREEHOLD ready ", PATIENCE);
    assert_eq!(guest.ssh("service", "wc -l < /var/lib/boots; wc -l < /var/lib/instances"), "2\n1");
    assert!(guest.console().iter().all(|line| !line.contains("hostkey") && !line.contains("runcmd")));
    guest.power_off(PATIENCE);

    // The disk becomes another instance: everything is applied anew, with another host key.
    let seed = Seed { meta_data: meta_data("i-2", "other"), ..full_seed(&workshop) };
    let mut guest = workshop.start(Hardware::default(), &seed);
    guest.wait_for("FREEHOLD ready ", PATIENCE);
    assert_ne!(guest.wait_for("FREEHOLD hostkey", PATIENCE), host_key);
    assert_eq!(guest.ssh("service", "wc -l < /var/lib/boots; wc -l < /var/lib/instances"), "3\n2");
}

/// UEFI, and the seed on a SCSI CD-ROM.
#[test]
fn it_boots_under_uefi() {
    let workshop = Workshop::new(image(), 256 << 20);
    let hardware = Hardware { firmware: Firmware::Uefi, seed_bus: SeedBus::ScsiCdrom, ..Hardware::default() };
    let mut guest = workshop.start(hardware, &full_seed(&workshop));
    expect_markers(&mut guest);
    expect_seed_applied(&guest);
    guest.power_off(PATIENCE);
}

/// The least seed: a script as user-data, addresses by DHCP, on an IDE CD-ROM.
#[test]
fn a_script_runs_and_dhcp_is_asked() {
    let workshop = Workshop::new(image(), 256 << 20);
    let script = format!(
        "#!/bin/sh\nmkdir -p /root/.ssh\necho '{}' > /root/.ssh/authorized_keys\n",
        workshop.public_key()
    );
    let seed = Seed { meta_data: meta_data("i-3", "least"), user_data: script, network_config: None };
    let hardware = Hardware { seed_bus: SeedBus::IdeCdrom, ..Hardware::default() };
    let mut guest = workshop.start(hardware, &seed);
    guest.wait_for("FREEHOLD ready ", PATIENCE);
    let console = guest.console();
    let has = |text: &str| console.iter().any(|line| line.contains(text));
    assert!(has("FREEHOLD nic eth0 52:54:00:12:34:56 10.0.2.15/24"), "{console:#?}");
    assert!(has("FREEHOLD nocloud /dev/sr0 instance=i-3 hostname=least"), "{console:#?}");
    assert!(has("FREEHOLD runcmd done 0"), "{console:#?}");
    assert_eq!(guest.ssh("root", "hostname"), "least");
}
