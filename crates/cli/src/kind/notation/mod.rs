//! Short texts for structured values: rules, forwards, peerings, endpoints.
//!
//! A value is read from its short text or from its structure as a document may hold it, and becomes the
//! complete structure of the wire, defaults filled in, so that equal wishes are equal values. What is shown
//! is its short text, which is read back. Names that it refers to stay names or ids. Pure.

mod endpoint;
mod peering;
mod rule;

use serde_json::{Map, Value};

use super::shape::{scalar, text_of};

/// How one structured value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// An opening for traffic from elsewhere: `tcp/80,443@198.51.100.0/24`.
    Ingress,
    /// An exception for traffic to elsewhere: `udp/53@9.9.9.9`.
    Egress,
    /// Ports that lead to a machine: `tcp/80,443=10.0.0.7`.
    Forward,
    /// A subnet that is joined: `lan-b=drop in tcp/22 out udp/53`.
    Peering,
    /// A port that is balanced: `web:tcp/80=10.0.0.7,10.0.0.8:8080`.
    Endpoint,
    /// The addresses within a zone, which the controller says: `paris-1: 192.0.2.10, 10.0.0.2`.
    Addresses,
}

/// Tells the name of an id of a kind.
type Name<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

impl Notation {
    /// What stands for the value in help texts.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Ingress | Self::Egress => "RULE",
            Self::Forward => "FORWARD",
            Self::Peering => "PEERING",
            Self::Endpoint => "ENDPOINT",
            Self::Addresses => "ADDRESSES",
        }
    }

    /// How it is written, part by part, below its placeholder.
    pub const fn grammar(self) -> &'static str {
        match self {
            Self::Ingress | Self::Egress => {
                "PROTOCOL/PORTS[@NETWORK], the protocol tcp or udp, the ports numbers and\n\
                 ranges: `tcp/80,8000-8099@198.51.100.0/24`, `udp/53`"
            }
            Self::Forward => "PROTOCOL/PORTS=ADDRESS of a machine: `tcp/80,443=10.0.0.7`",
            Self::Peering => {
                "SUBNET[=POLICY [in RULE...] [out RULE...]], the policy accept or drop [drop],\n\
                 the rules exceptions, as tcp/22: `lan-b=drop in tcp/22 out udp/53`"
            }
            Self::Endpoint => {
                "NAME:PROTOCOL/PORT=ADDRESSES[:PORT], the second port that of the machines\n\
                 [the same]: `web:tcp/80=10.0.0.7,10.0.0.8:8080`"
            }
            Self::Addresses => "ZONE: ADDRESSES",
        }
    }

    /// The kind that it refers to.
    pub const fn target(self) -> Option<&'static str> {
        match self {
            Self::Peering => Some("subnet"),
            Self::Ingress | Self::Egress | Self::Forward | Self::Endpoint | Self::Addresses => None,
        }
    }

    /// Reads a short text.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn read_text(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Ingress => rule::read(text, "source"),
            Self::Egress => rule::read(text, "destination"),
            Self::Forward => rule::read_forward(text),
            Self::Peering => peering::read(text),
            Self::Endpoint => endpoint::read(text),
            Self::Addresses => Ok(Value::from(text)),
        }
    }

    /// Reads a structure, which may hold short texts in turn.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn read_structure(self, structure: &Map<String, Value>) -> Result<Value, String> {
        match self {
            Self::Ingress => rule::read_structure(structure, Some("source")),
            Self::Egress => rule::read_structure(structure, Some("destination")),
            Self::Forward => rule::read_forward_structure(structure),
            Self::Peering => peering::read_structure(structure),
            Self::Endpoint => endpoint::read_structure(structure),
            Self::Addresses => Ok(Value::Object(structure.clone())),
        }
    }

    /// The short text of a structure.
    pub fn show(self, structure: &Map<String, Value>, name: Name<'_>) -> String {
        match self {
            Self::Ingress => rule::show(structure, Some("source")),
            Self::Egress => rule::show(structure, Some("destination")),
            Self::Forward => rule::show_forward(structure),
            Self::Peering => peering::show(structure, name),
            Self::Endpoint => endpoint::show(structure),
            Self::Addresses => addresses(structure),
        }
    }

    /// What stands for a structure in a table, where there is no room for all of it.
    pub fn brief(self, structure: &Map<String, Value>, name: Name<'_>) -> String {
        match self {
            Self::Endpoint => endpoint::brief(structure),
            Self::Ingress | Self::Egress | Self::Forward | Self::Peering | Self::Addresses => {
                self.show(structure, name)
            }
        }
    }

    /// The value for documents, read back by [`Notation::read_text`] or [`Notation::read_structure`].
    pub fn document(self, structure: &Map<String, Value>) -> Value {
        match self {
            Self::Ingress | Self::Egress | Self::Forward | Self::Endpoint => {
                self.show(structure, &|_, _| None).into()
            }
            Self::Peering => peering::document(structure),
            Self::Addresses => Value::Object(structure.clone()),
        }
    }
}

