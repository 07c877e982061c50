//! Which addresses of a subnet machines can have, and the election of a free one. Pure.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use freehold_store::{Object, Snapshot};
use freehold_types::net::Range;
use freehold_types::{ApiError, Id};

use super::{Subnet, spec};
use crate::crud;

/// Keeps addresses of a subnet apart. The subnet itself holds that of its gateway.
pub fn ip_claim(subnet: Id, address: Ipv4Addr) -> String {
    format!("ip/{subnet}/{address}")
}

/// The lowest free address of a subnet: not its gateway, first or last address, not of a reserved range or
/// the gateway pool, held by nobody, and not given away earlier in the same transaction.
///
/// # Errors
/// 422 when none is left.
pub fn elect_address(
    subnet: &Object<Subnet>,
    snapshot: &Snapshot,
    taken_in_this_transaction: &[Ipv4Addr],
) -> Result<Ipv4Addr, ApiError> {
    let mut claim = format!("ip/{}/", subnet.id());
    let prefix = claim.len();
    let is_taken = |address: Ipv4Addr| {
        claim.truncate(prefix);
        // Writing to a string does not fail.
        let _ = write!(claim, "{address}");
        snapshot.claim(&claim).is_some() || taken_in_this_transaction.contains(&address)
    };
    lowest_free(&subnet.spec, is_taken).map_err(|count| {
        ApiError::invalid(format!(
            "the subnet {} ({}) has no free address: all {count} that machines can have are in use; free one, or \
             use another subnet",
            crud::named(subnet),
            subnet.spec.cidr
        ))
    })
}

/// The lowest usable address that is not taken, or how many usable ones there are.
pub(super) fn lowest_free(
    spec: &Subnet,
    mut is_taken: impl FnMut(Ipv4Addr) -> bool,
) -> Result<Ipv4Addr, u64> {
    let usable = usable(spec);
    let mut addresses = usable.iter().flat_map(|range| range.addresses());
    addresses
        .find(|address| !is_taken(*address))
        .ok_or_else(|| usable.iter().copied().map(Range::len).fold(0, u64::saturating_add))
}

/// Refuses an address that an adapter of the subnet cannot have, whoever holds it now.
///
/// # Errors
/// 422.
pub(crate) fn refuse_unusable(subnet: &Object<Subnet>, address: Ipv4Addr) -> Result<(), ApiError> {
    let spec = &subnet.spec;
    let within = |ranges: &[Range]| ranges.iter().any(|range| range.contains(address));
    let what = if !spec.cidr.contains(&address) {
        return Err(ApiError::invalid(format!(
            "`addresses`: {address} is not inside {}, the range of the subnet {}",
            spec.cidr,
            crud::named(subnet)
        )));
    } else if !spec::is_host(spec.cidr, address) {
        "the first or last address"
    } else if address == spec.gateway {
        "the gateway"
    } else if within(&spec.reserved) {
        "in a reserved range"
    } else if within(&spec.gateway_pool) {
        "in the gateway pool"
    } else {
        return Ok(());
    };
    Err(ApiError::invalid(format!(
        "`addresses`: {address} is {what} of the subnet {} ({}); take another, or let one be assigned",
        crud::named(subnet),
        spec.cidr
    )))
}

/// The ranges of addresses that machines can have, in order and apart.
pub(super) fn usable(spec: &Subnet) -> Vec<Range> {
    let gateway = Range { first: spec.gateway, last: spec.gateway };
    let mut excluded: Vec<Range> =
        spec.reserved.iter().chain(&spec.gateway_pool).copied().chain(std::iter::once(gateway)).collect();
    excluded.sort_unstable();
    let (mut next, end) = (u32::from(spec.cidr.network()) + 1, u32::from(spec.cidr.broadcast()));
    let mut usable = Vec::with_capacity(excluded.len() + 1);
    let mut push = |first: u32, after: u32| {
        if first < after {
            usable.push(Range { first: Ipv4Addr::from(first), last: Ipv4Addr::from(after - 1) });
        }
    };
    for Range { first, last } in excluded {
        push(next, u32::from(first).min(end));
        next = next.max(u32::from(last).saturating_add(1));
    }
    push(next, end);
    usable
}
