//! Where things are: regions, zones, hypervisors.

use super::field::{DESCRIPTION, Field};
use super::shape::Shape;
use super::{AGE, BASE, Column, Content, Detail, ID, Kind, NAME};

pub(super) static REGION: Kind = Kind {
    name: "region",
    plural: "regions",
    about: "A set of zones that share storage and networks",
    path: "/region",
    creates: &["/region"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("domain", Shape::Text, "DNS domain of its records").required(),
    ],
    columns: &[
        NAME,
        Column::field("DOMAIN", "domain"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};

pub(super) static ZONE: Kind = Kind {
    name: "zone",
    plural: "zones",
    about: "A set of hypervisors that fail together",
    path: "/zone",
    within: &["/region/{region}/zones"],
    creates: &["/region/{region}/zone"],
    fields: &[Field::new("name", Shape::Text, "Its name").required(), DESCRIPTION],
    columns: &[NAME, AGE, ID, Column::field("DESCRIPTION", "description").wide()],
    ..BASE
};

pub(super) static HYPERVISOR: Kind = Kind {
    name: "hypervisor",
    plural: "hypervisors",
    aliases: &["kaktus", "kaktuses", "host", "hosts"],
    about: "A host that runs machines",
    path: "/kaktus",
    within: &["/zone/{zone}/kaktuses"],
    creates: &["/zone/{zone}/kaktus"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("cpu_cost", Shape::Money, "Monthly price of all its processors, as `120 EUR`"),
        Field::new("memory_cost", Shape::Money, "Monthly price of all its memory, as `80 EUR`"),
        Field::new(
            "overcommit_cpu_ratio",
            Shape::Integer(1, 1000),
            "Virtual processors per thread, for prices [3]",
        ),
        Field::new(
            "overcommit_memory_ratio",
            Shape::Integer(1, 1000),
            "Sold memory per memory, for prices [2]",
        ),
        Field::new("agents", Shape::References("agent"), "Agents of the host").flag("agent").required(),
        Field::new("maintenance", Shape::Boolean, "No new machine is placed here").observed(),
    ],
    columns: &[
        NAME,
        Column::field("MAINTENANCE", "maintenance"),
        Column::count("AGENTS", "agents"),
        AGE,
        ID,
        Column::field("CPU-COST", "cpu_cost").wide(),
        Column::field("MEMORY-COST", "memory_cost").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    details: &[
        Detail {
            title: "Capacity",
            path: "/kaktus/{id}/caps",
            content: Content::Fields(&[
                Field::new("cpu.vendor", Shape::Text, ""),
                Field::new("cpu.model", Shape::Text, ""),
                Field::new("cpu.arch", Shape::Text, ""),
                Field::new("cpu.sockets", Shape::Any, ""),
                Field::new("cpu.cores", Shape::Any, ""),
                Field::new("cpu.threads", Shape::Any, ""),
                Field::new("memory", Shape::Size, ""),
            ]),
        },
        Detail { title: "Instances", path: "/kaktus/{id}/instances", content: Content::Ids("instance") },
    ],
    ..BASE
};
