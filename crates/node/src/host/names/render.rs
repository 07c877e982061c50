//! The configurations of both servers. Pure.

use std::path::Path;

use freehold_types::Secret;

use super::config::EdgeConfig;

const HEAD: &str = "# Written by freehold; changes are lost.";

/// Configuration of the authoritative server, which only the resolver of this host asks.
pub(super) fn authoritative(edge: &EdgeConfig, directory: &Path, key: &Secret<String>) -> Secret<String> {
    let directory = directory.display();
    let (server, api) = (edge.authoritative(), edge.authoritative_api());
    // Its caches are off: the resolver in front remembers, and is told what to forget.
    Secret::new(format!(
        "{HEAD}\n\
         launch=gsqlite3\n\
         gsqlite3-database={directory}/zones.sqlite3\n\
         gsqlite3-pragma-foreign-keys=yes\n\
         local-address={address}\n\
         local-port={port}\n\
         socket-dir={directory}\n\
         setuid={user}\n\
         setgid={user}\n\
         daemon=no\n\
         guardian=no\n\
         write-pid=no\n\
         disable-axfr=yes\n\
         disable-syslog=yes\n\
         log-timestamp=no\n\
         security-poll-suffix=\n\
         version-string=anonymous\n\
         cache-ttl=0\n\
         query-cache-ttl=0\n\
         negquery-cache-ttl=0\n\
         zone-cache-refresh-interval=0\n\
         api=yes\n\
         api-key={key}\n\
         webserver=yes\n\
         webserver-address={api_address}\n\
         webserver-port={api_port}\n\
         webserver-allow-from={api_address}\n\
         webserver-loglevel=none\n",
        address = server.ip(),
        port = server.port(),
        user = edge.user,
        key = key.expose(),
        api_address = api.ip(),
        api_port = api.port(),
    ))
}

/// Configuration of the resolver, which machines ask. Which zones it passes on to the authoritative
/// server is in `zones/`, kept by its own API.
pub(super) fn resolver(edge: &EdgeConfig, directory: &Path, key: &Secret<String>) -> Secret<String> {
    let list = |texts: Vec<String>, between: &str| texts.join(between);
    let listen = list(edge.endpoints().map(|endpoint| endpoint.to_string()).collect(), ",");
    let allowed = list(edge.allow_from.iter().map(ToString::to_string).collect(), ",");
    let upstreams = list(edge.forwarders.iter().map(|upstream| upstream.0.to_string()).collect(), ";");
    let others = if upstreams.is_empty() { upstreams } else { format!(".={upstreams}") };
    let (api, directory) = (edge.resolver_api(), directory.display());
    let source =
        if edge.forwarders.iter().any(|upstream| upstream.0.is_ipv6()) { "0.0.0.0, ::" } else { "0.0.0.0" };
    // The API adds to `forward-zones` and `auth-zones`, which must be there for it. Without forwarders no
    // root is asked, either. The authoritative server is on loopback, which `dont-query` would rule out.
    Secret::new(format!(
        "{HEAD}\n\
         local-address={listen}\n\
         allow-from={allowed}\n\
         forward-zones=\n\
         forward-zones-recurse={others}\n\
         auth-zones=\n\
         api-config-dir={directory}/zones\n\
         include-dir={directory}/zones\n\
         query-local-address={source}\n\
         udp-source-port-min=32768\n\
         dont-query=\n\
         hint-file=no\n\
         dnssec=off\n\
         aggressive-nsec-cache-size=0\n\
         etc-hosts-file=\n\
         export-etc-hosts=no\n\
         socket-dir={directory}\n\
         setuid={user}\n\
         setgid={user}\n\
         daemon=no\n\
         write-pid=no\n\
         threads=2\n\
         disable-syslog=yes\n\
         log-timestamp=no\n\
         loglevel=4\n\
         security-poll-suffix=\n\
         version-string=anonymous\n\
         api-key={key}\n\
         webserver=yes\n\
         webserver-address={api_address}\n\
         webserver-port={api_port}\n\
         webserver-allow-from={api_address}\n\
         webserver-loglevel=none\n",
        user = edge.user,
        key = key.expose(),
        api_address = api.ip(),
        api_port = api.port(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Secret<String> {
        Secret::new("swordfish".to_owned())
    }

    #[test]
    fn the_authoritative_server_is_reached_from_this_host_alone() {
        let text = authoritative(&EdgeConfig::default(), Path::new("/state/authoritative"), &key());
        insta::assert_snapshot!(text.expose());
    }

    #[test]
    fn a_resolver_without_forwarders_asks_nobody_else() {
        let text = resolver(&EdgeConfig::default(), Path::new("/state/resolver"), &key());
        insta::assert_snapshot!(text.expose());
    }

    #[test]
    fn a_resolver_with_forwarders_passes_all_else_on() {
        let edge = EdgeConfig {
            listen: vec!["192.0.2.9".parse().unwrap(), "2001:db8::9".parse().unwrap()],
            port: 5353,
            allow_from: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            forwarders: vec!["192.0.2.1".parse().unwrap(), "[2001:db8::1]:5300".parse().unwrap()],
            ..EdgeConfig::default()
        };
        insta::assert_snapshot!(resolver(&edge, Path::new("/state/resolver"), &key()).expose());
    }
}
