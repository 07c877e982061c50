//! `explain`: the kinds and their fields, from the tables themselves.

use clap::Args;

use super::arguments::any_kind;
use crate::error::Result;
use crate::kind::{Field, KINDS, Kind, Presence, Shape, placeholders};
use crate::render::{Line, Table, block, lines};
use crate::terminal::Terminal;

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Kind of object; all kinds when none is given
    #[arg(value_parser = any_kind(), hide_possible_values = true)]
    kind: Option<&'static Kind>,
}

pub(super) fn run(args: &ExplainArgs, terminal: &Terminal) -> Result<()> {
    terminal.print(&args.kind.map_or_else(kinds, explain))
}

fn kinds() -> String {
    let mut table = Table::new(["KIND", "WHAT IT IS"]);
    for kind in KINDS {
        table.row([kind.name, kind.about]);
    }
    table.render()
}

fn explain(kind: &'static Kind) -> String {
    let ways = |templates: &[&'static str]| {
        let ways = templates.iter().map(|template| placeholders(template).collect::<Vec<_>>().join(" and "));
        ways.filter(|way| !way.is_empty()).collect::<Vec<_>>()
    };
    let mut head = vec![Line::new("Kind", kind.name), Line::new("What it is", kind.about)];
    if !kind.aliases.is_empty() {
        head.push(Line::new("Also", kind.aliases.join(", ")));
    }
    match (kind.made_by, ways(kind.creates)) {
        ("", ways) if ways.is_empty() => {}
        ("", ways) => head.push(Line::several("Created in", ways)),
        (made_by, _) => head.push(Line::new("Created by", made_by)),
    }
    let listed = ways(kind.within);
    if !listed.is_empty() {
        head.push(Line::several("Listed by", listed));
    }
    let bold = anstyle::Style::new().bold();
    let mut told =
        vec![format!("{}\n{bold}Fields of its documents{bold:#} (* must be given)", block(&head, 0))];
    for field in kind.fields {
        let star = if field.presence.required() { "*" } else { "" };
        told.push(format!("  {bold}{}{bold:#}{star}  {}\n      {}", field.key, traits(field), field.help));
    }
    lines(told)
}

fn traits(field: &Field) -> String {
    let value = match field.shape {
        Shape::Text => "text".to_owned(),
        Shape::Secret => "secret text".to_owned(),
        Shape::Integer(low, high) if high == u64::from(u32::MAX) => format!("whole number from {low}"),
        Shape::Integer(low, high) => format!("{low} to {high}"),
        Shape::Size => "size, as 20G".to_owned(),
        Shape::Boolean => "true or false".to_owned(),
        Shape::Choice(_) => field.shape.placeholder().replace('|', ", "),
        Shape::Date => "date, as 2027-01-31".to_owned(),
        Shape::Money => "price, as 120 EUR".to_owned(),
        Shape::Texts => "texts".to_owned(),
        Shape::Integers(low, high) => format!("numbers, {low} to {high}"),
        Shape::Ranges => "address ranges, as 10.0.0.1-10.0.0.9".to_owned(),
        Shape::Pairs => "mapping".to_owned(),
        Shape::Reference(kind) => format!("{kind}, by name or id"),
        Shape::References(kind) => format!("{kind}s, by name or id"),
        Shape::Notes(_) => "texts or mappings".to_owned(),
        Shape::Nodes | Shape::Any => "value".to_owned(),
    };
    let when = match field.presence {
        Presence::Required | Presence::Optional => "",
        Presence::RequiredOnce | Presence::Once => ", fixed at creation",
        Presence::Later => ", in updates",
        Presence::Observed => ", set by the controller",
    };
    value + when
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_kinds_are_told() {
        insta::assert_snapshot!(plain(&kinds()));
    }

    #[test]
    fn a_kind_is_told() {
        insta::assert_snapshot!(plain(&explain(crate::kind::find("compute").unwrap())));
    }

    #[test]
    fn everything_fits_a_terminal() {
        for text in KINDS.iter().map(|kind| explain(kind)).chain([kinds()]) {
            for line in plain(&text).lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}
