//! The packet filter of a gateway, as one nftables transaction. Pure.
//!
//! What is connected stays connected: the first rule of each chain lets it through, and the kernel remembers
//! translations apart from the rules. Interfaces are `private`, `public`, and `peer0` onwards.

use std::fmt::Write as _;

use freehold_types::service::{Forward, Gateway, Opening, Peering, PeeringRule, Ports};
use freehold_types::wire::{FirewallPolicy, Protocol};
use ipnet::Ipv4Net;

/// Renders the rules. The table is replaced whole, in one step.
pub(super) fn render(gateway: &Gateway, private: Ipv4Net) -> String {
    let mut text = String::new();
    text.push_str("add table inet freehold\ndelete table inet freehold\ntable inet freehold {\n");
    chain(
        &mut text,
        "input",
        "type filter hook input priority filter; policy drop;",
        &input(gateway, private),
    );
    if gateway.peers.is_empty() {
        // Nobody listens, and tenants need not hear it.
        let rules = ["oifname \"private\" ip daddr 224.0.0.18 drop".to_owned()];
        chain(&mut text, "output", "type filter hook output priority filter; policy accept;", &rules);
    }
    let forward = "type filter hook forward priority filter; policy drop;";
    chain(&mut text, "forward", forward, &forward_rules(gateway, private));
    chain(&mut text, "forwarded", "", &forwarded(gateway));
    chain(&mut text, "outgoing", "", &outgoing(gateway));
    for (position, peering) in gateway.peerings.iter().enumerate() {
        chain(&mut text, &format!("peer{position}_egress"), "", &peered(peering.policy, &peering.egress));
        chain(&mut text, &format!("peer{position}_ingress"), "", &peered(peering.policy, &peering.ingress));
    }
    let prerouting = "type nat hook prerouting priority dstnat; policy accept;";
    chain(&mut text, "prerouting", prerouting, &prerouting_rules(gateway));
    let postrouting = "type nat hook postrouting priority srcnat; policy accept;";
    chain(&mut text, "postrouting", postrouting, &postrouting_rules(gateway, private));
    text.push_str("}\n");
    text
}

fn chain(text: &mut String, name: &str, head: &str, rules: &[String]) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "  chain {name} {{");
    for line in [head].into_iter().filter(|head| !head.is_empty()).chain(rules.iter().map(String::as_str)) {
        let _ = writeln!(text, "    {line}");
    }
    text.push_str("  }\n");
}

/// What the gateway itself takes.
fn input(gateway: &Gateway, private: Ipv4Net) -> Vec<String> {
    let mut rules: Vec<String> = [
        "ct state established,related accept",
        "ct state invalid drop",
        "iifname \"lo\" accept",
        "iifname \"private\" udp dport 67 limit rate 100/second burst 200 packets accept",
    ]
    .map(str::to_owned)
    .to_vec();
    if !gateway.peers.is_empty() {
        rules.push(format!("iifname \"private\" ip saddr {} ip protocol vrrp accept", set(&gateway.peers)));
    }
    for what in ["udp dport 53", "tcp dport 53", "icmp type echo-request"] {
        rules.push(format!("iifname \"private\" ip saddr {private} {what} accept"));
    }
    if gateway.public.is_some() {
        rules.push(
            "iifname \"public\" icmp type echo-request limit rate 50/second burst 100 packets accept"
                .to_owned(),
        );
        for tunnel in &gateway.tunnels {
            let from = format!("iifname \"public\" ip saddr {}", tunnel.remote);
            rules.push(format!("{from} udp dport {{ 500, 4500 }} accept"));
            rules.push(format!("{from} ip protocol esp accept"));
        }
        for opening in &gateway.firewall.ingress {
            rules.push(format!("iifname \"public\" {} accept", matches("saddr", opening)));
        }
    }
    rules
}

fn forward_rules(gateway: &Gateway, private: Ipv4Net) -> Vec<String> {
    let mut rules = vec!["tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu".to_owned()];
    for tunnel in &gateway.tunnels {
        let pair = format!("ip saddr {} ip daddr {}", tunnel.local_subnet, tunnel.remote_subnet);
        // Never in the clear, also while the tunnel is down.
        rules.push(format!("oifname \"public\" {pair} drop"));
        // To the instance that holds the tunnel. Answers come by another way, so that the state of such
        // connections is unknown here.
        rules.push(format!("iifname \"private\" oifname \"private\" {pair} accept"));
    }
    rules.extend([
        "ct state established,related accept".to_owned(),
        "ct state invalid drop".to_owned(),
        // Link-local addresses are nobody's beyond the link: not those of another cloud's metadata either.
        "ip daddr 169.254.0.0/16 drop".to_owned(),
        // Whoever lies about where it comes from goes nowhere.
        format!("iifname \"private\" ip saddr != {private} drop"),
        "iifname \"private\" oifname \"private\" ct status dnat accept".to_owned(),
    ]);
    for tunnel in &gateway.tunnels {
        let (local, remote) = (tunnel.local_subnet, tunnel.remote_subnet);
        rules.push(format!(
            "iifname \"private\" oifname \"ipsec*\" ip saddr {local} ip daddr {remote} accept"
        ));
        let from = format!("iifname \"ipsec*\" oifname \"private\" ip saddr {remote} ip daddr {local}");
        if tunnel.ingress.is_empty() {
            rules.push(format!("{from} accept"));
        } else {
            rules.push(format!("{from} icmp type echo-request accept"));
        }
        for opening in &tunnel.ingress {
            rules.push(format!("{from} {} accept", matches("saddr", opening)));
        }
    }
    if gateway.public.is_some() {
        rules.push("iifname \"public\" oifname \"private\" ct status dnat jump forwarded".to_owned());
        rules.push("iifname \"private\" oifname \"public\" jump outgoing".to_owned());
    }
    for (position, Peering { subnet, .. }) in gateway.peerings.iter().enumerate() {
        let peer = format!("\"peer{position}\"");
        rules
            .push(format!("iifname \"private\" oifname {peer} ip daddr {subnet} jump peer{position}_egress"));
        rules.push(format!(
            "iifname {peer} oifname \"private\" ip saddr {subnet} ip daddr {private} jump peer{position}_ingress"
        ));
    }
    rules
}

