//! Storage pools, images and volumes.

use super::field::{DESCRIPTION, Field, Presence};
use super::shape::Shape;
use super::{AGE, Activity, BASE, Column, Content, Detail, ID, Kind, NAME, STATE};

pub(super) static STORAGE_POOL: Kind = Kind {
    name: "storage-pool",
    plural: "storage-pools",
    aliases: &["pool", "pools"],
    about: "Where volumes and images of a region live",
    path: "/pool",
    within: &["/region/{region}/pools"],
    creates: &["/region/{region}/pool"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("backing", Shape::Text, "`dir:PATH`, `logical:VOLUME-GROUP`, or the name of a Ceph pool")
            .wire("pool")
            .required(),
        Field::new("ceph_address", Shape::Text, "Address of a Ceph monitor [localhost]"),
        Field::new("ceph_port", Shape::Integer(1, 65535), "Port of the monitor [3300]"),
        Field::new("ceph_secret_uuid", Shape::Text, "Name of the Ceph secret in libvirt, a UUID"),
        Field::new("cost", Shape::Money, "Monthly price of the whole pool, as `200 EUR`"),
        Field::new("agents", Shape::References("agent"), "Agents of the hosts that reach it")
            .flag("agent")
            .required(),
    ],
    columns: &[
        NAME,
        Column::field("BACKING", "backing"),
        Column::count("AGENTS", "agents"),
        AGE,
        ID,
        Column::field("COST", "cost").wide(),
        Column::field("CEPH", "ceph_address").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    default: Some("/region/{region}/pool/{id}/default"),
    details: &[
        Detail {
            title: "On hosts",
            path: "/pool/{id}/status",
            content: Content::Fields(&[
                Field::new("capacity", Shape::Size, ""),
                Field::new("allocated", Shape::Size, ""),
                Field::new("available", Shape::Size, ""),
                Field::new("nodes", Shape::Nodes, ""),
            ]),
        },
        Detail { title: "Images", path: "/pool/{id}/templates", content: Content::Ids("image") },
        Detail { title: "Volumes", path: "/pool/{id}/volumes", content: Content::Ids("volume") },
    ],
    ..BASE
};

pub(super) static IMAGE: Kind = Kind {
    name: "image",
    plural: "images",
    aliases: &["template", "templates"],
    about: "An image that disks are cloned from",
    path: "/template",
    within: &["/pool/{pool}/templates"],
    creates: &["/pool/{pool}/template"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new(
            "os",
            Shape::Choice(&[("linux", "linux"), ("windows", "windows")]),
            "What it holds [linux]",
        )
        .once(),
        Field::new("source", Shape::Text, "URL of a raw or qcow2 image: http, https or file")
            .presence(Presence::RequiredOnce),
    ],
    columns: &[
        NAME,
        STATE,
        Column::field("OS", "os"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
        Column::field("SOURCE", "source").wide(),
    ],
    activity: Activity::Fetched,
    default: Some("/pool/{pool}/template/{id}/default"),
    details: &[Detail {
        title: "On hosts",
        path: "/template/{id}/status",
        content: Content::Fields(&[
            Field::new("virtual_size", Shape::Size, ""),
            Field::new("nodes", Shape::Nodes, ""),
        ]),
    }],
    ..BASE
};

pub(super) static VOLUME: Kind = Kind {
    name: "volume",
    plural: "volumes",
    aliases: &["disk", "disks"],
    about: "A disk",
    path: "/volume",
    within: &["/project/{project}/region/{region}/volumes", "/pool/{pool}/volumes"],
    creates: &["/project/{project}/region/{region}/volume"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new(
            "type",
            Shape::Choice(&[("os", "os"), ("raw", "raw"), ("iso", "iso"), ("template", "template")]),
            "`os` is cloned from an image, `raw` is empty",
        )
        .presence(Presence::RequiredOnce),
        Field::new("size", Shape::Size, "Its size, as 20G; it can grow later").required(),
        Field::new("pool", Shape::Reference("storage-pool"), "Where it lives [the region's default]")
            .query("poolId"),
        Field::new("image", Shape::Reference("image"), "What it is cloned from [the pool's default]")
            .query("templateId"),
    ],
    columns: &[
        NAME,
        Column::field("TYPE", "type"),
        Column::field("SIZE", "size"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};
