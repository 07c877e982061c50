//! What a subnet may be: reading of its texts, and the rules between them. Pure.

use std::net::Ipv4Addr;

use freehold_types::net::Range;
use freehold_types::{ApiError, wire};
use ipnet::Ipv4Net;

use super::Subnet;

/// Prefix lengths of subnets: a smaller one has no room for a gateway and a machine.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=30;

/// Ranges of private addresses (RFC 1918).
const PRIVATE: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// Ranges that no machine can have an address of: this network, loopback, link-local, multicast and beyond.
const UNUSABLE: [Ipv4Net; 4] = [
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Reads an address range written in its canonical form.
///
/// # Errors
/// 422.
pub(super) fn network(field: &str, text: &str) -> Result<Ipv4Net, ApiError> {
    let refused =
        |hint: String| ApiError::invalid(format!("`{field}`: `{text}` is not an IPv4 range; {hint}"));
    let range: Ipv4Net = text
        .parse()
        .map_err(|_| refused("write its first address and prefix length, such as 10.0.0.0/24".to_owned()))?;
    let canonical = range.trunc();
    if canonical.to_string() == text { Ok(range) } else { Err(refused(format!("write {canonical}"))) }
}

/// Reads the range of a subnet.
///
/// # Errors
/// 422 when it is no range, too small or large, or not private where it must be (or the reverse).
pub(super) fn cidr(text: &str, private: bool) -> Result<Ipv4Net, ApiError> {
    let cidr = network("cidr", text)?;
    if !PREFIXES.contains(&cidr.prefix_len()) {
        return Err(ApiError::invalid(format!(
            "`cidr`: the prefix length of {cidr} must be {} to {}",
            PREFIXES.start(),
            PREFIXES.end()
        )));
    }
    if let Some(range) = UNUSABLE.iter().find(|range| overlap(**range, cidr)) {
        return Err(ApiError::invalid(format!(
            "`cidr`: {cidr} overlaps {range}, whose addresses no machine can have"
        )));
    }
    if private && !PRIVATE.iter().any(|range| range.contains(&cidr)) {
        return Err(ApiError::invalid(format!(
            "`cidr`: {cidr} is not private, but the network is; take a range of 10.0.0.0/8, 172.16.0.0/12 or \
             192.168.0.0/16"
        )));
    }
    if !private && let Some(range) = PRIVATE.iter().find(|range| overlap(**range, cidr)) {
        return Err(ApiError::invalid(format!(
            "`cidr`: {cidr} has private addresses ({range}), but the network is public; use a private network"
        )));
    }
    Ok(cidr)
}

/// Whether two ranges have an address in common.
pub(super) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// Reads an address.
///
/// # Errors
/// 422.
pub(super) fn address(field: &str, text: &str) -> Result<Ipv4Addr, ApiError> {
    text.parse().map_err(|_| {
        ApiError::invalid(format!("`{field}`: `{text}` is not an IPv4 address such as 10.0.0.1"))
    })
}

/// Reads routes, in the order given.
///
/// # Errors
/// 422.
pub(super) fn routes(texts: &[String]) -> Result<Vec<Ipv4Net>, ApiError> {
    texts.iter().map(|text| network("extra_routes", text)).collect()
}

/// Reads ranges of addresses. One without ends is passed over, since clients send those for none.
///
/// # Errors
/// 422 when an end is missing or no address, or the ends are in the wrong order.
pub(super) fn ranges(field: &str, ranges: &[wire::IpRange]) -> Result<Vec<Range>, ApiError> {
    ranges
        .iter()
        .filter(|range| !(range.first.is_empty() && range.last.is_empty()))
        .map(|range| {
            let (first, last) = (address(field, &range.first)?, address(field, &range.last)?);
            if first > last {
                return Err(ApiError::invalid(format!(
                    "`{field}`: the range {first}-{last} is empty; put the lower address first"
                )));
            }
            Ok(Range { first, last })
        })
        .collect()
}

/// Checks what the parts of a subnet must be to each other.
///
/// # Errors
/// 422.
pub(super) fn check(spec: &Subnet) -> Result<(), ApiError> {
    let Subnet { cidr, gateway, .. } = *spec;
    if !is_host(cidr, gateway) {
        return Err(ApiError::invalid(format!(
            "`gateway`: {gateway} is not an address that a machine of {cidr} can have"
        )));
    }
    for (field, ranges) in [("reserved", &spec.reserved), ("gw_pool", &spec.gateway_pool)] {
        if let Some(Range { first, last }) = ranges.iter().copied().find(|range| !is_inside(cidr, *range)) {
            return Err(ApiError::invalid(format!(
                "`{field}`: the range {first}-{last} is not inside {cidr}"
            )));
        }
    }
    check_gateway_pool(spec)
}

/// The addresses of the gateway pool go to the gateways of zones: each can be given, and to one only.
fn check_gateway_pool(spec: &Subnet) -> Result<(), ApiError> {
    for (position, range) in spec.gateway_pool.iter().enumerate() {
        let Range { first, last } = *range;
        let others = spec.gateway_pool.iter().take(position).chain(&spec.reserved);
        if let Some(other) = others.copied().find(|other| first <= other.last && other.first <= last) {
            return Err(ApiError::invalid(format!(
                "`gw_pool`: the range {first}-{last} overlaps the range {}-{}; keep them apart",
                other.first, other.last
            )));
        }
        let edges = [spec.cidr.network(), spec.cidr.broadcast(), spec.gateway];
        if let Some(taken) = edges.into_iter().find(|address| range.contains(*address)) {
            return Err(ApiError::invalid(format!(
                "`gw_pool`: the range {first}-{last} holds {taken}, which is the gateway, the network or the \
                 broadcast address of the subnet; leave it out"
            )));
        }
    }
    Ok(())
}

/// Checks that every zone of the region can get an address of the gateway pool, where there is a pool.
///
/// # Errors
/// 422.
pub(super) fn check_gateway_count(pool: &[Range], zones: usize) -> Result<(), ApiError> {
    let count = pool.iter().copied().map(Range::len).fold(0, u64::saturating_add);
    if pool.is_empty() || usize::try_from(count).unwrap_or(usize::MAX) >= zones {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "`gw_pool` has {count} addresses, and the region has {zones} zones; each zone needs one"
    )))
}

/// Whether a machine can have the address: neither the first nor the last of the range.
pub(super) fn is_host(cidr: Ipv4Net, address: Ipv4Addr) -> bool {
    cidr.contains(&address) && address != cidr.network() && address != cidr.broadcast()
}

fn is_inside(cidr: Ipv4Net, range: Range) -> bool {
    cidr.contains(&range.first) && cidr.contains(&range.last)
}
