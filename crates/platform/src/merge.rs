//! One tree over another, and the layers of a machine.
//!
//! The rule: mappings are merged key by key; anything else replaces what was there, lists as a whole; nothing (an
//! empty value or an empty text) replaces nothing. What is replaced is remembered, for `explain`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fault::{Fault, Place};
use crate::parse;
use crate::path::path_to;
use crate::source::Origin;
use crate::tree::{Data, Entry, Layer, Node, Replaced};

/// Merges `over` onto `base`.
pub(crate) fn merge(base: &mut Node, over: Node) {
    if over.is_nothing() && !base.is_nothing() {
        return;
    }
    match (&mut base.data, over.data) {
        (Data::Map(below), Data::Map(above)) => {
            for (key, entry) in above {
                match below.get_mut(&key) {
                    Some(existing) => {
                        // Where both say nothing, the key still belongs to the first that named it.
                        if !entry.node.is_nothing() {
                            existing.key = entry.key;
                        }
                        merge(&mut existing.node, entry.node);
                    }
                    None => {
                        below.insert(key, entry);
                    }
                }
            }
            base.origin = over.origin;
            base.layer = over.layer;
        }
        (_, data) => {
            let mut replaced = std::mem::take(&mut base.replaced);
            if !base.is_nothing() {
                replaced.push(Replaced {
                    origin: base.origin,
                    layer: base.layer.clone(),
                    text: base.brief(),
                });
            }
            replaced.extend(over.replaced);
            *base = Node { origin: over.origin, layer: over.layer, data, replaced };
        }
    }
}

impl Node {
    /// Whether it says nothing.
    fn is_nothing(&self) -> bool {
        match &self.data {
            Data::Null => true,
            Data::Scalar(scalar) => scalar.text.is_empty(),
            Data::List(_) | Data::Map(_) => false,
        }
    }
}

/// Gives each machine what `defaults` and its groups say, under what it says itself.
pub(crate) fn machines(root: &mut Node, faults: &mut Vec<Fault>) {
    let defaults = root.get("defaults").cloned();
    let groups = root.get("groups").and_then(Node::map).cloned().unwrap_or_default();
    faults.extend(cycles(&groups));
    let settings: BTreeMap<&str, Node> = groups
        .iter()
        .filter_map(|(name, entry)| {
            let mut node = entry.node.get("settings")?.clone();
            node.set_layer(&Layer::Group(Arc::from(name.as_str())));
            Some((name.as_str(), node))
        })
        .collect();
    let sizes: BTreeMap<&str, usize> =
        settings.iter().map(|(name, node)| (*name, parse::count(node))).collect();
    let common = defaults.as_ref().map_or(0, parse::count);
    let mut room = parse::MOST_NODES;
    let Some(entry) = root.map_mut().and_then(|map| map.get_mut("machines")) else { return };
    let Some(machines) = entry.node.map_mut() else { return };
    for machine in machines.values_mut() {
        if !matches!(machine.node.data, Data::Map(_) | Data::Null) {
            continue;
        }
        let own = &machine.node;
        let listed = own.get("groups").or_else(|| defaults.as_ref()?.get("groups"));
        let listed: Vec<String> =
            listed.map(|node| node.texts().map(str::to_owned).collect()).unwrap_or_default();
        let order = in_order(&listed, &groups);
        let given = order.iter().filter_map(|group| sizes.get(group.as_str())).sum::<usize>() + common;
        let Some(left) = room.checked_sub(given) else {
            faults.push(too_much(own.origin));
            return;
        };
        room = left;
        let empty = Node::new(own.origin, Data::Map(BTreeMap::new()));
        let mut layered = match &defaults {
            Some(node) if node.map().is_some() => {
                let mut node = node.clone();
                node.set_layer(&Layer::Defaults);
                node
            }
            _ => empty.clone(),
        };
        for group in order {
            if let Some(node) = settings.get(group.as_str()) {
                merge(&mut layered, node.clone());
            }
        }
        let own = std::mem::replace(&mut machine.node, empty);
        let (origin, layer) = (own.origin, own.layer.clone());
        merge(&mut layered, own);
        layered.origin = origin;
        layered.layer = layer;
        machine.node = layered;
    }
}

/// What a few lines of groups and many machines could grow to.
fn too_much(origin: Origin) -> Fault {
    let most = parse::MOST_NODES;
    Fault::at(
        origin,
        format!("with what `defaults` and groups give them, machines have more than {most} values"),
    )
    .hint("say less in `defaults` and groups")
    .breaking_off()
}

/// Groups with those that they belong to, the weakest first, each once.
fn in_order(listed: &[String], groups: &BTreeMap<String, Entry>) -> Vec<String> {
    fn collect(
        name: &str,
        groups: &BTreeMap<String, Entry>,
        above: &mut Vec<String>,
        found: &mut Vec<String>,
    ) {
        if above.iter().any(|one| one == name) || found.iter().any(|one| one == name) {
            return;
        }
        let Some(entry) = groups.get(name) else { return };
        above.push(name.to_owned());
        if let Some(parents) = entry.node.get("groups") {
            parents.texts().for_each(|parent| collect(parent, groups, above, found));
        }
        above.pop();
        found.push(name.to_owned());
    }
    let mut found = Vec::new();
    for name in listed {
        collect(name, groups, &mut Vec::new(), &mut found);
    }
    found
}

/// Groups that belong to themselves.
fn cycles(groups: &BTreeMap<String, Entry>) -> Vec<Fault> {
    let parents = |name: &str| -> Vec<String> {
        let node = groups.get(name).and_then(|entry| entry.node.get("groups"));
        node.map(|node| node.texts().map(str::to_owned).collect()).unwrap_or_default()
    };
    let belongs_to_itself = |name: &str| {
        let (mut seen, mut next) = (Vec::new(), parents(name));
        while let Some(one) = next.pop() {
            if one == name {
                return true;
            }
            if !seen.contains(&one) {
                next.extend(parents(&one));
                seen.push(one);
            }
        }
        false
    };
    let fault = |name: &String| {
        Fault::new(
            Place::Value(path_to!["groups", name, "groups"]),
            format!("the group `{name}` belongs to itself"),
        )
        .hint("a group's groups must lead away from it")
    };
    groups.keys().filter(|name| belongs_to_itself(name)).map(fault).collect()
}
