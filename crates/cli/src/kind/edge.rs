//! Names: the edges that answer for them, and DNS records.

use super::field::{DESCRIPTION, Field};
use super::shape::Shape;
use super::{AGE, BASE, Column, ID, Kind, NAME};

pub(super) static EDGE: Kind = Kind {
    name: "edge",
    plural: "edges",
    aliases: &["kiwi", "kiwis"],
    about: "A network node of a region: it answers for names",
    path: "/kiwi",
    within: &["/region/{region}/kiwis"],
    creates: &["/region/{region}/kiwi"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("agents", Shape::References("agent"), "Agents of the node").flag("agent"),
    ],
    columns: &[
        NAME,
        Column::count("AGENTS", "agents"),
        AGE,
        ID,
        Column::field("AGENT-NAMES", "agents").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};

pub(super) static DNS_RECORD: Kind = Kind {
    name: "dns-record",
    plural: "dns-records",
    aliases: &["record", "records"],
    about: "A name in the domain of a project or a region",
    path: "/record",
    listed: false,
    within: &["/project/{project}/records", "/region/{region}/records"],
    creates: &["/project/{project}/record", "/region/{region}/record"],
    fields: &[
        Field::new("name", Shape::Text, "Its name within the domain; `@` is the domain itself").required(),
        DESCRIPTION,
        Field::new("addresses", Shape::Texts, "Address that it stands for, IPv4 or IPv6")
            .flag("address")
            .required(),
        Field::new("domain", Shape::Text, "That of its project or region").observed(),
    ],
    columns: &[
        NAME,
        Column::field("DOMAIN", "domain"),
        Column::field("ADDRESSES", "addresses"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};
