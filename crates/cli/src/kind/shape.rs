//! The shapes of values: how each is read from a flag or a document, sent, and shown.
//!
//! Reading gives the value as it is sent, save that references still are names or ids. Pure.

use freehold_types::{secret::Secret, size};
use serde_json::{Map, Number, Value, json};

use super::notation::Notation;
use crate::near::nearest;

/// The shape of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// Text that must not be seen: read from a file, shown as `[secret]`.
    Secret,
    /// A whole number within bounds.
    Integer(u64, u64),
    /// A size in bytes, written as 20G.
    Size,
    /// Yes or no.
    Boolean,
    /// One of some words: ours, and the wire's.
    Choice(&'static [(&'static str, &'static str)]),
    /// A day, written as 2027-01-31.
    Date,
    /// A price and its currency, written as `120 EUR`.
    Money,
    /// Several texts.
    Texts,
    /// Several whole numbers within bounds.
    Integers(u64, u64),
    /// Several address ranges, written as `10.0.0.1-10.0.0.9`.
    Ranges,
    /// Several keys with values, written as `key=value`.
    Pairs,
    /// An object of a kind.
    Reference(&'static str),
    /// Several objects of a kind.
    References(&'static str),
    /// How far nodes are: objects with `agent`, `phase` and `message`.
    Nodes,
    /// Several structured values, each with a short text of its own.
    Notes(Notation),
    /// Whatever the controller says.
    Any,
}

impl Shape {
    /// Whether it holds several values; its flag may then be repeated.
    pub const fn several(self) -> bool {
        matches!(
            self,
            Self::Texts
                | Self::Integers(..)
                | Self::Ranges
                | Self::Pairs
                | Self::References(_)
                | Self::Notes(_)
        )
    }

    /// The kind that it refers to.
    pub const fn target(self) -> Option<&'static str> {
        match self {
            Self::Reference(kind) | Self::References(kind) => Some(kind),
            Self::Nodes => Some("agent"),
            Self::Notes(notation) => notation.target(),
            Self::Text
            | Self::Secret
            | Self::Integer(..)
            | Self::Size
            | Self::Boolean
            | Self::Choice(_)
            | Self::Date
            | Self::Money
            | Self::Texts
            | Self::Integers(..)
            | Self::Ranges
            | Self::Pairs
            | Self::Any => None,
        }
    }

    /// What stands for the value in help texts.
    pub fn placeholder(self) -> String {
        match self {
            Self::Text | Self::Texts | Self::Nodes | Self::Any => "TEXT".to_owned(),
            Self::Secret => "FILE".to_owned(),
            Self::Integer(..) | Self::Integers(..) => "NUMBER".to_owned(),
            Self::Size => "SIZE".to_owned(),
            Self::Boolean => "BOOL".to_owned(),
            Self::Choice(choices) => words(choices).collect::<Vec<_>>().join("|"),
            Self::Date => "DATE".to_owned(),
            Self::Money => "PRICE".to_owned(),
            Self::Ranges => "FIRST-LAST".to_owned(),
            Self::Pairs => "KEY=VALUE".to_owned(),
            Self::Reference(_) | Self::References(_) => "NAME".to_owned(),
            Self::Notes(notation) => notation.placeholder().to_owned(),
        }
    }

    /// Reads one value as it is written in a flag. A shape of several values takes one of them.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn read_text(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Integer(low, high) | Self::Integers(low, high) => text
                .trim()
                .parse()
                .map_err(|_| format!("`{text}` is not a whole number"))
                .and_then(|number| bounded(number, low, high)),
            Self::Size => size::parse(text).map(Value::from),
            Self::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Ok(Value::Bool(true)),
                "false" | "no" | "off" => Ok(Value::Bool(false)),
                _ => Err(format!("`{text}` is neither true nor false")),
            },
            Self::Choice(choices) => choice(choices, text),
            Self::Date => text
                .parse::<jiff::civil::Date>()
                .map(|date| Value::from(date.to_string()))
                .map_err(|_| format!("`{text}` is not a day: write it as 2027-01-31")),
            Self::Money => money(text),
            Self::Ranges => range(text),
            Self::Pairs => match text.split_once('=') {
                Some((key, value)) if !key.is_empty() => Ok(json!({ "key": key, "value": value })),
                _ => Err(format!("`{text}` is not a pair: write it as key=value")),
            },
            Self::Notes(notation) => notation.read_text(text),
            Self::Reference(_) | Self::References(_) if text.is_empty() => {
                Err("a name or id is missing".to_owned())
            }
            Self::Text
            | Self::Secret
            | Self::Texts
            | Self::Reference(_)
            | Self::References(_)
            | Self::Nodes
            | Self::Any => Ok(Value::from(text)),
        }
    }

    /// Reads a value as it stands in a document. Everything that this crate prints is read back.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn read(self, value: &Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Any, _) | (Self::Boolean, Value::Bool(_)) => Ok(value.clone()),
            (Self::Pairs, Value::Object(pairs)) => pairs
                .iter()
                .map(|(key, value)| Ok(json!({ "key": key, "value": scalar(value)? })))
                .collect::<Result<_, String>>()
                .map(Value::Array),
            (_, Value::Array(items)) if self.several() => {
                items.iter().map(|item| self.read_item(item)).collect::<Result<_, _>>().map(Value::Array)
            }
            (_, Value::Null) if self.several() => Ok(json!([])),
            (_, Value::Object(_)) if !self.several() => self.read_item(value),
            _ if self.several() => self.read_item(value).map(|item| json!([item])),
            _ => self.read_text(&scalar(value)?),
        }
    }

    fn read_item(self, value: &Value) -> Result<Value, String> {
        let Value::Object(object) = value else { return self.read_text(&scalar(value)?) };
        let part =
            |name: &str| object.get(name).ok_or_else(|| format!("`{name}` is missing")).and_then(scalar);
        let known = |names: [&str; 2]| match object.keys().find(|key| !names.contains(&key.as_str())) {
            Some(key) => Err(format!("`{key}` is neither `{}` nor `{}`", names[0], names[1])),
            None => Ok(()),
        };
        match self {
            Self::Notes(notation) => notation.read_structure(object),
            Self::Money => {
                known(["price", "currency"])?;
                money(&format!("{} {}", part("price")?, part("currency")?))
            }
            Self::Ranges => {
                known(["first", "last"])?;
                Ok(json!({ "first": part("first")?, "last": part("last")? }))
            }
            Self::Pairs => {
                known(["key", "value"])?;
                Ok(json!({ "key": part("key")?, "value": part("value")? }))
            }
            Self::Text
            | Self::Secret
            | Self::Integer(..)
            | Self::Size
            | Self::Boolean
            | Self::Choice(_)
            | Self::Date
            | Self::Texts
            | Self::Integers(..)
            | Self::Reference(_)
            | Self::References(_)
            | Self::Nodes
            | Self::Any => Err("one value is expected, not a mapping".to_owned()),
        }
    }

    /// The value for people: units, our words, names in place of ids. `name` tells the name of an id.
    pub fn show(self, value: &Value, name: &dyn Fn(&str, &str) -> Option<String>) -> String {
        match (self, value) {
            (_, Value::Null) => String::new(),
            (Self::Secret, _) => Secret::new(()).to_string(),
            (_, Value::Array(items)) => {
                items.iter().map(|item| self.show(item, name)).collect::<Vec<_>>().join(", ")
            }
            (Self::Size, Value::Number(number)) => {
                number.as_u64().map_or_else(|| number.to_string(), size::display)
            }
            (Self::Boolean, Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
            (Self::Choice(choices), Value::String(wire)) => {
                our_word(choices, wire).unwrap_or(wire).to_owned()
            }
            (Self::Money, Value::Object(cost)) => {
                let price = cost.get("price").and_then(Value::as_f64).unwrap_or_default();
                format!("{price:.2} {}", cost.get("currency").and_then(Value::as_str).unwrap_or("EUR"))
            }
            (Self::Ranges, Value::Object(range)) => {
                format!("{}-{}", text_of(range.get("first")), text_of(range.get("last")))
            }
            (Self::Pairs, Value::Object(pair)) => {
                format!("{}={}", text_of(pair.get("key")), text_of(pair.get("value")))
            }
            (Self::Notes(notation), Value::Object(structure)) => notation.show(structure, name),
            (Self::Nodes, Value::Object(node)) => {
                let agent = text_of(node.get("agent"));
                let parts = [
                    name("agent", &agent).unwrap_or(agent),
                    text_of(node.get("phase")),
                    text_of(node.get("message")),
                ];
                parts
                    .iter()
                    .filter(|part| !part.is_empty())
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join("  ")
            }
            (Self::Reference(kind) | Self::References(kind), Value::String(id)) => {
                name(kind, id).unwrap_or_else(|| id.clone())
            }
            _ => text_of(Some(value)),
        }
    }

    /// The value for a table, where there is little room.
    pub fn brief(self, value: &Value, name: &dyn Fn(&str, &str) -> Option<String>) -> String {
        match (self, value) {
            (Self::Notes(_), Value::Array(items)) => {
                items.iter().map(|item| self.brief(item, name)).collect::<Vec<_>>().join(", ")
            }
            (Self::Notes(notation), Value::Object(structure)) => notation.brief(structure, name),
            _ => self.show(value, name),
        }
    }

    /// What of a value somebody can have wished for: of structures, neither what the controller adds, nor
    /// the defaults that it leaves out.
    pub fn wish(self, value: &Value) -> Value {
        let structured = matches!(self, Self::Notes(_));
        structured.then(|| self.read(value).ok()).flatten().unwrap_or_else(|| value.clone())
    }

    /// The value for documents: our words and plain bytes, readable again by [`Shape::read`].
    pub fn document(self, value: &Value) -> Value {
        match (self, value) {
            (Self::Choice(choices), Value::String(wire)) => our_word(choices, wire).unwrap_or(wire).into(),
            (Self::Ranges, Value::Array(ranges)) => ranges
                .iter()
                .map(|range| self.show(range, &|_, _| None).into())
                .collect::<Vec<Value>>()
                .into(),
            (Self::Notes(notation), Value::Array(items)) => items
                .iter()
                .map(|item| item.as_object().map_or_else(|| item.clone(), |item| notation.document(item)))
                .collect(),
            (Self::Pairs, Value::Array(pairs)) => pairs
                .iter()
                .map(|pair| (text_of(pair.get("key")), Value::from(text_of(pair.get("value")))))
                .collect::<Map<_, _>>()
                .into(),
            _ => value.clone(),
        }
    }
}

