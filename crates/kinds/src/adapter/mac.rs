//! Hardware addresses: reading, and making of new ones.

use freehold_store::{Object, Snapshot};
use freehold_types::ApiError;
use freehold_types::net::Mac;

use super::Adapter;
use crate::subnet::Subnet;

/// The first three bytes of generated addresses: locally administered, unicast.
const PREFIX: [u8; 3] = [0xda, 0x1e, 0x70];

/// A hardware address that no adapter has, and that was not given away earlier in the same transaction.
pub fn generate_mac(snapshot: &Snapshot, taken_in_this_transaction: &[Mac]) -> Mac {
    loop {
        let mut bytes: [u8; 6] = rand::random();
        bytes[..PREFIX.len()].copy_from_slice(&PREFIX);
        let mac = Mac::new(bytes);
        if !taken_in_this_transaction.contains(&mac) && !is_held(mac, snapshot) {
            return mac;
        }
    }
}

/// Whether any adapter has the address, on whatever subnet.
fn is_held(mac: Mac, snapshot: &Snapshot) -> bool {
    let claimed = |claim: String| snapshot.claim(&claim).is_some();
    claimed(Adapter::mac_claim(mac, None))
        || snapshot
            .all::<Subnet>()
            .map(Object::id)
            .any(|subnet| claimed(Adapter::mac_claim(mac, Some(subnet))))
}

/// Reads a hardware address.
///
/// # Errors
/// 422.
pub(super) fn read(text: &str) -> Result<Mac, ApiError> {
    text.parse().map_err(|error| ApiError::invalid(format!("`mac`: {error}")))
}
