//! `update`: fields of an object.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::arguments::{ResultArgs, WaitArgs, file_arg, named_kind, usage_of, with_grammar};
use super::create::{read_files, read_secrets};
use crate::directory::Scope;
use crate::draft::{self, Draft};
use crate::error::{Error, Result};
use crate::kind::{KINDS, Kind};
use crate::object::Object;
use crate::session::{Session, Shown};

#[derive(Debug)]
pub struct UpdateArgs {
    source: Source,
    wait: WaitArgs,
    result: ResultArgs,
}

#[derive(Debug)]
enum Source {
    Flags { name: String, draft: Box<Draft> },
    Files(Vec<PathBuf>),
}

impl Args for UpdateArgs {
    fn augment_args(command: Command) -> Command {
        let command = ResultArgs::augment_args(WaitArgs::augment_args(command))
            .mut_arg("wait", |arg| arg.global(true))
            .mut_arg("output", |arg| arg.global(true))
            .arg(file_arg().required(true))
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
            .subcommand_value_name("KIND")
            .disable_help_subcommand(true)
            .override_usage(
                "freehold update <KIND> [OPTIONS]\n       freehold update --file <FILE> [OPTIONS]",
            )
            .subcommand_help_heading("Kinds");
        KINDS.iter().fold(command, |command, kind| command.subcommand(kind_command(kind)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn kind_command(kind: &'static Kind) -> Command {
    let command = Command::new(kind.name)
        .about(kind.about)
        .override_usage(usage_of("update", kind, |_| false))
        .aliases(kind.aliases)
        .alias(kind.plural)
        .arg(Arg::new("NAME").help("Its name or id").required(true))
        .args(draft::field_args(kind, |field| field.presence.in_updates()))
        .mut_arg("name", |arg| arg.help("Its new name"))
        .args(draft::fixed_args(kind));
    with_grammar(command, kind)
}

impl FromArgMatches for UpdateArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (inner, source) = if let Some((word, inner)) = matches.subcommand() {
            let mut draft = Draft::new(named_kind(word)?);
            draft::read_fields(&mut draft, inner);
            let name = inner.get_one::<String>("NAME").cloned().unwrap_or_default();
            (inner, Source::Flags { name, draft: Box::new(draft) })
        } else {
            let files = matches.get_many::<PathBuf>("file").unwrap_or_default().cloned().collect();
            (matches, Source::Files(files))
        };
        Ok(Self {
            source,
            wait: WaitArgs::from_arg_matches(inner)?,
            result: ResultArgs::from_arg_matches(inner)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub(super) fn run(args: &UpdateArgs, session: &Session<'_>) -> Result<()> {
    match &args.source {
        Source::Flags { name, draft } => {
            if draft.changes_nothing() && draft.files.is_empty() {
                return Err(Error::usage(format!("nothing of {} {name} is to be changed", draft.kind.name))
                    .hint(format!(
                        "see what can be changed with `freehold update {} --help`",
                        draft.kind.name
                    )));
            }
            let object = session.directory.find(draft.kind, name, &Scope::EMPTY)?;
            update(Draft::clone(draft), &object, args, session)
        }
        Source::Files(files) => {
            for (draft, object) in find_all(read_files(files, session)?, session)? {
                update(draft, &object, args, session)?;
            }
            Ok(())
        }
    }
}

/// Finds the objects of all documents, by id where one is given, else by name, before any is changed.
fn find_all(drafts: Vec<Draft>, session: &Session<'_>) -> Result<Vec<(Draft, Object)>> {
    let find = |draft: Draft| {
        let name = draft.values.get("name").and_then(|name| name.as_str());
        let Some(text) = draft.id.as_deref().or(name) else {
            return Err(Error::usage(format!(
                "a document of kind {} has neither id nor name",
                draft.kind.name
            )));
        };
        let object = session.directory.find(draft.kind, text, &draft.parents)?;
        Ok((draft, object))
    };
    drafts.into_iter().map(find).collect()
}

fn update(mut draft: Draft, object: &Object, args: &UpdateArgs, session: &Session<'_>) -> Result<()> {
    read_secrets(&mut draft, session)?;
    let kind = draft.kind;
    let subject = format!("{} {}", kind.name, object.name());
    let lookup = |kind: &'static Kind, text: &str| session.directory.id_of(kind, text, &Scope::EMPTY);
    let path = session.directory.path_of(kind, object.id())?;
    let changed = if let Some(request) = draft.update(object, path, &lookup)? {
        let answer = session.send(&format!("update {subject}"), &request.wait(args.wait.prefer()))?;
        session.directory.forget();
        session.terminal.note(&format!("Updated {subject}."));
        Object::from_json(answer.body)?
    } else {
        session.terminal.note(&format!("Nothing to change in {subject}."));
        object.clone()
    };
    match args.result.output {
        Some(format) => session.print(kind, &[changed], Shown { format, secrets: false }, true),
        None => Ok(()),
    }
}
