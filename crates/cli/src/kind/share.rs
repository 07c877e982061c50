//! File shares, and the backends that they lie on.

use super::field::{DESCRIPTION, Field};
use super::shape::Shape;
use super::{AGE, BASE, Column, Content, Detail, ID, Kind, NAME};

pub(super) static FILE_BACKEND: Kind = Kind {
    name: "file-backend",
    plural: "file-backends",
    aliases: &["nfs", "nfses"],
    about: "Where the file shares of a region lie",
    path: "/nfs",
    within: &["/region/{region}/nfses"],
    creates: &["/region/{region}/nfs"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("file_system", Shape::Text, "`dir:PATH` of a host, or the name of a CephFS [nfs]")
            .wire("fs"),
        Field::new("endpoint", Shape::Text, "Where clients mount from, for people").required(),
        Field::new("backends", Shape::Texts, "Host that exports, for people").flag("backend").required(),
        Field::new("port", Shape::Integer(1, 65535), "Port of those hosts, for people [54934]"),
        Field::new(
            "pool",
            Shape::Reference("storage-pool"),
            "Pool whose hosts reach the files [the region's default]",
        )
        .query("poolId"),
    ],
    columns: &[
        NAME,
        Column::field("FILE-SYSTEM", "file_system"),
        Column::field("ENDPOINT", "endpoint"),
        AGE,
        ID,
        Column::field("BACKENDS", "backends").wide(),
        Column::field("PORT", "port").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    default: Some("/region/{region}/nfs/{id}/default"),
    details: &[Detail { title: "Shares", path: "/nfs/{id}/kylos", content: Content::Ids("file-share") }],
    ..BASE
};

pub(super) static FILE_SHARE: Kind = Kind {
    name: "file-share",
    plural: "file-shares",
    aliases: &["kylo", "kylos", "share", "shares"],
    about: "A directory that the machines of a project mount over NFS",
    path: "/kylo",
    within: &["/project/{project}/region/{region}/kylos", "/nfs/{file-backend}/kylos"],
    creates: &["/project/{project}/region/{region}/kylo"],
    fields: &[
        Field::new("name", Shape::Text, "Its name, part of what clients mount").required(),
        DESCRIPTION,
        Field::new(
            "access",
            Shape::Choice(&[("read-write", "RW"), ("read-only", "RO")]),
            "What clients may do [read-write]",
        ),
        Field::new("protocols", Shape::Integers(3, 4), "NFS version, 3 or 4 [all]")
            .flag("protocol")
            .zero("all"),
        Field::new("endpoint", Shape::Text, "What clients mount").observed(),
        Field::new("size", Shape::Size, "Space in use").observed(),
        Field::new("file_backend", Shape::Reference("file-backend"), "Where it lies [the region's default]")
            .query("nfsId"),
    ],
    columns: &[
        NAME,
        Column::field("ENDPOINT", "endpoint"),
        Column::field("ACCESS", "access"),
        Column::field("SIZE", "size"),
        AGE,
        ID,
        Column::field("PROTOCOLS", "protocols").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};
