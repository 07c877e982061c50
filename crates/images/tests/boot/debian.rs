//! The Debian image: takes some minutes, needs root and the network.

use std::path::Path;
use std::time::Duration;

use freehold_images::debian;

use super::guest::{Firmware, Hardware, MAC, Seed, Workshop};

const PATIENCE: Duration = Duration::from_mins(10);
const GIB: u64 = 1 << 30;

#[test]
#[ignore = "takes minutes and needs root; './x test' runs it"]
fn cloud_init_finishes_under_both_firmwares() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian.qcow2");
    let mut steps = Vec::new();
    let built =
        debian::build(&out, &debian::Options::default(), &mut |step| steps.push(step.to_owned())).unwrap();
    assert!(built.bytes < 600 << 20, "{} bytes are too many", built.bytes);

    let workshop = Workshop::new(&built.path, 6 * GIB);
    let key = workshop.public_key();
    let seed = Seed {
        meta_data: "instance-id: i-1\nlocal-hostname: debian\n".to_owned(),
        user_data: format!(
            "#cloud-config\nusers:\n  - name: service\n    shell: /bin/bash\n    sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n    \
             ssh_authorized_keys:\n      - {key}\nruncmd:\n  - echo done > /run/done\n"
        ),
        network_config: Some(format!(
            "version: 2\nethernets:\n  private0:\n    match: {{macaddress: \"{MAC}\"}}\n    set-name: private0\n    \
             addresses: [10.0.2.15/24]\n    routes: [{{to: default, via: 10.0.2.2}}]\n    \
             nameservers: {{addresses: [10.0.2.3], search: [example.test]}}\n"
        )),
    };
    let hardware = Hardware { memory: GIB, processors: 2, ..Hardware::default() };
    let mut guest = workshop.start(hardware, &seed);
    guest.wait_for("finished at", PATIENCE);
    assert_eq!(guest.ssh("service", "hostname; cat /run/done; sudo id -u"), "debian\ndone\n0");
    let found = guest.ssh(
        "service",
        "df -m / | awk 'END { print ($2 > 5000) }'; ip -br addr show private0 | awk '{ print $3 }'; \
         grep -c example.test /etc/resolv.conf; systemctl is-enabled qemu-guest-agent; cloud-init status | head -n 1",
    );
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines[..3], ["1", "10.0.2.15/24", "1"], "{found}");
    assert_eq!(lines[4], "status: done", "{found}");
    guest.power_off(PATIENCE);

    // The same disk under the other firmware: the menu is found from the EFI partition too.
    let mut guest = workshop.start(Hardware { firmware: Firmware::Uefi, ..hardware }, &seed);
    guest.wait_for("debian login:", PATIENCE);
    guest.power_off(PATIENCE);
}
