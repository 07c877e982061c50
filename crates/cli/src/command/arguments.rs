//! Arguments that several commands share.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::client::Wait;
use crate::directory::Scope;
use crate::draft::{read_parents, scope_args};
use crate::kind::{self, Field, KINDS, Kind, Presence, Shape};
use crate::render::{Format, duration};

/// How long `--wait` waits when it does not say.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// The place in the help of flags that many commands share: after those of the command.
const LAST: usize = 900;

/// `-o`, with a table as default.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// One of table, wide, json, yaml, name, id [table]
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "table",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub output: Format,
}

/// `-o`, with nothing as default.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct ResultArgs {
    /// Print the result: table, wide, json, yaml, name, id
    #[arg(short, long, value_enum, value_name = "FORMAT", hide_possible_values = true, display_order = LAST)]
    pub output: Option<Format>,
}

/// `--wait`.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct WaitArgs {
    /// Wait until it is done, at most so long [5m]
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "5m",
        value_parser = duration,
        display_order = LAST
    )]
    pub wait: Option<Duration>,
}

impl WaitArgs {
    /// What the controller is asked for.
    pub(super) fn prefer(self) -> Wait {
        self.wait.map_or(Wait::Default, Wait::UpTo)
    }
}

/// The flags that narrow a list: `--project`, `--region` and so on.
#[derive(Debug, Clone)]
pub(super) struct ScopeArgs(pub Scope);

impl Args for ScopeArgs {
    fn augment_args(command: Command) -> Command {
        command.args(scope_args())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ScopeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let names: Vec<&'static str> = KINDS.iter().flat_map(|kind| kind.scopes()).collect();
        Ok(Self(read_parents(names, matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads a kind that `wanted` selects.
pub(super) fn kind_parser(wanted: fn(&Kind) -> bool) -> impl TypedValueParser<Value = &'static Kind> {
    let words = KINDS
        .iter()
        .filter(|kind| wanted(kind))
        .map(|kind| PossibleValue::new(kind.name).alias(kind.plural).aliases(kind.aliases.iter().copied()));
    PossibleValuesParser::new(words).try_map(|word| kind::find(&word).map_err(|error| error.to_string()))
}

/// Any kind.
pub(super) fn any_kind() -> impl TypedValueParser<Value = &'static Kind> {
    kind_parser(|_| true)
}

/// `-f`.
pub(super) fn file_arg() -> Arg {
    Arg::new("file")
        .short('f')
        .long("file")
        .value_name("FILE")
        .help("File with documents, YAML or JSON; `-` is standard input (repeatable)")
        .action(clap::ArgAction::Append)
        .value_hint(clap::ValueHint::FilePath)
        .value_parser(clap::value_parser!(std::path::PathBuf))
}

/// The kind that a subcommand is named after.
pub(super) fn named_kind(word: &str) -> Result<&'static Kind, clap::Error> {
    kind::find(word).map_err(|error| clap::Error::raw(clap::error::ErrorKind::InvalidSubcommand, error))
}

/// Says at the end of a command's help how the short texts of a kind are written, where it has any.
pub(super) fn with_grammar(command: Command, kind: &'static Kind) -> Command {
    let mut told: Vec<(&str, &str)> = Vec::new();
    for field in kind.fields.iter().filter(|field| field.presence != Presence::Observed) {
        if let Shape::Notes(notation) = field.shape
            && !told.contains(&(notation.placeholder(), notation.grammar()))
        {
            told.push((notation.placeholder(), notation.grammar()));
        }
    }
    let told: Vec<_> =
        told.iter().map(|(word, text)| format!("{word}:\n  {}", text.replace('\n', "\n  "))).collect();
    if told.is_empty() { command } else { command.after_help(told.join("\n")) }
}

/// The usage of a command that makes or changes objects of a kind: its name, then what must be given.
pub(super) fn usage_of(verb: &str, kind: &'static Kind, required: fn(&Field) -> bool) -> String {
    const WIDTH: usize = 80;
    const INDENT: usize = "Usage: ".len();
    let optional = verb == "create" && kind.may_be_nameless();
    let mut parts = vec![if optional { "[NAME]" } else { "<NAME>" }.to_owned()];
    for field in kind.fields.iter().filter(|field| field.key != "name" && required(field)) {
        let value = if matches!(field.shape, Shape::Choice(_)) {
            "WORD".to_owned()
        } else {
            field.shape.placeholder()
        };
        parts.push(format!("--{} <{value}>", field.flag.replace('_', "-")));
    }
    parts.push("[OPTIONS]".to_owned());
    let mut lines = vec![format!("freehold {verb} {}", kind.name)];
    for part in parts {
        match lines.last_mut() {
            Some(line) if INDENT + line.len() + 1 + part.len() <= WIDTH => {
                line.push(' ');
                line.push_str(&part);
            }
            _ => lines.push(format!("{:INDENT$}  {part}", "")),
        }
    }
    lines.join("\n")
}
