//! Checks of an IPsec connection. Pure.

use std::net::Ipv4Addr;

use freehold_types::{ApiError, Secret};
use ipnet::Ipv4Net;

use super::{Connection, Phase};
use crate::kind::Kind;
use crate::subnet::Subnet;
use crate::{gateway, text};

/// Diffie-Hellman groups of the contract.
const GROUPS: [u8; 13] = [2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24];
/// Shortest and longest duration, in seconds.
const DURATIONS: std::ops::RangeInclusive<u64> = 30..=30 * 86_400;
/// Shortest and longest pre-shared key, in bytes.
const KEYS: std::ops::RangeInclusive<usize> = 8..=1_024;

/// Checks a connection against the private subnet behind its gateway.
///
/// # Errors
/// 400 or 422.
pub(super) fn check(spec: &Connection, private: &Subnet) -> Result<(), ApiError> {
    text::name(Connection::NOUN, &spec.name)?;
    check_key(&spec.pre_shared_key)?;
    check_remote(spec, private.cidr)?;
    seconds("dpd_timeout", &spec.dpd_timeout)?;
    seconds("rekey_time", &spec.rekey_time)?;
    check_phase("phase1", &spec.phase1)?;
    check_phase("phase2", &spec.phase2)?;
    gateway::ingress("firewall.ingress", &spec.firewall.ingress)?;
    Ok(())
}

fn check_key(key: &Secret<String>) -> Result<(), ApiError> {
    let text = key.expose();
    if KEYS.contains(&text.len()) && text.chars().all(|c| !c.is_control()) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "`pre_shared_key` must have {} to {} bytes, and no control characters",
        KEYS.start(),
        KEYS.end()
    )))
}

fn check_remote(spec: &Connection, private: Ipv4Net) -> Result<(), ApiError> {
    let remote = gateway::network("remote_subnet", &spec.remote_subnet)?;
    if remote.contains(&private.network()) || private.contains(&remote.network()) {
        return Err(ApiError::invalid(format!(
            "`remote_subnet`: {remote} overlaps with {private}, the private subnet of the project"
        )));
    }
    if spec.remote.is_unspecified() || spec.remote.is_multicast() || spec.remote.is_broadcast() {
        return Err(ApiError::invalid(format!("`remote_ip`: {} is not the address of a host", spec.remote)));
    }
    Ok(())
}

fn check_phase(name: &str, phase: &Phase) -> Result<(), ApiError> {
    seconds(&format!("{name}_lifetime"), &phase.lifetime)?;
    if GROUPS.contains(&phase.group) {
        return Ok(());
    }
    Err(ApiError::malformed(format!(
        "`{name}_dh_group_number` is {}, and must be 2, 5, or 14 to 24",
        phase.group
    )))
}

/// Reads an address of the other end.
pub(super) fn remote(text: &str) -> Result<Ipv4Addr, ApiError> {
    text.parse().map_err(|_| {
        ApiError::invalid(format!("`remote_ip`: `{text}` is not an IPv4 address such as 198.51.100.7"))
    })
}

/// Reads a duration such as `240s`, `90m`, `2h` or `1d`, in seconds.
///
/// # Errors
/// 422.
pub(super) fn seconds(field: &str, text: &str) -> Result<u64, ApiError> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let read = units.iter().find_map(|(unit, factor)| {
        let digits = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<u64>().ok()?.checked_mul(*factor)
    });
    read.filter(|seconds| DURATIONS.contains(seconds)).ok_or_else(|| {
        ApiError::invalid(format!(
            "`{field}`: `{text}` is not a duration from 30s to 30d, such as 240s, 90m or 2h"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_limits() {
        let read = |text: &str| seconds("rekey_time", text);
        assert_eq!(read("240s").unwrap(), 240);
        assert_eq!(read("90m").unwrap(), 5_400);
        assert_eq!(read("2h").unwrap(), 7_200);
        assert_eq!(read("30d").unwrap(), 30 * 86_400);
        for bad in [
            "",
            "s",
            "240",
            "0s",
            "29s",
            "31d",
            "1h30m",
            "-1s",
            "1 h",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(read(bad).unwrap_err().reason.contains("rekey_time"), "{bad}");
        }
    }
}
