//! Peerings: `SUBNET[=POLICY]`, then `in` and `out`, each with rules. Pure.

use serde_json::{Map, Value, json};

use super::super::shape::text_of;
use super::{Name, addresses, needed, part, refuse_unknown, rule};

/// What becomes of traffic unless it is said.
const POLICY: &str = "drop";

/// Reads `lan-b=drop in tcp/22 out udp/53`.
pub(super) fn read(text: &str) -> Result<Value, String> {
    // The last sign parts: names of subnets may hold one, rules never do.
    let (subnet, rest) = text.rsplit_once('=').unwrap_or((text, POLICY));
    let mut words = rest.split_whitespace();
    let policy = policy(words.next().unwrap_or(POLICY))?;
    let (mut ingress, mut egress) = (Vec::new(), Vec::new());
    let mut way = None;
    let mut bare = None;
    for word in words {
        match (word, way) {
            ("in" | "out", _) => {
                way = Some(word);
                bare = Some(word);
            }
            (_, None) => {
                return Err(format!("before `{word}`, `in` or `out` is missing: write lan-b=drop in tcp/22"));
            }
            (word, Some(way)) => {
                let list = if way == "in" { &mut ingress } else { &mut egress };
                list.push(rule::read_bare(word)?);
                bare = None;
            }
        }
    }
    if let Some(way) = bare {
        return Err(format!("after `{way}`, a rule is missing: write it as tcp/22"));
    }
    Ok(json!({ "subnet": named(subnet)?, "policy": policy, "ingress": ingress, "egress": egress }))
}

/// Reads the structure of a peering. Its addresses are the controller's to say.
pub(super) fn read_structure(structure: &Map<String, Value>) -> Result<Value, String> {
    refuse_unknown(structure, &["subnet", "policy", "ingress", "egress", "netip"])?;
    Ok(json!({
        "subnet": named(&needed(structure, "subnet")?)?,
        "policy": policy(part(structure, "policy")?.as_deref().unwrap_or(POLICY))?,
        "ingress": rules(structure, "ingress")?,
        "egress": rules(structure, "egress")?,
    }))
}

/// The short text of a peering, and where the gateway stands in the subnet.
pub(super) fn show(structure: &Map<String, Value>, name: Name<'_>) -> String {
    let subnet = text_of(structure.get("subnet"));
    let subnet = name("subnet", &subnet).unwrap_or(subnet);
    let policy = text_of(structure.get("policy"));
    let mut text = format!("{subnet}={}", if policy.is_empty() { POLICY } else { &policy });
    for (way, list) in [("in", "ingress"), ("out", "egress")] {
        let rules: Vec<_> = items(structure, list).map(|item| rule::show(item, None)).collect();
        if !rules.is_empty() {
            text = format!("{text} {way} {}", rules.join(" "));
        }
    }
    let places: Vec<_> = items(structure, "netip").map(addresses).collect();
    if places.is_empty() { text } else { format!("{text} ({})", places.join("; ")) }
}

/// The structure with the short texts of its rules.
pub(super) fn document(structure: &Map<String, Value>) -> Value {
    let mut document = structure.clone();
    for list in ["ingress", "egress"] {
        let rules: Vec<Value> =
            items(structure, list).map(|item| Value::from(rule::show(item, None))).collect();
        document.insert(list.to_owned(), rules.into());
    }
    Value::Object(document)
}

fn items<'a>(
    structure: &'a Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> + use<'a> {
    let items = structure.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_object)
}

fn named(subnet: &str) -> Result<&str, String> {
    match subnet.trim() {
        "" => Err("the subnet is missing: write it as lan-b=drop".to_owned()),
        name => Ok(name),
    }
}

fn policy(text: &str) -> Result<String, String> {
    let word = text.to_ascii_lowercase();
    match word.as_str() {
        "accept" | "drop" => Ok(word),
        _ => Err(format!("`{text}` is neither accept nor drop")),
    }
}

fn rules(structure: &Map<String, Value>, list: &str) -> Result<Vec<Value>, String> {
    let read = |value: &Value| match value.as_object() {
        Some(item) => rule::read_structure(item, None),
        None => rule::read_bare(&text_of(Some(value))),
    };
    let found = match structure.get(list) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(read).collect(),
        Some(one) => read(one).map(|rule| vec![rule]),
    };
    found.map_err(|fault| format!("`{list}`: {fault}"))
}
