//! How an edge is set up: the `edge` section of the node's file.
//!
//! Every field has a default that suits a host that does nothing else. The ports of the inner servers
//! are far from those of PowerDNS's own services, so that those do not collide with ours.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Port of DNS.
const DNS: u16 = 53;

/// Networks that may ask: those that are nobody's in the world, and the host itself.
const PRIVATE: [&str; 7] =
    ["127.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"];

/// The `edge` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeConfig {
    /// Addresses of this host at which names are asked for.
    pub listen: Vec<IpAddr>,

    /// Port at which names are asked for.
    pub port: u16,

    /// Networks that may ask. Others get no answer.
    pub allow_from: Vec<IpNet>,

    /// Resolvers that are asked for all other names, as an address or as address and port. Without any,
    /// only the names of the cloud are known.
    pub forwarders: Vec<Upstream>,

    /// Port of the authoritative server, on loopback.
    pub authoritative_port: u16,

    /// Port of the authoritative server's API, on loopback.
    pub authoritative_api_port: u16,

    /// Port of the resolver's API, on loopback.
    pub resolver_api_port: u16,

    /// User that both servers run as.
    pub user: String,
}

/// A resolver elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream(pub SocketAddr);

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            listen: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            port: DNS,
            allow_from: PRIVATE.iter().filter_map(|network| network.parse().ok()).collect(),
            forwarders: Vec::new(),
            authoritative_port: 10_053,
            authoritative_api_port: 10_081,
            resolver_api_port: 10_082,
            user: "pdns".to_owned(),
        }
    }
}

impl EdgeConfig {
    /// Checks what needs no look at the host.
    ///
    /// # Errors
    /// What cannot be used, in words.
    pub fn validate(&self) -> Result<(), String> {
        if self.listen.is_empty() {
            return Err("`listen` names no address; leave it out to listen at all of IPv4".to_owned());
        }
        if self.allow_from.is_empty() {
            return Err(
                "`allow_from` names no network, so nobody may ask; leave it out for private ones".to_owned()
            );
        }
        let unfit = |byte: u8| !(byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if self.user.is_empty() || self.user.bytes().any(unfit) {
            return Err(format!("`user` is `{}`, which is no user's name; Debian's is `pdns`", self.user));
        }
        let mut taken = BTreeMap::new();
        for (field, port) in [
            ("port", self.port),
            ("authoritative_port", self.authoritative_port),
            ("authoritative_api_port", self.authoritative_api_port),
            ("resolver_api_port", self.resolver_api_port),
        ] {
            if port == 0 {
                return Err(format!("`{field}` must be between 1 and 65535, not 0"));
            }
            if let Some(other) = taken.insert(port, field) {
                return Err(format!("`{other}` and `{field}` are both {port}; give each a port of its own"));
            }
        }
        let own = |upstream: &&Upstream| {
            let (address, port) = (upstream.0.ip(), upstream.0.port());
            port == self.port
                && (self.listen.contains(&address)
                    || address.is_loopback() && self.listen.iter().any(IpAddr::is_unspecified))
        };
        match self.forwarders.iter().find(own) {
            Some(upstream) => Err(format!(
                "`forwarders` names {}, where this edge itself answers; name a resolver elsewhere",
                upstream.0
            )),
            None => Ok(()),
        }
    }

    /// Where names are asked for.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = SocketAddr> {
        self.listen.iter().map(|address| SocketAddr::new(*address, self.port))
    }

    pub(super) fn authoritative(&self) -> SocketAddr {
        loopback(self.authoritative_port)
    }

    pub(super) fn authoritative_api(&self) -> SocketAddr {
        loopback(self.authoritative_api_port)
    }

    pub(super) fn resolver_api(&self) -> SocketAddr {
        loopback(self.resolver_api_port)
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS));
        let address = address.or_else(|_| text.parse::<SocketAddr>());
        address.map(Self).map_err(|_| {
            format!(
                "`{text}` is no resolver's address; write it as 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53"
            )
        })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port() == DNS { self.0.ip().fmt(f) } else { self.0.fmt(f) }
    }
}

impl Serialize for Upstream {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Upstream {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_is_the_default() {
        let config: EdgeConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config, EdgeConfig::default());
        assert_eq!(config.allow_from.len(), PRIVATE.len());
        config.validate().unwrap();
        let again: EdgeConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn resolvers_are_addresses_with_or_without_a_port() {
        let shown = |text: &str| {
            text.parse::<Upstream>().map(|upstream| (upstream.0.to_string(), upstream.to_string()))
        };
        assert_eq!(shown("192.0.2.1").unwrap(), ("192.0.2.1:53".to_owned(), "192.0.2.1".to_owned()));
        assert_eq!(shown("2001:db8::1").unwrap(), ("[2001:db8::1]:53".to_owned(), "2001:db8::1".to_owned()));
        assert_eq!(shown("[2001:db8::1]:54").unwrap().1, "[2001:db8::1]:54");
        for wrong in ["", "resolver.example", "192.0.2.1:", "192.0.2.1:99999", "192.0.2.1;x"] {
            assert!(shown(wrong).unwrap_err().contains("192.0.2.1:5353"), "{wrong}");
        }
    }

    #[test]
    fn faults_name_the_field_and_the_remedy() {
        let good = EdgeConfig::default();
        for (config, word) in [
            (EdgeConfig { listen: Vec::new(), ..good.clone() }, "`listen`"),
            (EdgeConfig { allow_from: Vec::new(), ..good.clone() }, "`allow_from`"),
            (
                EdgeConfig { port: 10_081, ..good.clone() },
                "`port` and `authoritative_api_port` are both 10081",
            ),
            (EdgeConfig { resolver_api_port: 0, ..good.clone() }, "`resolver_api_port`"),
            (EdgeConfig { user: "a\nb".to_owned(), ..good.clone() }, "`user`"),
            (EdgeConfig { forwarders: vec!["127.0.0.1".parse().unwrap()], ..good.clone() }, "`forwarders`"),
        ] {
            assert!(config.validate().unwrap_err().contains(word), "{word}");
        }
    }
}
