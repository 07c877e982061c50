//! Disks: named by what does not change, with the keys of their use, and OSDs numbered once.

use std::collections::BTreeMap;

use super::Context;
use crate::fault::Fault;
use crate::model::{Disk, DiskUse, Machine, Role};
use crate::near;
use crate::path::{Path, path_to};
use crate::words::{HostName, Name};

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut osds: BTreeMap<u32, (Path, &HostName)> = BTreeMap::new();
    for (name, machine, roles) in &context.machines {
        let at = path_to!["machines", name, "disks"];
        let (mut ids, mut mounts) = (BTreeMap::new(), BTreeMap::new());
        for (disk_name, disk) in &machine.disks {
            let path = at.then(disk_name);
            faults.extend(keys(&path, disk_name, disk, machine));
            faults.extend(database(&path, disk, machine));
            if let Some(id) = &disk.id {
                let short = id.as_str().rsplit('/').next().unwrap_or_default().to_owned();
                faults.extend(twice(&mut ids, short, &path.then("id"), disk_name, "the same disk"));
            }
            if let Some(mount) = &disk.mount {
                let mount_path = path.then("mount");
                faults.extend(twice(
                    &mut mounts,
                    mount.trim_end_matches('/').to_owned(),
                    &mount_path,
                    disk_name,
                    "mounted in the same place",
                ));
                faults.extend(mount_point(&mount_path, mount));
            }
            if let Some(osd) = disk.osd {
                if let Some((first, other)) = osds.get(&osd) {
                    faults.push(
                        Fault::value(
                            path.then("osd"),
                            format!("OSD {osd} of `{name}` is also one of `{other}`"),
                        )
                        .label("again")
                        .also(first.clone(), "first")
                        .hint("numbers of OSDs are unique in the cluster"),
                    );
                } else {
                    osds.insert(osd, (path.then("osd"), name));
                }
            }
        }
        faults.extend(osd_role(&at, name, machine, roles.contains(&Role::CephOsd)));
    }
    faults
}

fn twice<'a>(
    seen: &mut BTreeMap<String, (Path, &'a Name)>,
    key: String,
    path: &Path,
    disk: &'a Name,
    what: &str,
) -> Option<Fault> {
    let Some((first, other)) = seen.get(&key) else {
        seen.insert(key, (path.clone(), disk));
        return None;
    };
    Some(
        Fault::value(path.clone(), format!("`{disk}` and `{other}` are {what}"))
            .label("again")
            .also(first.clone(), "first"),
    )
}

const fn noun(purpose: DiskUse) -> &'static str {
    match purpose {
        DiskUse::System => "system",
        DiskUse::CephOsd => "ceph-osd",
        DiskUse::CephDb => "ceph-db",
        DiskUse::VolumeGroup => "volume-group",
        DiskUse::Filesystem => "filesystem",
        DiskUse::Spare => "spare",
    }
}

/// Keys that the use does not have, and keys that it cannot do without.
fn keys(path: &Path, name: &Name, disk: &Disk, machine: &Machine) -> Vec<Fault> {
    let purpose = disk.purpose;
    let is_osd = purpose == DiskUse::CephOsd;
    let alien = [
        ("osd", disk.osd.is_some(), is_osd),
        ("weight", disk.weight.is_some(), is_osd),
        ("db", disk.db.is_some(), is_osd),
        ("volume_group", disk.volume_group.is_some(), purpose == DiskUse::VolumeGroup),
        ("mount", disk.mount.is_some(), purpose == DiskUse::Filesystem),
    ];
    let mut faults: Vec<Fault> = alien
        .into_iter()
        .filter(|(_, is_there, may)| *is_there && !may)
        .map(|(key, _, _)| {
            Fault::key(path.then(key), format!("a disk with `use: {}` has no `{key}`", noun(purpose)))
                .hint("change its `use`, or remove the key")
        })
        .collect();
    let needed = [
        ("volume_group", purpose == DiskUse::VolumeGroup && disk.volume_group.is_none()),
        ("mount", purpose == DiskUse::Filesystem && disk.mount.is_none()),
        ("id", disk.id.is_none() && !matches!(purpose, DiskUse::System) && machine.substrate.is_none()),
    ];
    for (key, _) in needed.into_iter().filter(|(_, is_missing)| *is_missing) {
        let hint = match key {
            "id" => "see `ls -l /dev/disk/by-id` on the machine: names such as sdb change when it starts",
            "mount" => "say where it is mounted: `mount: /srv/data`",
            _ => "name the group: `volume_group: cinder-volumes`",
        };
        faults
            .push(Fault::key(path.clone(), format!("the disk `{name}` lacks `{key}`")).hint(hint).absence());
    }
    faults
}

fn database(path: &Path, disk: &Disk, machine: &Machine) -> Option<Fault> {
    let db = disk.db.as_ref()?;
    match machine.disks.get(db.as_str()) {
        Some(other) if other.purpose == DiskUse::CephDb => None,
        Some(other) => Some(
            Fault::value(
                path.then("db"),
                format!("the disk `{db}` is for `{}`, not for `ceph-db`", noun(other.purpose)),
            )
            .hint(format!("say `use: ceph-db` for `{db}`")),
        ),
        None => {
            let hint = near::hint(db.as_str(), machine.disks.keys().map(Name::as_str));
            Some(Fault::value(path.then("db"), format!("the machine has no disk `{db}`")).maybe_hint(hint))
        }
    }
}

fn mount_point(path: &Path, mount: &str) -> Option<Fault> {
    const SYSTEM: &[&str] =
        &["", "/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/usr"];
    SYSTEM.contains(&mount.trim_end_matches('/')).then(|| {
        Fault::value(path.clone(), format!("`{mount}` belongs to the operating system"))
            .hint("mount it below /srv, /mnt, /data or /var/lib")
    })
}

/// The role and the disks of OSDs go together.
fn osd_role(at: &Path, name: &HostName, machine: &Machine, has_role: bool) -> Option<Fault> {
    let osd = machine.disks.iter().find(|(_, disk)| disk.purpose == DiskUse::CephOsd);
    match (osd, has_role) {
        (None, true) => Some(
            Fault::key(
                path_to!["machines", name],
                format!("`{name}` has the role `ceph-osd`, and no disk for it"),
            )
            .hint("give a disk `use: ceph-osd`, or take the role away")
            .absence(),
        ),
        (Some((disk, _)), false) => Some(
            Fault::value(
                at.then(disk).then("use"),
                format!("`{name}` has a disk for an OSD, and not the role `ceph-osd`"),
            )
            .hint("give it the role, or say `use: spare`")
            .warning()
            .absence(),
        ),
        _ => None,
    }
}
