//! `create`: objects from flags or from documents.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde_json::Value;

use super::arguments::{ResultArgs, WaitArgs, file_arg, named_kind, usage_of, with_grammar};
use crate::directory::Scope;
use crate::draft::{self, Draft, Placement};
use crate::error::{Error, Result};
use crate::kind::{self, KINDS, Kind, fill, placeholders};
use crate::object::Object;
use crate::session::{Session, Shown, Waiting, read_secret, read_text, source_name};

/// The parents that may be given beside `-f`, for documents that do not name theirs.
const BESIDE_FILES: [&str; 3] = ["project", "region", "zone"];

#[derive(Debug)]
pub struct CreateArgs {
    source: Source,
    wait: WaitArgs,
    result: ResultArgs,
}

#[derive(Debug)]
enum Source {
    Flags(Box<Draft>),
    Files(Vec<PathBuf>, Scope),
}

impl Args for CreateArgs {
    fn augment_args(command: Command) -> Command {
        let command = ResultArgs::augment_args(WaitArgs::augment_args(command))
            .mut_arg("wait", |arg| arg.global(true))
            .mut_arg("output", |arg| arg.global(true))
            .arg(file_arg().required(true))
            .args(BESIDE_FILES.map(|name| {
                let help = format!("The {name} of documents that name none");
                Arg::new(name).long(name).value_name("NAME").help(help)
            }))
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
            .subcommand_value_name("KIND")
            .disable_help_subcommand(true)
            .override_usage(
                "freehold create <KIND> [OPTIONS]\n       freehold create --file <FILE> [OPTIONS]",
            )
            .subcommand_help_heading("Kinds");
        KINDS.iter().fold(command, |command, kind| {
            let inner = if kind.creates.is_empty() { refusing_command(kind) } else { kind_command(kind) };
            command.subcommand(inner)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// For what is not created by itself: takes anything, so that it can be said how it comes about.
fn refusing_command(kind: &'static Kind) -> Command {
    let anything = Arg::new("anything").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true);
    Command::new(kind.name).about(kind.about).hide(true).arg(anything.hide(true))
}

fn kind_command(kind: &'static Kind) -> Command {
    let command = Command::new(kind.name)
        .about(kind.about)
        .override_usage(usage_of("create", kind, |field| field.presence.required()))
        .aliases(kind.aliases)
        .alias(kind.plural)
        .arg(Arg::new("NAME").help("Its name").conflicts_with("name"))
        .args(draft::field_args(kind, |field| field.presence.at_creation()))
        .mut_args(|arg| {
            let required = kind.field(arg.get_id().as_str()).is_some_and(|field| field.presence.required());
            arg.required(required)
        })
        .mut_arg("name", |arg| arg.hide(true).required(false))
        .mut_arg("NAME", |arg| if kind.may_be_nameless() { arg } else { arg.required_unless_present("name") })
        .args(draft::parent_args(kind));
    with_grammar(command, kind)
}

impl FromArgMatches for CreateArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (inner, source) = if let Some((word, inner)) = matches.subcommand() {
            let mut draft = Draft::new(named_kind(word)?);
            draft.parents = draft::read_parents(draft.kind.parents(), inner);
            draft::read_fields(&mut draft, inner);
            if let Ok(Some(name)) = inner.try_get_one::<String>("NAME") {
                draft.values.insert("name", Value::from(name.as_str()));
            }
            (inner, Source::Flags(Box::new(draft)))
        } else {
            let files = matches.get_many::<PathBuf>("file").unwrap_or_default().cloned().collect();
            (matches, Source::Files(files, draft::read_parents(BESIDE_FILES, matches)))
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

pub(super) fn run(args: &CreateArgs, session: &Session<'_>) -> Result<()> {
    let (drafts, beside) = match &args.source {
        Source::Flags(draft) => (vec![Draft::clone(draft)], &Scope::EMPTY),
        Source::Files(files, beside) => (read_files(files, session)?, beside),
    };
    let mut found = Vec::new();
    for draft in &drafts {
        let subject = draft.subject();
        found.extend(draft.faults_of_creation().into_iter().map(|fault| format!("{subject}: {fault}")));
    }
    if !found.is_empty() {
        return Err(Error::usage(found.join("\n")).hint("see the fields with `freehold explain KIND`"));
    }
    for mut draft in drafts {
        read_secrets(&mut draft, session)?;
        let object = create(&draft, beside, args.wait, session)?;
        if let Some(format) = args.result.output {
            session.print(draft.kind, &[object], Shown { format, secrets: false }, true)?;
        }
    }
    Ok(())
}

/// Reads the documents of all files, before anything is done.
pub(super) fn read_files(files: &[PathBuf], session: &Session<'_>) -> Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    for file in files {
        drafts.extend(draft::read_documents(&source_name(file), &read_text(file, session.terminal)?)?);
    }
    Ok(drafts)
}

/// Replaces the files that hold secrets by the secrets.
pub(super) fn read_secrets(draft: &mut Draft, session: &Session<'_>) -> Result<()> {
    for (key, path) in std::mem::take(&mut draft.files) {
        draft.values.insert(key, Value::from(read_secret(&path, session.terminal)?.into_inner()));
    }
    Ok(())
}

fn create(draft: &Draft, beside: &Scope, wait: WaitArgs, session: &Session<'_>) -> Result<Object> {
    let subject = draft.subject();
    let failed = |error: Error| error.during(format!("cannot create {subject}"));
    let placement = draft::place(draft.kind, &named(draft, beside), &session.defaults)?;
    let parents = settle(draft.kind, placement.clone(), session).map_err(failed)?;
    let path = fill(placement.template, |name| parents.get(name).map(str::to_owned))
        .map_err(|name| Error::usage(format!("the {name} of {subject} is not known")))?;
    let lookup = |kind: &'static Kind, text: &str| {
        let mut around = parents.clone();
        if let Some(pool) = draft.values.get("pool").and_then(Value::as_str) {
            let pool_kind = kind::find("storage-pool")?;
            if kind.name != pool_kind.name {
                around.insert("pool", session.directory.id_of(pool_kind, pool, &parents)?);
            }
        }
        session.directory.id_of(kind, text, &around)
    };
    let request = draft.creation(path, &lookup).map_err(failed)?.wait(wait.prefer());
    let waiting = wait.wait.map(Waiting::up_to);
    let spinner = session.terminal.spinner(format!("creating {subject}"));
    let object =
        session.client.send(&request).and_then(|answer| Object::from_json(answer.body)).map_err(failed)?;
    drop(spinner);
    session.directory.forget();
    session.terminal.note(&format!("Created {subject} ({}).", object.id()));
    if let (Some(waiting), Some(goal)) = (waiting, draft.kind.activity.goal()) {
        session.await_state(draft.kind, &object, &[goal], waiting)?;
        session.terminal.note(&format!("{} is {}.", object.name(), goal.to_lowercase()));
    }
    Ok(object)
}

/// The parents that a draft names, and those beside its file that it could have named as well.
fn named(draft: &Draft, beside: &Scope) -> Scope {
    let together = |one: &str, other: &str| {
        let has = |template: &'static str, name: &str| placeholders(template).any(|part| part == name);
        draft.kind.creates.iter().any(|template| has(template, one) && has(template, other))
    };
    let mut named = draft.parents.clone();
    // In their order the project comes first: what is in a project or else in a region is in the project.
    for (name, value) in beside.iter() {
        let known = draft.kind.parents().contains(&name) && draft.parents.get(name).is_none();
        let joins = draft.parents.iter().all(|(other, _)| together(other, name));
        let spare = named.get("project").is_some() && !together("project", name);
        if known && joins && !spare {
            named.insert(name, value.to_owned());
        }
    }
    named
}

/// The ids of all parents. One that is neither named nor defaulted is no question when there is only one.
fn settle(kind: &'static Kind, placement: Placement, session: &Session<'_>) -> Result<Scope> {
    let mut ids = Scope::EMPTY;
    for (name, text) in placement.parents.iter() {
        let id = session.directory.id_of(kind::find(name)?, text, &ids)?;
        ids.insert(name, id);
    }
    for name in placement.missing {
        let parent = kind::find(name)?;
        let all = session.directory.list(parent, &Scope::EMPTY)?;
        match all.as_slice() {
            [only] => {
                session.terminal.note(&format!("Using {} {}, the only one.", parent.name, only.name()));
                ids.insert(name, only.id().to_owned());
            }
            [] => {
                return Err(Error::usage(format!("there is no {} yet", parent.name))
                    .hint(format!("create one with `freehold create {}`", parent.name)));
            }
            several => {
                let names = several.iter().take(8).map(Object::name).collect::<Vec<_>>().join(", ");
                let more = if several.len() > 8 { ", …" } else { "" };
                return Err(Error::usage(format!("a {} is created in a {name}: which one?", kind.name))
                    .hint(format!("give `--{name} NAME`; there are {names}{more}")));
            }
        }
    }
    Ok(ids)
}