/// The addresses within a zone.
fn addresses(structure: &Map<String, Value>) -> String {
    let known = ["public", "private"].map(|part| text_of(structure.get(part)));
    let known: Vec<_> = known.into_iter().filter(|address| !address.is_empty()).collect();
    format!("{}: {}", text_of(structure.get("zone")), known.join(", "))
}

/// The scalar of a structure with a name; `None` when it is absent.
fn part(structure: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match structure.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => scalar(value).map(Some).map_err(|fault| format!("`{name}`: {fault}")),
    }
}

/// The scalar of a structure with a name, which must be there.
fn needed(structure: &Map<String, Value>, name: &str) -> Result<String, String> {
    part(structure, name)?.ok_or_else(|| format!("`{name}` is missing"))
}

/// Refuses words that a structure does not have.
fn refuse_unknown(structure: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match structure.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("`{key}` is none of `{}`", known.join("`, `"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ALL: [Notation; 5] =
        [Notation::Ingress, Notation::Egress, Notation::Forward, Notation::Peering, Notation::Endpoint];

    fn read(notation: Notation, value: &Value) -> Result<Value, String> {
        match value.as_object() {
            Some(structure) => notation.read_structure(structure),
            None => notation.read_text(value.as_str().unwrap()),
        }
    }

    #[test]
    fn short_texts_become_structures() {
        for (notation, text, value) in [
            (Notation::Ingress, "tcp/22", json!({ "source": "0.0.0.0/0", "protocol": "tcp", "ports": "22" })),
            (
                Notation::Ingress,
                "TCP/80,443,8000-8099@198.51.100.0/24",
                json!({ "source": "198.51.100.0/24", "protocol": "tcp", "ports": "80,443,8000-8099" }),
            ),
            (
                Notation::Egress,
                "udp/53@9.9.9.9",
                json!({ "destination": "9.9.9.9", "protocol": "udp", "ports": "53" }),
            ),
            (
                Notation::Forward,
                "tcp/80,443=10.0.0.7",
                json!({ "destination": "10.0.0.7", "protocol": "tcp", "ports": "80,443" }),
            ),
            (
                Notation::Peering,
                "lan-b",
                json!({ "subnet": "lan-b", "policy": "drop", "ingress": [], "egress": [] }),
            ),
            (
                Notation::Peering,
                "the old lan=drop in tcp/22 tcp/80,443 out udp/53",
                json!({
                    "subnet": "the old lan", "policy": "drop",
                    "ingress": [{ "protocol": "tcp", "ports": "22" }, { "protocol": "tcp", "ports": "80,443" }],
                    "egress": [{ "protocol": "udp", "ports": "53" }],
                }),
            ),
            (
                Notation::Endpoint,
                "web:tcp/80=10.0.0.7,10.0.0.8:8080",
                json!({
                    "name": "web", "protocol": "tcp", "port": 80,
                    "backends": { "hosts": ["10.0.0.7", "10.0.0.8"], "port": 8080 },
                }),
            ),
        ] {
            assert_eq!(notation.read_text(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn structures_are_read_with_their_defaults() {
        for (notation, structure, text) in [
            (Notation::Ingress, json!({ "ports": 22 }), "tcp/22"),
            (
                Notation::Egress,
                json!({ "protocol": "udp", "ports": "53", "destination": "9.9.9.9" }),
                "udp/53@9.9.9.9",
            ),
            (
                Notation::Forward,
                json!({ "ports": "80,443", "destination": "10.0.0.7" }),
                "tcp/80,443=10.0.0.7",
            ),
            (
                Notation::Peering,
                json!({ "subnet": "b", "ingress": ["tcp/22"], "egress": [{ "ports": 53, "protocol": "udp" }], "netip": [] }),
                "b=drop in tcp/22 out udp/53",
            ),
            (
                Notation::Endpoint,
                json!({ "name": "web", "port": "80", "backends": { "hosts": "10.0.0.7" } }),
                "web:tcp/80=10.0.0.7",
            ),
        ] {
            assert_eq!(read(notation, &structure), notation.read_text(text), "{text}");
        }
    }

    #[test]
    fn the_examples_of_the_help_are_right() {
        for notation in ALL {
            let examples = notation.grammar().split('`').skip(1).step_by(2);
            for example in examples {
                let value = notation.read_text(example).unwrap();
                assert_eq!(notation.show(value.as_object().unwrap(), &|_, _| None), example);
            }
        }
    }

    #[test]
    fn faults_say_how_it_is_written() {
        let mut all = Vec::new();
        for (notation, value) in [
            (Notation::Ingress, json!("80")),
            (Notation::Ingress, json!("icmp/8")),
            (Notation::Ingress, json!("tcp/http")),
            (Notation::Ingress, json!("tcp/443-80")),
            (Notation::Ingress, json!("tcp/80@office")),
            (Notation::Ingress, json!("tcp/80@10.0.0.0/33")),
            (Notation::Ingress, json!({ "protocol": "tcp" })),
            (Notation::Egress, json!({ "ports": "53", "source": "9.9.9.9" })),
            (Notation::Forward, json!("tcp/80")),
            (Notation::Forward, json!("tcp/80=web")),
            (Notation::Peering, json!("=accept")),
            (Notation::Peering, json!("lan-b=allow")),
            (Notation::Peering, json!("lan-b=drop tcp/22")),
            (Notation::Peering, json!("lan-b=drop in")),
            (Notation::Peering, json!({ "subnet": "lan-b", "ingress": ["22"] })),
            (Notation::Endpoint, json!("web=tcp/80:10.0.0.7")),
            (Notation::Endpoint, json!("web:tcp/80,443=10.0.0.7")),
            (Notation::Endpoint, json!("web:tcp/80=10.0.0.7,web-2")),
            (Notation::Endpoint, json!("web:tcp/80=10.0.0.7:0")),
            (Notation::Endpoint, json!({ "name": "web", "port": 80 })),
        ] {
            all.push(format!("{value}: {}\n", read(notation, &value).unwrap_err()));
        }
        insta::assert_snapshot!(all.concat());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(
            source in "(0\\.0\\.0\\.0/0|10\\.[1-9]\\.0\\.0/16|192\\.0\\.2\\.7)",
            protocol in "(tcp|udp)",
            (first, span, single) in (1_u16..60_000, 0_u16..5_000, 1_u16..=65_535),
            subnet in "[a-z][a-z0-9=: -]{0,8}[a-z0-9]",
            policy in "(accept|drop)",
            (ins, outs) in (0_usize..3, 0_usize..3),
            hosts in proptest::collection::vec("10\\.0\\.0\\.[1-9]", 1..4),
        ) {
            let ports = format!("{first}-{},{single}", first + span);
            let rule = json!({ "protocol": protocol, "ports": ports });
            for (notation, value) in [
                (Notation::Ingress, json!({ "source": source, "protocol": protocol, "ports": ports })),
                (Notation::Egress, json!({ "destination": source, "protocol": protocol, "ports": ports })),
                (Notation::Forward, json!({ "destination": hosts[0], "protocol": protocol, "ports": ports })),
                (Notation::Peering, json!({
                    "subnet": subnet, "policy": policy,
                    "ingress": vec![rule.clone(); ins], "egress": vec![rule.clone(); outs],
                })),
                (Notation::Endpoint, json!({
                    "name": "web", "protocol": protocol, "port": single,
                    "backends": { "hosts": hosts, "port": first },
                })),
            ] {
                let structure = value.as_object().unwrap();
                prop_assert_eq!(notation.read_text(&notation.show(structure, &|_, _| None)), Ok(value.clone()));
                prop_assert_eq!(notation.read_structure(structure), Ok(value.clone()));
                prop_assert_eq!(read(notation, &notation.document(structure)), Ok(value.clone()));
            }
        }
    }
}
