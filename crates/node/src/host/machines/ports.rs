//! Keeps guests from speaking in the name of others: what comes out of a machine's port bears its own hardware
//! address and its own IPv4 addresses, in ARP too, or goes nowhere.
//!
//! Ports have names of their own ([`port`]), which follow from the hardware address. In the host's packet filter the
//! table `freehold` of the family `bridge` has a map from each port to its chain, so that a packet costs one look-up
//! however many machines there are. A port with such a name that is not in the map passes nothing. A change of a
//! port's chain is one transaction, and is made before the machine starts.
//!
//! IPv6 is not given out, so its addresses are not known here: guests may use link-local ones among themselves, but
//! cannot announce routes or give addresses out. Nor can they answer DHCP. Everything that is no ARP, IPv4, IPv6, or the
//! announcement that QEMU makes after a move (RARP) is dropped: tagged frames, spanning tree, discovery of neighbours.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use freehold_types::agent::Nic;
use freehold_types::net::Mac;

use crate::host::HostError;
use crate::host::services::nft;

/// What the names of ports start with.
const PREFIX: &str = "fht";
const TABLE: &str = "bridge freehold";

/// The name of a card's port on the host; 15 bytes, the most that a kernel takes.
pub fn port(mac: Mac) -> String {
    mac.octets().iter().fold(PREFIX.to_owned(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// One change of the table at a time, so that it does not go while another machine comes to it.
static TURN: Mutex<()> = Mutex::new(());

/// Guards the ports of a machine's cards, in the network namespace of the thread. Blocks.
///
/// # Errors
/// When nft is missing, or does not take the rules; then those stay that were there.
pub fn guard(nics: &[Nic]) -> Result<(), HostError> {
    if nics.is_empty() {
        return Ok(());
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    nft::load_here(&rules(nics))
}

/// Forgets the ports of a machine's cards, and takes the table away with the last of them. Blocks.
///
/// # Errors
/// As [`guard`].
pub fn release(nics: &[Nic]) -> Result<(), HostError> {
    if nics.is_empty() {
        return Ok(());
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    nft::load_here(&removal(nics))?;
    let map = nft::list_here(&["list", "map", "bridge", "freehold", "ports"])?;
    // Elements stand behind this word, and without any the word is not there.
    if map.is_some_and(|map| !map.contains("elements")) {
        nft::load_here(&format!("delete table {TABLE}\n"))?;
    }
    Ok(())
}

/// The table and its way into the chains. Doing this again changes nothing.
fn frame() -> String {
    format!(
        "table {TABLE} {{\n    map ports {{ type ifname : verdict; }}\n    \
         chain from {{ type filter hook prerouting priority -300; policy accept; }}\n}}\n\
         flush chain {TABLE} from\n\
         add rule {TABLE} from iifname vmap @ports\n\
         add rule {TABLE} from iifname \"{PREFIX}*\" drop\n"
    )
}

fn rules(nics: &[Nic]) -> String {
    let mut text = frame();
    for nic in nics {
        let (port, mac) = (port(nic.mac), nic.mac);
        let addresses: Vec<String> = nic.addresses.iter().map(ToString::to_string).collect();
        let senders = std::iter::once("0.0.0.0").chain(addresses.iter().map(String::as_str));
        let mut lines = vec![
            format!("ether saddr != {mac} drop"),
            format!("ether type arp arp saddr ether != {mac} drop"),
            format!("ether type arp arp saddr ip {{ {} }} accept", senders.collect::<Vec<_>>().join(", ")),
            "ether type ip udp sport 67 drop".to_owned(),
        ];
        if !addresses.is_empty() {
            lines.push(format!("ether type ip ip saddr {{ {} }} accept", addresses.join(", ")));
        }
        lines.extend(
            [
                "ether type ip ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept",
                "ether type ip6 icmpv6 type { nd-router-advert, nd-redirect } drop",
                "ether type ip6 udp sport 547 drop",
                "ether type { ip6, 0x8035 } accept",
                "drop",
            ]
            .map(str::to_owned),
        );
        // Writing to a string cannot fail.
        let _ = writeln!(text, "add chain {TABLE} {port}\nflush chain {TABLE} {port}");
        for line in lines {
            let _ = writeln!(text, "add rule {TABLE} {port} {line}");
        }
        let _ = writeln!(text, "add element {TABLE} ports {{ \"{port}\" : jump {port} }}");
    }
    text
}

/// Adds first what it removes, so that it does not matter whether it was there.
fn removal(nics: &[Nic]) -> String {
    let mut text = frame();
    for port in nics.iter().map(|nic| port(nic.mac)) {
        let _ = write!(
            text,
            "add chain {TABLE} {port}\nadd element {TABLE} ports {{ \"{port}\" : jump {port} }}\n\
             delete element {TABLE} ports {{ \"{port}\" }}\nflush chain {TABLE} {port}\ndelete chain {TABLE} {port}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use freehold_types::Id;

    use super::*;

    fn nic(last: u8, addresses: &[[u8; 4]]) -> Nic {
        let mac = Mac::new([0x52, 0x54, 0, 0xab, 0, last]);
        let addresses = addresses.iter().map(|bytes| Ipv4Addr::from(*bytes)).collect();
        Nic { segment: Id::from_u64(1), mac, addresses }
    }

    #[test]
    fn names_fit_and_follow_from_the_hardware_address() {
        assert_eq!(port(nic(1, &[]).mac), "fht525400ab0001");
        assert_eq!(port(nic(1, &[]).mac).len(), 15);
    }

    #[test]
    fn a_machine_speaks_for_itself_alone() {
        insta::assert_snapshot!(rules(&[nic(1, &[[10, 0, 0, 5], [10, 0, 0, 6]]), nic(2, &[])]));
    }

    #[test]
    fn what_goes_need_not_have_been_there() {
        insta::assert_snapshot!(removal(&[nic(1, &[])]));
    }
}
