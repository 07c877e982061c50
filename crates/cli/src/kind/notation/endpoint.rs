//! Endpoints of load balancers: `NAME:PROTOCOL/PORT=ADDRESSES[:PORT]`. Pure.

use serde_json::{Map, Value, json};

use super::super::shape::{scalar, text_of};
use super::{needed, part, refuse_unknown, rule};

const EXAMPLE: &str = "web:tcp/80=10.0.0.7,10.0.0.8:8080";

/// Reads `web:tcp/80=10.0.0.7,10.0.0.8:8080`.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let fail = || format!("`{text}` is not an endpoint: write it as {EXAMPLE}");
    let (front, backends) = text.split_once('=').ok_or_else(fail)?;
    let (name, opening) = front.split_once(':').ok_or_else(fail)?;
    let (protocol, front_port) = opening.split_once('/').ok_or_else(fail)?;
    let (hosts, back_port) = backends.rsplit_once(':').unwrap_or((backends, front_port));
    build(name, protocol, front_port, hosts.split(','), back_port)
}

/// Reads the structure of an endpoint.
pub(super) fn read_structure(structure: &Map<String, Value>) -> Result<Value, String> {
    refuse_unknown(structure, &["name", "protocol", "port", "backends"])?;
    let protocol = part(structure, "protocol")?.unwrap_or_else(|| rule::PROTOCOL.to_owned());
    let port = needed(structure, "port")?;
    let Some(Value::Object(backends)) = structure.get("backends") else {
        return Err("`backends` is missing: it is a mapping with `hosts` and `port`".to_owned());
    };
    refuse_unknown(backends, &["hosts", "port"])?;
    let hosts = match backends.get("hosts") {
        Some(Value::Array(hosts)) => hosts.iter().map(scalar).collect::<Result<_, _>>()?,
        _ => vec![needed(backends, "hosts")?],
    };
    let back_port = part(backends, "port")?.unwrap_or_else(|| port.clone());
    build(&needed(structure, "name")?, &protocol, &port, hosts.iter().map(String::as_str), &back_port)
}

fn build<'a>(
    name: &str,
    protocol: &str,
    port: &str,
    hosts: impl Iterator<Item = &'a str>,
    back_port: &str,
) -> Result<Value, String> {
    if name.trim().is_empty() {
        return Err(format!("the endpoint has no name: write it as {EXAMPLE}"));
    }
    let hosts = hosts.map(rule::address).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "name": name.trim(), "protocol": rule::protocol(protocol)?, "port": number(port)?,
        "backends": { "hosts": hosts, "port": number(back_port)? },
    }))
}

fn number(text: &str) -> Result<u16, String> {
    let port = text.trim().parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("`{text}` is not a port from 1 to 65535"))
}

/// The short text of an endpoint.
pub(super) fn show(structure: &Map<String, Value>) -> String {
    let backends = structure.get("backends");
    let part = |name: &str| backends.and_then(|backends| backends.get(name));
    let hosts = part("hosts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let hosts: Vec<_> = hosts.iter().map(|host| text_of(Some(host))).collect();
    let text = format!("{}={}", brief(structure), hosts.join(","));
    match text_of(part("port")).as_str() {
        port if port.is_empty() || port == text_of(structure.get("port")) => text,
        port => format!("{text}:{port}"),
    }
}

/// An endpoint without its machines.
pub(super) fn brief(structure: &Map<String, Value>) -> String {
    let part = |name: &str| text_of(structure.get(name));
    format!("{}:{}/{}", part("name"), part("protocol"), part("port"))
}
