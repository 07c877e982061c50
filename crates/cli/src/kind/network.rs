//! Networks, subnets and adapters.

use super::field::{DESCRIPTION, Field, Presence};
use super::shape::Shape;
use super::{AGE, BASE, Column, Content, Detail, ID, Kind, NAME};

pub(super) static NETWORK: Kind = Kind {
    name: "network",
    plural: "networks",
    aliases: &["vnet", "vnets", "net"],
    about: "A layer-2 network of a region",
    path: "/vnet",
    within: &["/region/{region}/vnets"],
    creates: &["/region/{region}/vnet"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("vlan", Shape::Integer(0, 4094), "802.1q tag; 0 is untagged").zero("untagged"),
        Field::new("interface", Shape::Text, "Name of the bridge on hosts").required(),
        Field::new("private", Shape::Boolean, "Whether its subnets hold private addresses [true]").once(),
    ],
    columns: &[
        NAME,
        Column::field("VLAN", "vlan"),
        Column::field("INTERFACE", "interface"),
        Column::field("PRIVATE", "private"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
    ],
    details: &[Detail { title: "Subnets", path: "/vnet/{id}/subnets", content: Content::Ids("subnet") }],
    ..BASE
};

pub(super) static SUBNET: Kind = Kind {
    name: "subnet",
    plural: "subnets",
    about: "An address range of a network",
    path: "/subnet",
    within: &["/vnet/{network}/subnets"],
    creates: &["/vnet/{network}/subnet"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("cidr", Shape::Text, "Address range, as 10.0.0.0/24").presence(Presence::RequiredOnce),
        Field::new("gateway", Shape::Text, "Address of the upstream gateway").required(),
        Field::new("dns", Shape::Text, "Resolver given to machines [the gateway]"),
        Field::new("extra_routes", Shape::Texts, "Range reached through the gateway").flag("extra-route"),
        Field::new("reserved", Shape::Ranges, "Addresses never given to machines"),
        Field::new("gateway_pool", Shape::Ranges, "Addresses kept for the zone gateways of a project")
            .wire("gw_pool"),
        Field::new(
            "application",
            Shape::Choice(&[("user", "user"), ("ceph", "ceph")]),
            "What it is for [user]",
        ),
    ],
    columns: &[
        NAME,
        Column::field("CIDR", "cidr"),
        Column::field("GATEWAY", "gateway"),
        Column::field("FOR", "application"),
        AGE,
        ID,
        Column::field("DNS", "dns").wide(),
        Column::field("RESERVED", "reserved").wide(),
        Column::field("GATEWAY-POOL", "gateway_pool").wide(),
    ],
    default: Some("/vnet/{network}/subnet/{id}/default"),
    details: &[Detail { title: "Adapters", path: "/subnet/{id}/adapters", content: Content::Ids("adapter") }],
    ..BASE
};

pub(super) static ADAPTER: Kind = Kind {
    name: "adapter",
    plural: "adapters",
    aliases: &["nic", "nics"],
    about: "A network card: a MAC and its addresses",
    path: "/adapter",
    within: &["/subnet/{subnet}/adapters"],
    creates: &["/subnet/{subnet}/adapter"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("mac", Shape::Text, "Hardware address [generated]"),
        Field::new("addresses", Shape::Texts, "Address within the subnet").flag("address"),
        Field::new(
            "reserved",
            Shape::Boolean,
            "Whether its MAC may appear on several subnets, as of a router",
        ),
        Field::new("assign_ip", Shape::Boolean, "Give it a free address of the subnet").query("assignIP"),
    ],
    columns: &[
        NAME,
        Column::field("MAC", "mac"),
        Column::field("ADDRESSES", "addresses"),
        AGE,
        ID,
        Column::field("RESERVED", "reserved").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};
