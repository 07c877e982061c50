//! `delete`: objects, after a question.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::arguments::{PATIENCE, ScopeArgs, any_kind};
use super::create::read_files;
use crate::client::{Method, Request, Wait};
use crate::error::{Error, Failure, Result};
use crate::kind::Kind;
use crate::object::Object;
use crate::render::{age, duration};
use crate::session::{Session, Waiting};

/// The HTTP status of a removal that goes on.
const ACCEPTED: u16 = 202;

#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Kind of object; see `freehold explain`
    #[arg(value_parser = any_kind(), hide_possible_values = true, required_unless_present = "file")]
    kind: Option<&'static Kind>,
    /// Names or ids
    #[arg(value_name = "NAME", required_unless_present = "file")]
    names: Vec<String>,
    /// File whose documents are deleted, the last first
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["kind", "names"], value_hint = clap::ValueHint::FilePath)]
    file: Vec<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Wait until they are gone, at most so long [5m]
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "5m",
        value_parser = duration
    )]
    wait: Option<Duration>,
    /// Return once the controller has noted the wish
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &DeleteArgs, session: &Session<'_>) -> Result<ExitCode> {
    let doomed = find(args, session)?;
    if !args.yes {
        confirm(&doomed, session)?;
    }
    let mut code = ExitCode::SUCCESS;
    let mut failed = 0;
    for (kind, object) in &doomed {
        if let Err(error) = delete(kind, object, args, session) {
            if doomed.len() == 1 {
                return Err(error);
            }
            session.terminal.report(&error);
            failed += 1;
            if failed == 1 {
                code = ExitCode::from(error.failure().code());
            }
        }
    }
    if failed > 0 {
        session.terminal.note(&format!("{failed} of {} could not be deleted.", doomed.len()));
    }
    Ok(code)
}

/// Finds everything before anything is deleted.
fn find(args: &DeleteArgs, session: &Session<'_>) -> Result<Vec<(&'static Kind, Object)>> {
    if let Some(kind) = args.kind {
        let find = |name: &String| Ok((kind, session.directory.find(kind, name, &args.scope.0)?));
        return args.names.iter().map(find).collect();
    }
    let mut found = Vec::new();
    for draft in read_files(&args.file, session)?.into_iter().rev() {
        let name = draft.values.get("name").and_then(|name| name.as_str());
        let Some(text) = draft.id.as_deref().or(name) else {
            return Err(Error::usage(format!(
                "a document of kind {} has neither id nor name",
                draft.kind.name
            )));
        };
        match session.directory.find(draft.kind, text, &draft.parents) {
            Ok(object) => found.push((draft.kind, object)),
            Err(error) if error.failure() == Failure::NotFound => {
                session.terminal.note(&format!("{} {text} is gone already.", draft.kind.name));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn confirm(doomed: &[(&'static Kind, Object)], session: &Session<'_>) -> Result<()> {
    let subjects: Vec<_> =
        doomed.iter().map(|(kind, object)| format!("{} {}", kind.name, object.name())).collect();
    let question = match subjects.as_slice() {
        [] => return Ok(()),
        [one] => format!("Delete {one}?"),
        several => {
            session.terminal.note(&format!("  {}", several.join("\n  ")));
            format!("Delete these {}?", several.len())
        }
    };
    match session.terminal.confirm(&question)? {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(Failure::General, "nothing was deleted")),
        None => Err(Error::usage("a deletion needs a yes").hint("give `--yes` where nobody can be asked")),
    }
}

fn delete(kind: &'static Kind, object: &Object, args: &DeleteArgs, session: &Session<'_>) -> Result<()> {
    let subject = format!("{} {}", kind.name, object.name());
    let path = session.directory.path_of(kind, object.id())?;
    let wait = match (args.no_wait, args.wait) {
        (true, _) => Wait::No,
        (false, Some(limit)) => Wait::UpTo(limit),
        (false, None) => Wait::Default,
    };
    let waiting = Waiting::up_to(args.wait.unwrap_or(PATIENCE));
    let spinner = session.terminal.spinner(format!("deleting {subject}"));
    let answer = session
        .send(&format!("delete {subject}"), &Request::new(Method::Delete, path.as_str()).wait(wait))?;
    drop(spinner);
    if answer.status != ACCEPTED {
        session.terminal.note(&format!("Deleted {subject}."));
        return Ok(());
    }
    if args.no_wait {
        session.terminal.note(&format!("{} is being deleted.", object.name()));
        return Ok(());
    }
    let gone = session.poll(format!("{subject} is being deleted"), waiting, |_| {
        match session.client.get(path.as_str()) {
            Ok(_) => Ok(None),
            Err(error) if error.failure() == Failure::NotFound => Ok(Some(())),
            Err(error) => Err(error),
        }
    })?;
    match gone {
        Some(()) => {
            session.terminal.note(&format!("Deleted {subject}."));
            Ok(())
        }
        None => Err(Error::new(
            Failure::TimedOut,
            format!("{subject} is still being deleted after {}", age(waiting.limit)),
        )
        .hint("the controller goes on; see the nodes with `freehold status`")),
    }
}
