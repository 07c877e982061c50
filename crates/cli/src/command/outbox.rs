//! `outbox`: the mails that the controller sends.
//!
//! A mail may hold a key or a link that opens a door: its text is shown when it is asked for, one at a time.

use clap::{Args, Subcommand};
use freehold_types::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::arguments::OutputArgs;
use crate::client::{Method, Request};
use crate::error::{Error, Failure, Result};
use crate::render::{Format, Line, Style, Table, TableCell, age, block, json, lines, ordered, yaml};
use crate::session::Session;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct OutboxArgs {
    #[command(subcommand)]
    command: Option<OutboxCommand>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// Show all mails, without their text
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show one mail with its text
    Show {
        /// Its id, or the end of it; the newest when none is given
        id: Option<String>,
    },
    /// Send mails again
    Retry {
        /// Their ids, or the ends of them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Delete mails
    Delete {
        /// Their ids, or the ends of them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
}

#[derive(Debug, Deserialize)]
struct Mail {
    id: String,
    #[serde(default)]
    to: Option<String>,
    subject: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    created_at: Value,
    #[serde(default)]
    state: String,
    #[serde(default)]
    attempts: u32,
    /// Why the last attempt failed.
    #[serde(default)]
    error: Option<String>,
}

pub(super) fn run(args: &OutboxArgs, session: &Session<'_>) -> Result<()> {
    let mut answer = session.client.get("/outbox").map_err(|error| error.during("cannot read the outbox"))?;
    let mut mails: Vec<Mail> = serde_json::from_value(answer.clone())
        .map_err(|error| Error::new(Failure::General, "the outbox cannot be understood").because(error))?;
    mails.sort_by(|a, b| a.id.cmp(&b.id));
    let change = |ids: &[String], verb: &str, method: Method, suffix: &str, told: &str| {
        let found = ids.iter().map(|id| find(&mails, Some(id))).collect::<Result<Vec<_>>>()?;
        for mail in found {
            let request = Request::new(method, format!("/outbox/{}{suffix}", mail.id));
            session.send(&format!("{verb} mail {}", mail.id), &request)?;
            session.terminal.note(&format!("Mail {} is {told}.", mail.id));
        }
        Ok(())
    };
    let output = match &args.command {
        Some(OutboxCommand::Show { id }) => {
            return session.terminal.print(&show(find(&mails, id.as_deref())?));
        }
        Some(OutboxCommand::Retry { ids }) => {
            return change(ids, "send", Method::Patch, "/retry", "sent again");
        }
        Some(OutboxCommand::Delete { ids }) => return change(ids, "delete", Method::Delete, "", "deleted"),
        Some(OutboxCommand::List { output }) => output,
        None => &args.output,
    };
    if mails.is_empty() && matches!(output.output, Format::Table | Format::Wide) {
        session.terminal.note("There are no mails.");
    }
    for mail in answer.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        mail.remove("text");
    }
    let text = match output.output {
        Format::Table | Format::Wide => list(&mails, Timestamp::now()),
        Format::Json => json(&answer)?,
        Format::Yaml => yaml(&ordered(&[answer])?)?,
        Format::Name => lines(mails.iter().map(|mail| &mail.subject)),
        Format::Id => lines(mails.iter().map(|mail| &mail.id)),
    };
    session.terminal.print(&text)
}

fn find<'a>(mails: &'a [Mail], id: Option<&str>) -> Result<&'a Mail> {
    let Some(id) = id else {
        return mails.last().ok_or_else(|| Error::new(Failure::NotFound, "the outbox is empty"));
    };
    let found: Vec<_> = mails.iter().filter(|mail| mail.id.ends_with(id)).collect();
    match found.as_slice() {
        [mail] => Ok(mail),
        [] => Err(Error::new(Failure::NotFound, format!("there is no mail `{id}`"))
            .hint("see the mails with `freehold outbox`")),
        several => {
            Err(Error::usage(format!("{} mails end with `{id}`", several.len())).hint("give more of the id"))
        }
    }
}

fn list(mails: &[Mail], now: Timestamp) -> String {
    let mut table = Table::new(["ID", "AGE", "STATE", "TO", "SUBJECT"]);
    for mail in mails {
        let style = match mail.state.as_str() {
            "sent" => Style::Good,
            "failed" => Style::Bad,
            _ => Style::Plain,
        };
        let state = TableCell { text: mail.state.clone(), style };
        let created = moment(&mail.created_at).map(|at| age(now.since(at))).unwrap_or_default();
        let to = mail.to.clone().unwrap_or_default();
        table.row([mail.id.clone().into(), created.into(), state, to.into(), mail.subject.clone().into()]);
    }
    table.render()
}

fn show(mail: &Mail) -> String {
    let head = block(
        &[
            Line::new("Id", mail.id.clone()),
            Line::new("To", mail.to.clone().unwrap_or_default()),
            Line::new("Subject", mail.subject.clone()),
            Line::new("Created", moment(&mail.created_at).map(|at| at.to_string()).unwrap_or_default()),
            Line::new("State", mail.state.clone()),
            Line::new("Attempts", mail.attempts.to_string()),
            Line::new("Trouble", mail.error.clone().unwrap_or_default()),
        ],
        0,
    );
    format!("{head}\n{}\n", mail.text.trim_end())
}

/// A point in time: milliseconds since 1970, or RFC 3339.
pub(super) fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(millis) => millis.as_u64().map(Timestamp::from_millis),
        Value::String(text) => {
            let at: jiff::Timestamp = text.parse().ok()?;
            u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_millis)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mails() -> Vec<Mail> {
        serde_json::from_value(json!([
            { "id": "0123456789abcdef01234567", "to": "a@b.org", "subject": "Welcome", "text": "Hello\n",
              "created_at": 0, "state": "sent", "attempts": 1 },
            { "id": "0123456789abcdef01234568", "to": null, "subject": "New agent key", "text": "key",
              "created_at": "1970-01-01T00:01:00Z", "state": "queued", "attempts": 0 },
        ]))
        .unwrap()
    }

    #[test]
    fn mails_are_told() {
        let mails = mails();
        let text = list(&mails, Timestamp::from_millis(300_000)) + "\n" + &show(&mails[0]);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn a_mail_is_found_by_the_end_of_its_id() {
        let mails = mails();
        assert_eq!(find(&mails, Some("567")).unwrap().subject, "Welcome");
        assert_eq!(find(&mails, None).unwrap().subject, "New agent key");
        assert!(find(&mails, Some("0")).is_err());
        assert!(find(&[], None).is_err());
    }
}
