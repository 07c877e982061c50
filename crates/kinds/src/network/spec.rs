//! What a network may be. Pure.

use freehold_types::ApiError;

/// Largest 802.1q tag; 4095 is reserved by the standard.
const VLAN_LIMIT: u16 = 4_094;
/// Longest name of an interface on Linux, in bytes.
const INTERFACE_LIMIT: usize = 15;
/// Lowest VXLAN identifier given out; below lie those that operators use by hand.
const FIRST_VNI: u32 = 4_096;
/// Highest VXLAN identifier (24 bits).
const LAST_VNI: u32 = (1 << 24) - 1;

/// Checks an 802.1q tag; zero is none.
///
/// # Errors
/// 422.
pub(super) fn check_vlan(vlan: u16) -> Result<(), ApiError> {
    if vlan <= VLAN_LIMIT {
        return Ok(());
    }
    Err(ApiError::invalid(format!("`vlan` is {vlan}, and must be 0 (untagged) to {VLAN_LIMIT}")))
}

/// Checks the name of a bridge: one that Linux takes, and that means nothing else there.
///
/// # Errors
/// 400 for an empty one, 422 otherwise.
pub(super) fn check_interface(interface: &str) -> Result<(), ApiError> {
    if interface.is_empty() {
        return Err(ApiError::malformed("the network needs an `interface`, the name of its bridge on hosts"));
    }
    let refused = |why: &str| Err(ApiError::invalid(format!("`interface`: `{interface}` {why}")));
    if interface.len() > INTERFACE_LIMIT {
        return refused("is longer than the 15 bytes that Linux takes");
    }
    if !interface.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return refused("cannot name a bridge: use letters, digits, `-`, `_` and `.`");
    }
    if matches!(interface, "." | ".." | "lo" | "all" | "default") || interface.starts_with('-') {
        return refused(
            "cannot name a bridge, since Linux means something else by it; take a name such as br0",
        );
    }
    Ok(())
}

/// The lowest VXLAN identifier that is not taken.
///
/// # Errors
/// 507 when all are.
pub(super) fn free_vni(is_taken: impl Fn(u32) -> bool) -> Result<u32, ApiError> {
    (FIRST_VNI..=LAST_VNI)
        .find(|vni| !is_taken(*vni))
        .ok_or_else(|| ApiError::no_room("all VXLAN identifiers are in use; remove a network first"))
}
