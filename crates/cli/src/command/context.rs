//! `context`: controllers, who one is there, and defaults.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Globals;
use super::arguments::OutputArgs;
use crate::context::{
    Authority, Context, Contexts, Credential, Defaults, Environment, Origin, Overrides, read_credentials,
    resolve,
};
use crate::error::{Error, Result};
use crate::render::{Format, Line, Table, block, json as to_json, lines, ordered, yaml};
use crate::terminal::Terminal;

#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// Show all contexts
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Make a context the current one
    Use {
        /// Its name
        name: String,
    },
    /// Show the context in use, or a named one
    Show {
        /// Its name; the one in use when none is given
        name: Option<String>,
    },
    /// Add a context, or change the given parts of one
    ///
    /// The parts are taken from `--url`, `--ca-file` and `--api-key-file`. The certificates and the key are
    /// copied into the file of contexts, which only its owner can read.
    Add(AddArgs),
    /// Remove contexts, with their credentials
    Remove {
        /// Their names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Add a context from the folder in which `freehold up` left its credentials
    Import {
        /// The folder; `.freehold` in the folder where `freehold up` ran
        #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
        folder: PathBuf,
        /// Name of the context
        #[arg(long, default_value = "local")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Project that is meant when none is named; empty for none
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Region that is meant when none is named; empty for none
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Zone that is meant when none is named; empty for none
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
}

pub(super) fn run(
    command: &ContextCommand,
    globals: &Globals,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<()> {
    let file = environment.file()?;
    let mut contexts = file.load()?;
    match command {
        ContextCommand::List { output } => return list(&contexts, output.output, terminal),
        ContextCommand::Show { name: Some(name) } => {
            let context = contexts.named(name)?;
            return terminal.print(&show(context, &Origin::Context(name.clone())));
        }
        ContextCommand::Show { name: None } => {
            let (connection, origin, defaults) = resolve(&globals.overrides(terminal)?, environment)?;
            let context = Context {
                url: connection.url,
                authority: connection.authority,
                credential: connection.credential,
                defaults,
            };
            return terminal.print(&show(&context, &origin));
        }
        ContextCommand::Use { name } => {
            contexts.named(name)?;
            contexts.current = Some(name.clone());
            terminal.note(&format!("Context {name} is current."));
        }
        ContextCommand::Add(args) => {
            check_name(&args.name)?;
            let context = changed(contexts.contexts.get(&args.name), args, globals.overrides(terminal)?)?;
            keep(&mut contexts, &args.name, context, terminal);
        }
        ContextCommand::Remove { names } => {
            for name in names {
                contexts.named(name)?;
                contexts.contexts.remove(name);
                if contexts.current.as_ref() == Some(name) {
                    contexts.current = None;
                }
                terminal.note(&format!("Removed context {name}."));
            }
        }
        ContextCommand::Import { folder, name } => {
            check_name(name)?;
            let path = credentials_in(folder)?;
            let mut context = read_credentials(&path)?;
            if let Some(former) = contexts.contexts.get(name) {
                context.defaults = former.defaults.clone();
            }
            keep(&mut contexts, name, context, terminal);
        }
    }
    file.save(&contexts)
}

/// Puts a context among the others.
fn keep(contexts: &mut Contexts, name: &str, context: Context, terminal: &Terminal) {
    if contexts.contexts.insert(name.to_owned(), context).is_some() {
        terminal.note(&format!("Changed context {name}."));
    } else {
        settle(contexts, name, terminal);
    }
}

/// Tells of a new context; the first one becomes current.
pub(super) fn settle(contexts: &mut Contexts, name: &str, terminal: &Terminal) {
    terminal.note(&format!("Added context {name}."));
    if contexts.current.is_none() {
        contexts.current = Some(name.to_owned());
        terminal.note(&format!("Context {name} is current."));
    }
}

/// A context with the given parts changed. At another URL, the former credential and authority are of no
/// use and are dropped.
fn changed(former: Option<&Context>, args: &AddArgs, given: Overrides) -> Result<Context> {
    let mut context = former.cloned().unwrap_or_default();
    if let Some(url) = &given.url {
        let url = url.trim_end_matches('/');
        crate::client::check_url(url)?;
        if context.url != url {
            context = Context { url: url.to_owned(), defaults: context.defaults, ..Context::default() };
        }
    }
    if context.url.is_empty() {
        return Err(Error::usage(format!("context {} needs a URL", args.name)).hint("give `--url URL`"));
    }
    if let Some(path) = &given.ca_file {
        let pem = std::fs::read_to_string(path)
            .map_err(|e| Error::io(format!("cannot read {}", path.display()), e))?;
        context.authority = Some(Authority::Pem(pem));
    }
    if let Some(key) = given.api_key {
        context.credential = Some(Credential::ApiKey(key));
    }
    let Defaults { project, region, zone } = &mut context.defaults;
    for (default, given) in [(project, &args.project), (region, &args.region), (zone, &args.zone)] {
        if let Some(given) = given {
            *default = Some(given.clone()).filter(|name| !name.is_empty());
        }
    }
    Ok(context)
}

fn check_name(name: &str) -> Result<()> {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.chars().all(fit) {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` is not a name for a context"))
        .hint("use letters, digits, `-`, `_` and `.`"))
}

/// The credentials file of a folder, or of the `.freehold` in it.
fn credentials_in(folder: &Path) -> Result<PathBuf> {
    let places = [folder.join("credentials.json"), folder.join(".freehold/credentials.json")];
    places.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        Error::usage(format!("{} holds no credentials.json", folder.display()))
            .hint("give the folder in which `freehold up` ran")
    })
}

fn list(contexts: &Contexts, format: Format, terminal: &Terminal) -> Result<()> {
    let mut table = Table::new(["CURRENT", "NAME", "URL", "AS", "PROJECT"]);
    let mut documents = Vec::new();
    for (name, context) in &contexts.contexts {
        let current = contexts.current.as_ref() == Some(name);
        let who = context.credential.as_ref().map(Credential::describe);
        let project = context.defaults.project.clone();
        documents.push(json!({
            "name": name, "current": current, "url": context.url, "as": who, "defaults": context.defaults,
        }));
        table.row([
            if current { "*" } else { " " }.to_owned(),
            name.clone(),
            context.url.clone(),
            who.unwrap_or_default(),
            project.unwrap_or_default(),
        ]);
    }
    if documents.is_empty() && matches!(format, Format::Table | Format::Wide) {
        terminal.note("There are no contexts; add one with `freehold context add NAME --url URL`.");
    }
    let text = match format {
        Format::Table | Format::Wide => table.render(),
        Format::Json => to_json(&documents)?,
        Format::Yaml => yaml(&ordered(&[Value::Array(documents)])?)?,
        Format::Name | Format::Id => lines(contexts.contexts.keys()),
    };
    terminal.print(&text)
}

fn show(context: &Context, origin: &Origin) -> String {
    let name = match origin {
        Origin::Flags => "none; flags or environment".to_owned(),
        Origin::Context(name) => name.clone(),
        Origin::Local(path) => format!("none; {}", path.display()),
    };
    let authority = match &context.authority {
        None => "the public authorities".to_owned(),
        Some(Authority::File(path)) => format!("the authority in {}", path.display()),
        Some(Authority::Pem(_)) => "the authority of the context".to_owned(),
    };
    let who = context.credential.as_ref().map_or_else(|| "nobody".to_owned(), Credential::describe);
    let default = |value: &Option<String>| value.clone().unwrap_or_default();
    block(
        &[
            Line::new("Context", name),
            Line::new("Controller", context.url.clone()),
            Line::new("Trusting", authority),
            Line::new("As", who),
            Line::new("Project", default(&context.defaults.project)),
            Line::new("Region", default(&context.defaults.region)),
            Line::new("Zone", default(&context.defaults.zone)),
        ],
        0,
    )
}
