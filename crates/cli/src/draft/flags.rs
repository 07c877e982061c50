//! Flags made from the fields of a kind, and drafts read back from them. Pure.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::Value;

use super::Draft;
use crate::directory::Scope;
use crate::kind::{self, Field, Kind, Shape};

/// The heading over the flags that say where an object is.
const WHERE: &str = "Where";

/// The flags for the fields of a kind that `wanted` selects.
pub fn field_args(kind: &'static Kind, wanted: fn(&Field) -> bool) -> Vec<Arg> {
    kind.fields.iter().filter(|field| wanted(field)).map(field_arg).collect()
}

fn field_arg(field: &'static Field) -> Arg {
    let several = field.shape.several();
    let help = if several { format!("{} (repeatable)", field.help) } else { field.help.to_owned() };
    let arg = Arg::new(field.key).long(flag(field)).help(help);
    match field.shape {
        Shape::Boolean => arg
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true)
            .value_parser(parser(field)),
        Shape::Secret => arg
            .value_name("FILE")
            .help(format!("{}, read from FILE; `-` is standard input", field.help))
            .value_hint(clap::ValueHint::FilePath)
            .value_parser(clap::value_parser!(PathBuf)),
        Shape::Choice(choices) => {
            let words: Vec<_> = choices
                .iter()
                .map(|(ours, wire)| clap::builder::PossibleValue::new(*ours).alias(*wire))
                .collect();
            let shape = field.shape;
            let parser = PossibleValuesParser::new(words).try_map(move |text| shape.read_text(&text));
            arg.value_name("WORD").ignore_case(true).value_parser(parser)
        }
        Shape::Text
        | Shape::Integer(..)
        | Shape::Size
        | Shape::Date
        | Shape::Money
        | Shape::Texts
        | Shape::Integers(..)
        | Shape::Ranges
        | Shape::Pairs
        | Shape::Reference(_)
        | Shape::References(_)
        | Shape::Notes(_)
        | Shape::Nodes
        | Shape::Any => {
            let arg = arg.value_name(field.shape.placeholder()).value_parser(parser(field));
            if several { arg.action(ArgAction::Append) } else { arg }
        }
    }
}

fn flag(field: &Field) -> String {
    field.flag.replace('_', "-")
}

/// Reads a value as its shape says. Where several are taken, an empty text stands for none at all.
fn parser(field: &'static Field) -> ValueParser {
    let shape = field.shape;
    ValueParser::new(move |text: &str| match text {
        "" if shape.several() => Ok(Value::Null),
        _ => shape.read_text(text),
    })
}

/// Hidden flags for the fields that are fixed at creation, which say so.
pub fn fixed_args(kind: &'static Kind) -> Vec<Arg> {
    let fixed = |field: &&Field| field.presence.at_creation() && !field.presence.in_updates();
    let refuse = |_: &str| Err::<Value, _>("it is fixed at creation");
    let arg = |field: &'static Field| {
        Arg::new(field.key).long(flag(field)).value_name("VALUE").hide(true).value_parser(refuse)
    };
    kind.fields.iter().filter(fixed).map(arg).collect()
}

/// The flags for the parents under which a kind is created.
pub fn parent_args(kind: &'static Kind) -> Vec<Arg> {
    let help = |name: &str| format!("The {name} it is created in");
    kind.parents().into_iter().map(|name| place_arg(name, help(name))).collect()
}

/// The flags that narrow a list, for all kinds together.
pub fn scope_args() -> Vec<Arg> {
    let mut names: Vec<&'static str> = Vec::new();
    for name in kind::KINDS.iter().flat_map(|kind| kind.scopes()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| place_arg(name, format!("Only those of this {name}"))).collect()
}

fn place_arg(name: &'static str, help: String) -> Arg {
    Arg::new(name).long(name).value_name("NAME").help(help).help_heading(WHERE)
}

/// The parents that flags named.
pub fn read_parents(names: impl IntoIterator<Item = &'static str>, matches: &ArgMatches) -> Scope {
    let given = names.into_iter().filter_map(|name| {
        let value = matches.try_get_one::<String>(name).ok().flatten()?;
        Some((name, value.as_str()))
    });
    Scope::of(given)
}

/// Puts the fields that flags gave into a draft.
pub fn read_fields(draft: &mut Draft, matches: &ArgMatches) {
    for field in draft.kind.fields {
        if field.shape == Shape::Secret {
            if let Ok(Some(path)) = matches.try_get_one::<PathBuf>(field.key) {
                draft.files.insert(field.key, path.clone());
            }
        } else if let Ok(Some(given)) = matches.try_get_many::<Value>(field.key) {
            let mut given: Vec<Value> = given.filter(|value| !value.is_null()).cloned().collect();
            match (field.shape.several(), given.pop()) {
                (false, Some(last)) => draft.values.insert(field.key, last),
                (false, None) => None,
                (true, last) => {
                    given.extend(last);
                    draft.values.insert(field.key, Value::Array(given))
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::{Presence, find};

    fn read(kind: &str, arguments: &[&str]) -> Result<Draft, clap::Error> {
        let kind = find(kind).unwrap();
        let command = clap::Command::new("create")
            .no_binary_name(true)
            .args(field_args(kind, |field| field.presence != Presence::Observed))
            .args(parent_args(kind));
        let matches = command.try_get_matches_from(arguments)?;
        let mut draft = Draft::new(kind);
        draft.parents = read_parents(kind.parents(), &matches);
        read_fields(&mut draft, &matches);
        Ok(draft)
    }

    #[test]
    fn flags_become_values() {
        let draft = read(
            "compute",
            &[
                "--name=web",
                "--memory",
                "4G",
                "--public",
                "--uefi=false",
                "--zone",
                "z",
                "--anti-affinity-group=g",
            ],
        )
        .unwrap();
        assert_eq!(draft.values["memory"], json!(4_u64 << 30));
        assert_eq!((&draft.values["public"], &draft.values["uefi"]), (&json!(true), &json!(false)));
        assert_eq!(draft.values["anti_affinity_groups"], json!(["g"]));
        assert_eq!(draft.parents.get("zone"), Some("z"));
    }

    #[test]
    fn an_empty_text_empties_a_list() {
        assert_eq!(read("team", &["--user", ""]).unwrap().values["users"], json!([]));
        let draft = read("project", &["--tag", "a", "--tag", "b", "--metadata", "k=v"]).unwrap();
        assert_eq!(draft.values["tags"], json!(["a", "b"]));
        assert_eq!(draft.values["metadata"], json!([{ "key": "k", "value": "v" }]));
    }

    #[test]
    fn secrets_are_named_by_file_only() {
        let draft = read("project", &["--root-password-file", "/run/secret"]).unwrap();
        assert_eq!(draft.files["root_password"], PathBuf::from("/run/secret"));
        assert!(read("project", &["--root-password", "hunter2"]).is_err());
    }

    #[test]
    fn wrong_values_are_told_by_the_parser() {
        for (kind, arguments) in
            [("network", ["--vlan", "4095"]), ("agent", ["--type", "robot"]), ("volume", ["--size", "big"])]
        {
            assert_eq!(read(kind, &arguments).unwrap_err().exit_code(), 2);
        }
        assert_eq!(read("agent", &["--type", "Kaktus"]).unwrap().values["type"], "Kaktus");
    }
}