/// Our words of a choice.
pub(super) fn words(choices: &'static [(&'static str, &'static str)]) -> impl Iterator<Item = &'static str> {
    choices.iter().map(|(ours, _)| *ours)
}

fn our_word(choices: &'static [(&'static str, &'static str)], wire: &str) -> Option<&'static str> {
    choices.iter().find(|(_, theirs)| *theirs == wire).map(|(ours, _)| *ours)
}

fn choice(choices: &'static [(&'static str, &'static str)], text: &str) -> Result<Value, String> {
    let same = |word: &str| word.eq_ignore_ascii_case(text);
    choices
        .iter()
        .find(|(ours, wire)| same(ours) || same(wire))
        .map(|(_, wire)| Value::from(*wire))
        .ok_or_else(|| {
            let all = words(choices).collect::<Vec<_>>().join(", ");
            match nearest(text, words(choices)).first() {
                Some(near) => format!("`{text}` is none of {all}; did you mean `{near}`?"),
                None => format!("`{text}` is none of {all}"),
            }
        })
}

fn bounded(number: u64, low: u64, high: u64) -> Result<Value, String> {
    match number {
        _ if number < low => Err(format!("{number} is less than {low}")),
        _ if number > high => Err(format!("{number} is more than {high}")),
        _ => Ok(Value::from(number)),
    }
}

fn money(text: &str) -> Result<Value, String> {
    let fail = || format!("`{text}` is not a price: write it as `120 EUR`");
    let mut parts = text.split_whitespace();
    let price: f64 = parts.next().and_then(|price| price.parse().ok()).ok_or_else(fail)?;
    let currency = parts.next().unwrap_or("EUR");
    let code = currency.len() == 3 && currency.chars().all(|c| c.is_ascii_uppercase());
    match Number::from_f64(price) {
        Some(number) if price >= 0.0 && code && parts.next().is_none() => {
            Ok(json!({ "price": number, "currency": currency }))
        }
        _ => Err(fail()),
    }
}

fn range(text: &str) -> Result<Value, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let address = |text: &str| text.trim().parse::<std::net::IpAddr>().ok();
    match (address(first), address(last)) {
        (Some(first), Some(last)) if first <= last && first.is_ipv4() == last.is_ipv4() => {
            Ok(json!({ "first": first, "last": last }))
        }
        (Some(_), Some(_)) => Err(format!("the range `{text}` ends before it starts")),
        _ => Err(format!("`{text}` is not a range: write it as 10.0.0.1-10.0.0.9")),
    }
}

/// A scalar of a document as text.
pub(super) fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null => Err("a value is missing".to_owned()),
        Value::Array(_) => Err("one value is expected, not a list".to_owned()),
        Value::Object(_) => Err("one value is expected, not a mapping".to_owned()),
    }
}

