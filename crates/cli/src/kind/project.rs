//! Projects.

use super::field::{DESCRIPTION, Field};
use super::shape::Shape;
use super::{AGE, BASE, Column, Content, Detail, ID, Kind, NAME};

/// Amounts, as quota or usage.
pub const AMOUNTS: &[Field] = &[
    Field::new("instances", Shape::Integer(0, u32::MAX as u64), ""),
    Field::new("vcpus", Shape::Integer(0, u32::MAX as u64), ""),
    Field::new("memory", Shape::Size, ""),
    Field::new("storage", Shape::Size, ""),
];

pub(super) static PROJECT: Kind = Kind {
    name: "project",
    plural: "projects",
    about: "A tenant: its members, quotas and addresses",
    path: "/project",
    creates: &["/project"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("regions", Shape::References("region"), "Region it may use").flag("region").required(),
        Field::new("teams", Shape::References("team"), "Team that may use it").flag("team"),
        Field::new("domain", Shape::Text, "DNS domain of its machines").once(),
        Field::new("subnet_size", Shape::Integer(8, 30), "Prefix length of its private subnets [26]")
            .query("subnetSize"),
        Field::new(
            "root_password",
            Shape::Secret,
            "Password of root on its machines [generated per machine]",
        )
        .flag("root-password-file"),
        Field::new("bootstrap_user", Shape::Text, "Account made on its machines"),
        Field::new("bootstrap_pubkey", Shape::Text, "SSH public key of that account"),
        Field::new("tags", Shape::Texts, "Free word").flag("tag"),
        Field::new("metadata", Shape::Pairs, "Free key and value").wire("metadatas"),
        Field::new("quotas.instances", Shape::Integer(0, u32::MAX as u64), "Most machines; 0 is unlimited")
            .zero("unlimited")
            .flag("quota-instances"),
        Field::new("quotas.vcpus", Shape::Integer(0, u32::MAX as u64), "Most processors; 0 is unlimited")
            .zero("unlimited")
            .flag("quota-vcpus"),
        Field::new("quotas.memory", Shape::Size, "Most memory; 0 is unlimited")
            .zero("unlimited")
            .flag("quota-memory"),
        Field::new("quotas.storage", Shape::Size, "Most storage; 0 is unlimited")
            .zero("unlimited")
            .flag("quota-storage"),
        Field::new("private_subnets", Shape::Pairs, "Its private subnet in each region").observed(),
        Field::new("reserved_vrrp_ids", Shape::Any, "VRRP ids it holds").observed(),
    ],
    columns: &[
        NAME,
        Column::field("REGIONS", "regions"),
        Column::field("TEAMS", "teams"),
        Column::field("DOMAIN", "domain"),
        AGE,
        ID,
        Column::field("QUOTA-VCPUS", "quotas.vcpus").wide(),
        Column::field("QUOTA-MEMORY", "quotas.memory").wide(),
        Column::field("QUOTA-STORAGE", "quotas.storage").wide(),
    ],
    details: &[
        Detail { title: "Usage", path: "/project/{id}/usage", content: Content::Fields(AMOUNTS) },
        Detail { title: "Cost per month", path: "/project/{id}/cost", content: Content::One(Shape::Money) },
    ],
    ..BASE
};
