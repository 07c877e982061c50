//! A host that `./x packages` has prepared is ready: nothing is missing, libvirt starts and answers, and the
//! checks find nothing that fails.

use freehold_images::doctor::{self, Question, Status};
use freehold_images::{OsRelease, system};

#[test]
fn a_prepared_host_is_ready() {
    if OsRelease::of_host().unwrap().supported().is_some() {
        assert_eq!(system::missing_packages().unwrap(), Vec::<String>::new(), "run ./x packages");
    }
    let started = system::start_libvirt(&mut |_| {}).unwrap();
    assert_eq!(system::start_libvirt(&mut |step| panic!("{step}: it runs already")).unwrap(), started);
    assert!(started.qemu.is_some());

    let checks = doctor::judge(&doctor::probe(&Question::default()));
    let needed = ["QEMU", "libvirt", "UEFI firmware", "emulated TPM"];
    for check in checks.iter().filter(|check| needed.contains(&check.name.as_str())) {
        assert_eq!(check.status, Status::Ok, "{check:?}");
    }
    assert!(
        checks.iter().all(|check| (check.status == Status::Ok) == check.remedy.is_empty()),
        "{checks:#?}"
    );
}