/// Traffic that was translated to a machine: open to everybody, but for ports that an ingress opening names.
fn forwarded(gateway: &Gateway) -> Vec<String> {
    gateway.forwards.iter().flat_map(|forward| forwarded_to(forward, &gateway.firewall.ingress)).collect()
}

fn forwarded_to(forward: &Forward, ingress: &[Opening]) -> Vec<String> {
    let (to, protocol) = (forward.to, protocol(forward.protocol));
    let mut rules = Vec::new();
    for (first, last) in forward.ports.ranges() {
        let narrowing: Vec<(&Opening, Vec<String>)> = ingress
            .iter()
            .filter(|opening| opening.protocol == forward.protocol)
            .map(|opening| (opening, common(&opening.ports, first, last)))
            .filter(|(_, ports)| !ports.is_empty())
            .collect();
        if narrowing.is_empty() {
            rules.push(format!("ip daddr {to} {protocol} dport {} accept", range(first, last)));
        }
        for (opening, ports) in narrowing {
            let ports = ports.join(", ");
            rules.push(format!(
                "ip saddr {} ip daddr {to} {protocol} dport {{ {ports} }} accept",
                opening.remote
            ));
        }
    }
    rules
}

/// The ports of a list within a range.
fn common(ports: &Ports, first: u16, last: u16) -> Vec<String> {
    ports
        .ranges()
        .map(|(from, to)| (from.max(first), to.min(last)))
        .filter(|(from, to)| from <= to)
        .map(|(from, to)| range(from, to))
        .collect()
}

fn outgoing(gateway: &Gateway) -> Vec<String> {
    let firewall = &gateway.firewall;
    let (exception, rest) = verdicts(firewall.egress_policy);
    let exceptions =
        firewall.egress.iter().map(|opening| format!("{} {exception}", matches("daddr", opening)));
    exceptions.chain([rest.to_owned()]).collect()
}

/// What becomes of traffic of a peering in one direction.
fn peered(policy: FirewallPolicy, rules: &[PeeringRule]) -> Vec<String> {
    let (exception, rest) = verdicts(policy);
    let exceptions = rules
        .iter()
        .map(|rule| format!("{} dport {} {exception}", protocol(rule.protocol), port_set(&rule.ports)));
    // Where something may pass, people want to see that the other end is there.
    let echo = (policy == FirewallPolicy::Drop && !rules.is_empty())
        .then(|| "icmp type echo-request accept".to_owned());
    exceptions.chain(echo).chain([rest.to_owned()]).collect()
}

/// The verdict on what a rule names, and on the rest.
const fn verdicts(policy: FirewallPolicy) -> (&'static str, &'static str) {
    match policy {
        FirewallPolicy::Accept => ("drop", "accept"),
        FirewallPolicy::Drop => ("accept", "drop"),
    }
}

fn prerouting_rules(gateway: &Gateway) -> Vec<String> {
    let public: Vec<_> =
        gateway.pairs.iter().filter_map(|pair| pair.public).map(|public| public.address.addr()).collect();
    if public.is_empty() {
        return Vec::new();
    }
    let to_us = format!("iifname {{ \"public\", \"private\" }} ip daddr {}", set(&public));
    let rule = |Forward { to, protocol: transport, ports }: &Forward| {
        format!("{to_us} {} dport {} dnat ip to {to}", protocol(*transport), port_set(ports))
    };
    gateway.forwards.iter().map(rule).collect()
}

fn postrouting_rules(gateway: &Gateway, private: Ipv4Net) -> Vec<String> {
    let mut rules = Vec::new();
    for tunnel in &gateway.tunnels {
        rules.push(format!("ip saddr {} ip daddr {} accept", tunnel.local_subnet, tunnel.remote_subnet));
    }
    if gateway.public.is_some() {
        rules.push(format!("oifname \"public\" ip saddr {private} masquerade"));
    }
    // Answers to a machine that asked by a public address must come back this way.
    rules.push(format!("oifname \"private\" ip saddr {private} ct status dnat masquerade"));
    for position in 0..gateway.peerings.len() {
        rules.push(format!("oifname \"peer{position}\" ip saddr {private} masquerade"));
    }
    rules
}

/// An opening as a match; `side` says which end is the remote one.
fn matches(side: &str, opening: &Opening) -> String {
    let ports = port_set(&opening.ports);
    let remote = match opening.remote.prefix_len() {
        0 => String::new(),
        _ => format!("ip {side} {} ", opening.remote),
    };
    format!("{remote}{} dport {ports}", protocol(opening.protocol))
}

const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn port_set(ports: &Ports) -> String {
    let ranges: Vec<String> = ports.ranges().map(|(first, last)| range(first, last)).collect();
    format!("{{ {} }}", ranges.join(", "))
}

fn range(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn set<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("{{ {} }}", items.join(", "))
}
