//! Firewall rules and forwards: `PROTOCOL/PORTS`, then `@NETWORK` or `=ADDRESS`. Pure.

use std::net::{IpAddr, Ipv4Addr};

use freehold_types::service::Ports;
use serde_json::{Map, Value, json};

use super::super::shape::text_of;
use super::{needed, part, refuse_unknown};

/// Every network there is, which needs no mention.
const EVERYWHERE: &str = "0.0.0.0/0";

/// The protocol of a structure that names none.
pub(super) const PROTOCOL: &str = "tcp";

/// Reads `tcp/80,443@198.51.100.0/24`; `remote` is the word for the network.
pub(super) fn read(text: &str, remote: &str) -> Result<Value, String> {
    let (opening, place) = text.split_once('@').unwrap_or((text, EVERYWHERE));
    let (protocol, ports) = read_opening(opening)?;
    Ok(json!({ remote: network(place)?, "protocol": protocol, "ports": ports }))
}

/// Reads `tcp/80,443`.
pub(super) fn read_bare(text: &str) -> Result<Value, String> {
    let (protocol, ports) = read_opening(text)?;
    Ok(json!({ "protocol": protocol, "ports": ports }))
}

/// Reads `tcp/80,443=10.0.0.7`.
pub(super) fn read_forward(text: &str) -> Result<Value, String> {
    let (opening, to) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` does not say where to: write it as tcp/80,443=10.0.0.7"))?;
    let (protocol, ports) = read_opening(opening)?;
    Ok(json!({ "destination": address(to)?, "protocol": protocol, "ports": ports }))
}

/// Reads the structure of a rule; `remote` is the word for the network of one that has it.
pub(super) fn read_structure(structure: &Map<String, Value>, remote: Option<&str>) -> Result<Value, String> {
    let mut known = vec!["protocol", "ports"];
    known.extend(remote);
    refuse_unknown(structure, &known)?;
    let (protocol, ports) = opening_of(structure)?;
    let Some(remote) = remote else { return Ok(json!({ "protocol": protocol, "ports": ports })) };
    let place = part(structure, remote)?.unwrap_or_else(|| EVERYWHERE.to_owned());
    Ok(json!({ remote: network(&place)?, "protocol": protocol, "ports": ports }))
}

/// Reads the structure of a forward.
pub(super) fn read_forward_structure(structure: &Map<String, Value>) -> Result<Value, String> {
    refuse_unknown(structure, &["destination", "protocol", "ports"])?;
    let (protocol, ports) = opening_of(structure)?;
    Ok(json!({
        "destination": address(&needed(structure, "destination")?)?, "protocol": protocol, "ports": ports,
    }))
}

/// The short text of a rule.
pub(super) fn show(structure: &Map<String, Value>, remote: Option<&str>) -> String {
    let opening = show_opening(structure);
    match text_of(remote.and_then(|remote| structure.get(remote))).as_str() {
        "" | EVERYWHERE => opening,
        place => format!("{opening}@{place}"),
    }
}

/// The short text of a forward.
pub(super) fn show_forward(structure: &Map<String, Value>) -> String {
    format!("{}={}", show_opening(structure), text_of(structure.get("destination")))
}

fn show_opening(structure: &Map<String, Value>) -> String {
    let protocol = text_of(structure.get("protocol"));
    let protocol = if protocol.is_empty() { PROTOCOL } else { &protocol };
    format!("{protocol}/{}", text_of(structure.get("ports")))
}

fn read_opening(text: &str) -> Result<(String, String), String> {
    let (name, list) = text
        .split_once('/')
        .ok_or_else(|| format!("`{text}` does not say protocol and ports: write them as tcp/80,443"))?;
    Ok((protocol(name)?, ports(list)?))
}

fn opening_of(structure: &Map<String, Value>) -> Result<(String, String), String> {
    let name = part(structure, "protocol")?.unwrap_or_else(|| PROTOCOL.to_owned());
    Ok((protocol(&name)?, ports(&needed(structure, "ports")?)?))
}

/// Reads a protocol.
pub(super) fn protocol(text: &str) -> Result<String, String> {
    let word = text.trim().to_ascii_lowercase();
    match word.as_str() {
        "tcp" | "udp" => Ok(word),
        _ => Err(format!("`{text}` is neither tcp nor udp")),
    }
}

/// Reads ports, and leaves them as they are written: the controller does so too.
fn ports(text: &str) -> Result<String, String> {
    let text: String = text.split_whitespace().collect();
    match text.parse::<Ports>() {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads an address of a machine.
pub(super) fn address(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(format!("`{text}` is not an address such as 10.0.0.7")),
    }
}

/// Reads a network or an address, and leaves it as it is written.
fn network(text: &str) -> Result<String, String> {
    let text = text.trim();
    let (address, length) = text.split_once('/').unwrap_or((text, "0"));
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => 0,
    };
    if most > 0 && length.parse::<u8>().is_ok_and(|length| length <= most) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not a network such as 198.51.100.0/24"))
}
