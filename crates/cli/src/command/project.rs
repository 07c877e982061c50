//! `usage` and `cost` of a project.

use clap::Args;
use serde_json::Value;

use super::arguments::OutputArgs;
use crate::directory::Scope;
use crate::error::Result;
use crate::kind::{self, AMOUNTS};
use crate::object::Object;
use crate::render::{Format, Style, Table, TableCell, json, label_of, ordered, yaml};
use crate::session::Session;

#[derive(Debug, Args)]
pub struct UsageArgs {
    /// Name or id; the default project when none is given
    #[arg(value_name = "PROJECT")]
    name: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct CostArgs {
    /// Name or id; the default project when none is given
    #[arg(value_name = "PROJECT")]
    name: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn usage(args: &UsageArgs, session: &Session<'_>) -> Result<()> {
    let project = find(args.name.as_deref(), session)?;
    let used = read(&project, "usage", session)?;
    let text = match args.output.output {
        Format::Table | Format::Wide | Format::Name | Format::Id => usage_table(&used, project.at("quotas")),
        Format::Json => json(&used)?,
        Format::Yaml => yaml(&ordered(&[used])?)?,
    };
    session.terminal.print(&text)
}

pub(super) fn cost(args: &CostArgs, session: &Session<'_>) -> Result<()> {
    let project = find(args.name.as_deref(), session)?;
    let cost = read(&project, "cost", session)?;
    let text = match args.output.output {
        Format::Table | Format::Wide | Format::Name | Format::Id => {
            format!("{} per month\n", kind::Shape::Money.show(&cost, &|_, _| None))
        }
        Format::Json => json(&cost)?,
        Format::Yaml => yaml(&ordered(&[cost])?)?,
    };
    session.terminal.print(&text)
}

fn find(name: Option<&str>, session: &Session<'_>) -> Result<Object> {
    let name = name.or(session.defaults.project.as_deref()).ok_or_else(|| {
        crate::error::Error::usage("which project?").hint("name it, or give the context a default project")
    })?;
    session.directory.find(kind::find("project")?, name, &Scope::EMPTY)
}

fn read(project: &Object, what: &str, session: &Session<'_>) -> Result<Value> {
    session
        .client
        .get(format!("/project/{}/{what}", project.id()))
        .map_err(|error| error.during(format!("cannot read the {what} of project {}", project.name())))
}

/// What is used beside what may be. Pure.
fn usage_table(used: &Value, quotas: &Value) -> String {
    let mut table = Table::new(["RESOURCE", "USED", "QUOTA", "SHARE"]);
    for field in AMOUNTS {
        let amount = |value: &Value| value.get(field.wire).and_then(Value::as_u64).unwrap_or_default();
        let show = |number: u64| field.shape.show(&number.into(), &|_, _| None);
        let (used, quota) = (amount(used), amount(quotas));
        let share = (u128::from(used) * 100).checked_div(u128::from(quota));
        let style = match share {
            Some(100..) => Style::Bad,
            Some(80..) => Style::Changing,
            _ => Style::Plain,
        };
        table.row([
            label_of(field.key).into(),
            show(used).into(),
            if quota == 0 { "unlimited".to_owned() } else { show(quota) }.into(),
            TableCell { text: share.map(|share| format!("{share}%")).unwrap_or_default(), style },
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_stands_beside_the_quotas() {
        let used = json!({ "instances": 3, "vcpus": 8, "memory": 5_u64 << 30, "storage": 1_u64 << 40 });
        let quotas = json!({ "instances": 0, "vcpus": 8, "memory": 6_u64 << 30, "storage": 0 });
        let table = usage_table(&used, &quotas);
        insta::assert_snapshot!(anstream::adapter::strip_str(&table).to_string(), @r"
        RESOURCE   USED   QUOTA      SHARE
        Instances  3      unlimited  -
        vCPUs      8      8          100%
        Memory     5 GiB  6 GiB      83%
        Storage    1 TiB  unlimited  -
        ");
    }
}
