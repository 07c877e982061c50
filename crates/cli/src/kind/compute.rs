//! Machines: computes, instances, and the groups that keep them apart.

use super::field::{DESCRIPTION, Field};
use super::shape::Shape;
use super::{AGE, Activity, BASE, Column, ID, Kind, NAME, STATE};

const MEMORY: Field = Field::new("memory", Shape::Size, "Memory, as 4G").required();
const VCPUS: Field = Field::new("vcpus", Shape::Integer(1, 1024), "Virtual processors").required();
const GROUPS: Field = Field::new(
    "anti_affinity_groups",
    Shape::References("anti-affinity-group"),
    "Group whose members must not share a host or zone",
)
.wire("kwarantines")
.flag("anti-affinity-group")
.once();
const UEFI: Field = Field::new("uefi", Shape::Boolean, "UEFI firmware, else legacy BIOS [true]").once();
const MIGRATABLE: Field =
    Field::new("migratable", Shape::Boolean, "Whether it may be moved to another host [true]")
        .wire("kmotion_enabled");

pub(super) static COMPUTE: Kind = Kind {
    name: "compute",
    plural: "computes",
    aliases: &["kompute", "komputes", "vm", "vms"],
    about: "A machine together with its volumes and adapters",
    path: "/kompute",
    within: &["/project/{project}/zone/{zone}/komputes", "/project/{project}/region/{region}/komputes"],
    creates: &["/project/{project}/zone/{zone}/kompute", "/project/{project}/region/{region}/kompute"],
    fields: &[
        Field::new("name", Shape::Text, "Its name, also its host name").required(),
        DESCRIPTION,
        VCPUS,
        MEMORY,
        Field::new("disk", Shape::Size, "Size of the system disk, as 20G; it can grow later").required(),
        Field::new("data_disk", Shape::Size, "Size of a second, empty disk [none]").zero("none"),
        Field::new(
            "image",
            Shape::Reference("image"),
            "What the system disk is cloned from [the pool's default]",
        )
        .query("templateId"),
        Field::new("pool", Shape::Reference("storage-pool"), "Where its disks live [the region's default]")
            .query("poolId"),
        Field::new("public", Shape::Boolean, "Give it a public address as well").query("public"),
        GROUPS,
        UEFI,
        MIGRATABLE,
        Field::new("ip", Shape::Text, "First private address").observed(),
    ],
    columns: &[
        NAME,
        STATE,
        Column::field("VCPUS", "vcpus"),
        Column::field("MEMORY", "memory"),
        Column::field("DISK", "disk"),
        Column::field("ADDRESS", "ip"),
        AGE,
        ID,
        Column::field("DATA-DISK", "data_disk").wide(),
        Column::field("GROUPS", "anti_affinity_groups").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    activity: Activity::Machine,
    ..BASE
};

pub(super) static INSTANCE: Kind = Kind {
    name: "instance",
    plural: "instances",
    about: "A machine made of existing adapters and volumes",
    path: "/instance",
    within: &[
        "/project/{project}/zone/{zone}/instances",
        "/project/{project}/region/{region}/instances",
        "/kaktus/{hypervisor}/instances",
    ],
    creates: &["/project/{project}/zone/{zone}/instance", "/project/{project}/region/{region}/instance"],
    fields: &[
        Field::new("name", Shape::Text, "Its name, also its host name").required(),
        DESCRIPTION,
        VCPUS,
        MEMORY,
        Field::new("volumes", Shape::References("volume"), "Disk, in order; exactly one is of type `os`")
            .flag("volume"),
        Field::new("adapters", Shape::References("adapter"), "Network card, in order").flag("adapter"),
        GROUPS,
        UEFI,
        MIGRATABLE,
    ],
    columns: &[
        NAME,
        STATE,
        Column::field("VCPUS", "vcpus"),
        Column::field("MEMORY", "memory"),
        Column::count("VOLUMES", "volumes"),
        Column::count("ADAPTERS", "adapters"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
    ],
    activity: Activity::Machine,
    ..BASE
};

pub(super) static ANTI_AFFINITY_GROUP: Kind = Kind {
    name: "anti-affinity-group",
    plural: "anti-affinity-groups",
    aliases: &["kwarantine", "kwarantines", "group", "groups", "antiaffinity"],
    about: "Machines that must not share a host or zone",
    path: "/kwarantine",
    within: &["/project/{project}/kwarantines"],
    creates: &["/project/{project}/kwarantine"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new(
            "policy",
            Shape::Choice(&[("host", "host"), ("zone", "zone")]),
            "What is not shared [host]",
        ),
        Field::new("computes", Shape::References("compute"), "Its computes").wire("komputes").observed(),
        Field::new("instances", Shape::References("instance"), "Its instances").observed(),
    ],
    columns: &[
        NAME,
        Column::field("POLICY", "policy"),
        Column::count("COMPUTES", "computes"),
        Column::count("INSTANCES", "instances"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};
