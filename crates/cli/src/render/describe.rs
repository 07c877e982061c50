//! Everything about one object, for people. Pure.

use serde_json::Value;

use super::{Surroundings, fields::Line, fields::block, time::age};
use crate::kind::{Content, Detail, Field, Kind};
use crate::object::Object;

/// Everything about one object. `details` holds what was read beside it, in the order of the kind's
/// details; `None` for what may not be read.
pub fn describe(
    kind: &'static Kind,
    object: &Object,
    details: &[(&'static Detail, Option<Value>)],
    around: &Surroundings,
) -> String {
    let mut lines = vec![Line::new("Kind", kind.name)];
    if kind.field("name").is_some() {
        lines.insert(0, Line::new("Name", object.name()));
    }
    lines.push(Line::new("Id", object.id()));
    if let Some(at) = object.created_at() {
        lines.push(Line::new("Created", format!("{at} ({} ago)", age(around.now.since(at)))));
    }
    if let Some(state) = around.states.get(object.id()) {
        lines.push(Line::new("State", state.clone()));
    }
    let told = |field: &&Field| field.key != "name" && !object.at(field.wire).is_null();
    lines.extend(kind.fields.iter().filter(told).map(|field| line(field, object.at(field.wire), around)));
    let mut text = block(&lines, 0);
    for (detail, value) in details {
        text += &section(detail, value.as_ref(), around);
    }
    text
}

fn line(field: &Field, value: &Value, around: &Surroundings) -> Line {
    let show = |value: &Value| field.show(value, &|kind, id| around.names.get(kind, id));
    match value.as_array().filter(|items| !items.is_empty()) {
        Some(items) => Line::several(label_of(field.key), items.iter().map(show).collect()),
        None => Line::new(label_of(field.key), show(value)),
    }
}

fn section(detail: &Detail, value: Option<&Value>, around: &Surroundings) -> String {
    let Some(value) = value else { return block(&[Line::new(detail.title, "not available")], 0) };
    let name = |kind: &str, id: &str| around.names.get(kind, id);
    match detail.content {
        Content::One(shape) => block(&[Line::new(detail.title, shape.show(value, &name))], 0),
        Content::Ids(kind) => {
            let ids =
                value.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str);
            let names = ids.map(|id| name(kind, id).unwrap_or_else(|| id.to_owned())).collect();
            block(&[Line::several(detail.title, names)], 0)
        }
        Content::Fields(fields) => {
            let object = Object(value.as_object().cloned().unwrap_or_default());
            let lines: Vec<Line> =
                fields.iter().map(|field| line(field, object.at(field.wire), around)).collect();
            let bold = anstyle::Style::new().bold();
            format!("{bold}{}:{bold:#}\n{}", detail.title, block(&lines, 2))
        }
    }
}

/// A key as a label: `data_disk` is `Data disk`.
pub fn label_of(key: &str) -> String {
    let key = key.rsplit_once('.').map_or(key, |(outer, inner)| {
        // These name what several inner words would leave open.
        if matches!(outer, "quotas" | "phase1" | "phase2") { key } else { inner }
    });
    let words: Vec<String> = key
        .split(['_', '.'])
        .map(|word| match word {
            "vcpus" => "vCPUs".to_owned(),
            "ip" | "cidr" | "dns" | "mac" | "uefi" | "os" | "vlan" | "cpu" | "uuid" | "vrrp" | "vip"
            | "dpd" | "dh" => word.to_uppercase(),
            "quotas" => "quota".to_owned(),
            "phase1" => "phase 1".to_owned(),
            "phase2" => "phase 2".to_owned(),
            word => word.to_owned(),
        })
        .collect();
    let label = words.join(" ").replace("anti affinity", "anti-affinity").replace("pre shared", "pre-shared");
    let mut letters = label.chars();
    match letters.next() {
        Some(first) if !label.starts_with("vCPUs") => first.to_uppercase().chain(letters).collect(),
        _ => label,
    }
}

#[cfg(test)]
mod tests {
    use super::label_of;

    #[test]
    fn keys_become_labels() {
        let labels =
            ["data_disk", "vcpus", "quotas.vcpus", "cpu.model", "ceph_secret_uuid", "phase1.dh_group"]
                .map(label_of);
        assert_eq!(
            labels,
            ["Data disk", "vCPUs", "Quota vCPUs", "Model", "Ceph secret UUID", "Phase 1 DH group"]
        );
    }
}
