//! Gateways and their IPsec connections.

use super::field::{DESCRIPTION, Field};
use super::notation::Notation;
use super::shape::Shape;
use super::{AGE, BASE, Cell, Column, ID, Kind, NAME};

pub(super) static GATEWAY: Kind = Kind {
    name: "gateway",
    plural: "gateways",
    aliases: &["kawaii", "kawaiis"],
    about: "A project's way out of its private network in a region",
    path: "/kawaii",
    within: &["/project/{project}/region/{region}/kawaiis"],
    creates: &["/project/{project}/region/{region}/kawaii"],
    fields: &[
        Field::new("name", Shape::Text, "Its name"),
        DESCRIPTION,
        Field::new(
            "firewall.ingress",
            Shape::Notes(Notation::Ingress),
            "What may come in, as tcp/80,443@198.51.100.0/24 [nothing]",
        )
        .flag("ingress"),
        Field::new(
            "firewall.egress_policy",
            Shape::Choice(&[("accept", "accept"), ("drop", "drop")]),
            "What becomes of traffic to the world [accept]",
        )
        .flag("egress-policy"),
        Field::new(
            "firewall.egress",
            Shape::Notes(Notation::Egress),
            "Exception from that policy, as udp/53@9.9.9.9",
        )
        .flag("egress"),
        Field::new(
            "forwards",
            Shape::Notes(Notation::Forward),
            "Ports that lead to a machine, as tcp/80,443=10.0.0.7",
        )
        .wire("dnat")
        .flag("forward"),
        Field::new(
            "peerings",
            Shape::Notes(Notation::Peering),
            "Other subnet that it joins, as `lan-b=drop in tcp/22 out udp/53`",
        )
        .wire("vpc_peerings")
        .flag("peering")
        .once(),
        Field::new("public_addresses", Shape::Texts, "Its addresses in the world")
            .wire("netip.public")
            .observed(),
        Field::new("private_addresses", Shape::Texts, "Its addresses in the private subnet")
            .wire("netip.private")
            .observed(),
        Field::new("zones", Shape::Notes(Notation::Addresses), "Its addresses zone by zone")
            .wire("netip.zones")
            .observed(),
    ],
    columns: &[
        NAME,
        Column::field("PUBLIC", "public_addresses"),
        Column::sum("RULES", &["firewall.ingress", "firewall.egress", "forwards"]),
        AGE,
        // Most have no name.
        Column::new("ID", Cell::Id),
        Column::field("PRIVATE", "private_addresses").wide(),
        Column::count("PEERINGS", "peerings").wide(),
        Column::field("INGRESS", "firewall.ingress").wide(),
        Column::field("EGRESS", "firewall.egress_policy").wide(),
        Column::field("FORWARDS", "forwards").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};

const INTEGRITY: Shape =
    Shape::Choice(&[("sha1", "SHA1"), ("sha256", "SHA256"), ("sha384", "SHA384"), ("sha512", "SHA512")]);

const ENCRYPTION: Shape = Shape::Choice(&[
    ("aes128", "AES128"),
    ("aes256", "AES256"),
    ("camellia128", "CAMELLIA128"),
    ("camellia256", "CAMELLIA256"),
]);

/// Groups of the contract are 2, 5, and 14 to 24; the controller tells those in between.
const GROUP: Shape = Shape::Integer(2, 24);

pub(super) static IPSEC_CONNECTION: Kind = Kind {
    name: "ipsec-connection",
    plural: "ipsec-connections",
    aliases: &["ipsec", "kawaii-ipsec"],
    about: "An IPsec connection of a gateway to a foreign network",
    path: "/kawaii/{gateway}/ipsec",
    listed: false,
    within: &["/kawaii/{gateway}/ipsec"],
    creates: &["/kawaii/{gateway}/ipsec"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("ip", Shape::Text, "Public address of the gateway at this end").observed(),
        Field::new("remote_ip", Shape::Text, "Address of the other end").required(),
        Field::new("remote_subnet", Shape::Text, "Network behind the other end, as 172.16.0.0/24").required(),
        Field::new("pre_shared_key", Shape::Secret, "The key that both ends know")
            .flag("pre-shared-key-file")
            .required(),
        Field::new("phase1.encryption", ENCRYPTION, "Cipher of the key exchange")
            .wire("phase1_encryption_algorithm")
            .flag("phase1-encryption")
            .required(),
        Field::new("phase1.integrity", INTEGRITY, "Hash of the key exchange")
            .wire("phase1_integrity_algorithm")
            .flag("phase1-integrity")
            .required(),
        Field::new("phase1.dh_group", GROUP, "Diffie-Hellman group of the key exchange: 2, 5, 14 to 24")
            .wire("phase1_dh_group_number")
            .flag("phase1-dh-group")
            .required(),
        Field::new("phase1.lifetime", Shape::Text, "How long its keys last, as 90m [1h]")
            .wire("phase1_lifetime")
            .flag("phase1-lifetime"),
        Field::new("phase2.encryption", ENCRYPTION, "Cipher of the traffic")
            .wire("phase2_encryption_algorithm")
            .flag("phase2-encryption")
            .required(),
        Field::new("phase2.integrity", INTEGRITY, "Hash of the traffic")
            .wire("phase2_integrity_algorithm")
            .flag("phase2-integrity")
            .required(),
        Field::new("phase2.dh_group", GROUP, "Diffie-Hellman group of the traffic: 2, 5, 14 to 24")
            .wire("phase2_dh_group_number")
            .flag("phase2-dh-group")
            .required(),
        Field::new("phase2.lifetime", Shape::Text, "How long its keys last, as 90m [1h]")
            .wire("phase2_lifetime")
            .flag("phase2-lifetime"),
        Field::new("rekey_time", Shape::Text, "How often keys are renewed, as 90m [2h]").flag("rekey-time"),
        Field::new(
            "start_action",
            Shape::Choice(&[("none", "none"), ("start", "start"), ("trap", "trap")]),
            "When it is made: never, at once, at the first packet [start]",
        ),
        Field::new(
            "dpd_action",
            Shape::Choice(&[("clear", "clear"), ("trap", "trap"), ("restart", "restart")]),
            "What is done when the other end is dead [restart]",
        )
        .wire("dpd_timeout_action"),
        Field::new("dpd_timeout", Shape::Text, "Silence after which it counts as dead [240s]"),
        Field::new(
            "firewall.ingress",
            Shape::Notes(Notation::Ingress),
            "What may come in through it, as tcp/22@172.16.0.5 [everything]",
        )
        .flag("ingress"),
    ],
    columns: &[
        NAME,
        Column::field("LOCAL", "ip"),
        Column::field("REMOTE", "remote_ip"),
        Column::field("REMOTE-SUBNET", "remote_subnet"),
        AGE,
        ID,
        Column::field("START", "start_action").wide(),
        Column::field("INGRESS", "firewall.ingress").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};
