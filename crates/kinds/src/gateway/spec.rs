//! Rules of a gateway: reading and showing them. Pure.

use std::net::Ipv4Addr;

use freehold_types::service::{Firewall, Forward, Opening, PeeringRule, Ports};
use freehold_types::wire::Protocol;
use freehold_types::{ApiError, wire};
use ipnet::Ipv4Net;

/// Most rules of one list, and most ports and ranges of ports of all its rules: a host multiplies them.
const RULE_LIMIT: usize = 256;
const RANGE_LIMIT: usize = 256;

/// Reads a firewall.
///
/// # Errors
/// 400 for what does not list ports (the contract's malformed parameter), 422 for other faults.
pub(super) fn firewall(wire: &wire::GatewayFirewall) -> Result<Firewall, ApiError> {
    let egress = wire.egress.iter().map(|rule| (&*rule.destination, rule.protocol, &*rule.ports));
    Ok(Firewall {
        ingress: ingress("firewall.ingress", &wire.ingress)?,
        egress_policy: wire.egress_policy,
        egress: openings("firewall.egress", "destination", egress.collect())?,
    })
}

/// Reads openings: where from or where to, protocol and ports.
///
/// # Errors
/// As [`firewall`].
fn openings(list: &str, field: &str, rules: Vec<(&str, Protocol, &str)>) -> Result<Vec<Opening>, ApiError> {
    check_count(list, rules.len())?;
    let read = |(position, (remote, protocol, text)): (usize, (&str, Protocol, &str))| {
        Ok(Opening {
            remote: network(&format!("{list}[{position}].{field}"), remote)?,
            protocol,
            ports: ports(&format!("{list}[{position}].ports"), text)?,
        })
    };
    let openings: Vec<Opening> = rules.into_iter().enumerate().map(read).collect::<Result<_, ApiError>>()?;
    check_ranges(list, openings.iter().map(|opening| &opening.ports))?;
    Ok(openings)
}

fn check_ranges<'a>(list: &str, ports: impl Iterator<Item = &'a Ports>) -> Result<(), ApiError> {
    let count: usize = ports.map(|ports| ports.ranges().count()).sum();
    if count <= RANGE_LIMIT {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "`{list}` names {count} ports and ranges, and may name {RANGE_LIMIT}; join ranges"
    )))
}

/// Reads what may come in from elsewhere.
///
/// # Errors
/// As [`firewall`].
pub(crate) fn ingress(list: &str, rules: &[wire::GatewayIngress]) -> Result<Vec<Opening>, ApiError> {
    let rules = rules.iter().map(|rule| (&*rule.source, rule.protocol, &*rule.ports));
    openings(list, "source", rules.collect())
}

/// Reads what is forwarded: to addresses of the private subnet, each port once.
///
/// # Errors
/// As [`firewall`].
pub(super) fn forwards(wire: &[wire::GatewayForward], private: Ipv4Net) -> Result<Vec<Forward>, ApiError> {
    check_count("dnat", wire.len())?;
    let mut forwards: Vec<Forward> = Vec::with_capacity(wire.len());
    for (position, rule) in wire.iter().enumerate() {
        let field = format!("dnat[{position}]");
        let to: Ipv4Addr = rule.destination.parse().map_err(|_| {
            ApiError::invalid(format!(
                "`{field}.destination`: `{}` is not an IPv4 address such as 10.0.0.7",
                rule.destination
            ))
        })?;
        if !private.contains(&to) {
            return Err(ApiError::invalid(format!(
                "`{field}.destination`: {to} is not in {private}, the private subnet of the project"
            )));
        }
        let forward =
            Forward { to, protocol: rule.protocol, ports: ports(&format!("{field}.ports"), &rule.ports)? };
        let taken = forwards
            .iter()
            .find(|other| other.protocol == forward.protocol && other.ports.overlaps(&forward.ports));
        if let Some(other) = taken {
            return Err(ApiError::invalid(format!(
                "`{field}.ports`: some of {} lead to {} already; a port leads to one machine",
                forward.ports, other.to
            )));
        }
        forwards.push(forward);
        check_ranges("dnat", forwards.iter().map(|forward| &forward.ports))?;
    }
    Ok(forwards)
}

/// Reads the rules of a peering.
///
/// # Errors
/// As [`firewall`].
pub(super) fn peering_rules(list: &str, wire: &[wire::PeeringRule]) -> Result<Vec<PeeringRule>, ApiError> {
    check_count(list, wire.len())?;
    let rules: Vec<PeeringRule> = wire
        .iter()
        .enumerate()
        .map(|(position, rule)| {
            let ports = ports(&format!("{list}[{position}].ports"), &rule.ports)?;
            Ok(PeeringRule { protocol: rule.protocol, ports })
        })
        .collect::<Result<_, ApiError>>()?;
    check_ranges(list, rules.iter().map(|rule| &rule.ports))?;
    Ok(rules)
}

fn check_count(list: &str, count: usize) -> Result<(), ApiError> {
    if count <= RULE_LIMIT {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "`{list}` has {count} rules, and may have {RULE_LIMIT}; join ranges of ports"
    )))
}

fn ports(field: &str, text: &str) -> Result<Ports, ApiError> {
    text.parse().map_err(|error| ApiError::malformed(format!("`{field}`: {error}")))
}

/// Reads a network; a single address is one of its own.
pub(crate) fn network(field: &str, text: &str) -> Result<Ipv4Net, ApiError> {
    let single = text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from);
    let network = single.or_else(|| text.parse::<Ipv4Net>().ok()).ok_or_else(|| {
        ApiError::invalid(format!("`{field}`: `{text}` is not an IPv4 network such as 192.0.2.0/24"))
    })?;
    Ok(network.trunc())
}