pub(super) fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            value.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPES: Shape = Shape::Choice(&[("hypervisor", "Kaktus"), ("edge", "Kiwi")]);

    #[test]
    fn flags_are_read() {
        for (shape, text, value) in [
            (Shape::Size, "20G", json!(21_474_836_480_u64)),
            (Shape::Integer(0, 4094), "12", json!(12)),
            (Shape::Boolean, "yes", json!(true)),
            (TYPES, "Hypervisor", json!("Kaktus")),
            (TYPES, "kiwi", json!("Kiwi")),
            (Shape::Money, "120.5 CHF", json!({ "price": 120.5, "currency": "CHF" })),
            (Shape::Money, "3", json!({ "price": 3.0, "currency": "EUR" })),
            (Shape::Ranges, "10.0.0.1-10.0.0.9", json!({ "first": "10.0.0.1", "last": "10.0.0.9" })),
            (Shape::Pairs, "tier=web=1", json!({ "key": "tier", "value": "web=1" })),
            (Shape::Date, "2027-01-31", json!("2027-01-31")),
        ] {
            assert_eq!(shape.read_text(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn faults_say_how_it_is_written() {
        let mut all = Vec::new();
        for (shape, text) in [
            (Shape::Size, "20 apples"),
            (Shape::Integer(0, 4094), "4095"),
            (Shape::Integer(1, 8), "0"),
            (Shape::Integer(1, 8), "two"),
            (Shape::Boolean, "maybe"),
            (TYPES, "hypervisr"),
            (Shape::Money, "-1 EUR"),
            (Shape::Money, "12 euros"),
            (Shape::Ranges, "10.0.0.9-10.0.0.1"),
            (Shape::Ranges, "ten to twelve"),
            (Shape::Pairs, "tier"),
            (Shape::Date, "tomorrow"),
            (Shape::Reference("image"), ""),
        ] {
            all.push(format!("{}\n", shape.read_text(text).unwrap_err()));
        }
        insta::assert_snapshot!(all.concat());
    }

    #[test]
    fn documents_are_read_in_either_form() {
        let range = json!([{ "first": "10.0.0.1", "last": "10.0.0.9" }]);
        assert_eq!(Shape::Ranges.read(&json!("10.0.0.1-10.0.0.9")), Ok(range.clone()));
        assert_eq!(Shape::Ranges.read(&range), Ok(range));
        assert_eq!(Shape::Pairs.read(&json!({ "a": 1 })), Ok(json!([{ "key": "a", "value": "1" }])));
        assert_eq!(Shape::References("team").read(&json!("ops")), Ok(json!(["ops"])));
        assert_eq!(Shape::References("team").read(&json!(null)), Ok(json!([])));
        assert_eq!(Shape::Integers(3, 4).read(&json!([4, "3"])), Ok(json!([4, 3])));
        assert!(Shape::Integers(3, 4).read(&json!([2])).is_err());
        assert!(Shape::Text.read(&json!({ "a": 1 })).is_err());
        assert!(Shape::Money.read(&json!({ "price": 1, "currency": "EUR", "tax": 2 })).is_err());
    }

    #[test]
    fn values_are_shown_with_names_and_units() {
        let names = |_: &str, id: &str| (id == "1").then(|| "web".to_owned());
        assert_eq!(Shape::References("compute").show(&json!(["1", "2"]), &names), "web, 2");
        assert_eq!(Shape::Size.show(&json!(1_u64 << 31), &names), "2 GiB");
        assert_eq!(TYPES.show(&json!("Kaktus"), &names), "hypervisor");
        assert_eq!(Shape::Money.show(&json!({ "price": 12.5, "currency": "EUR" }), &names), "12.50 EUR");
        assert_eq!(Shape::Secret.show(&json!("hunter2"), &names), "[secret]");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            sizes in any::<u64>(),
            last in 1_u8..=255,
            pairs in proptest::collection::btree_map("[a-z]{1,5}", "[a-z=]{0,5}", 0..4),
        ) {
            let ranges = json!([{ "first": "10.0.0.1", "last": format!("10.0.0.{last}") }]);
            let pairs: Vec<Value> =
                pairs.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
            for (shape, wire) in [
                (Shape::Size, json!(sizes)),
                (TYPES, json!("Kaktus")),
                (Shape::Ranges, ranges),
                (Shape::Pairs, pairs.into()),
            ] {
                prop_assert_eq!(shape.read(&shape.document(&wire)), Ok(wire));
            }
        }
    }
}
