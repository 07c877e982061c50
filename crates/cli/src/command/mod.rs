//! The commands: what each takes, and what it does.
//!
//! One file per command or family of commands. A command reads its arguments, asks the directory, sends
//! requests that pure functions made, and prints what pure functions rendered.

mod arguments;
mod audit;
mod console;
mod context;
mod create;
mod delete;
mod describe;
mod explain;
mod get;
mod group;
mod identity;
mod login;
mod maintenance;
mod migrate;
mod outbox;
mod password;
mod power;
mod project;
mod set_default;
mod state;
mod status;
mod token;
mod update;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Subcommand};

use crate::client::Client;
use crate::context::{Environment, Origin, Overrides, resolve};
use crate::directory::Directory;
use crate::error::Result;
use crate::session::{Session, read_secret};
use crate::terminal::Terminal;

/// The flags that all commands of this crate share.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Context to use, instead of the current one
    #[arg(long, global = true, value_name = "NAME", env = "FREEHOLD_CONTEXT", hide_env = true)]
    pub context: Option<String>,
    /// URL of the controller, instead of the context's
    #[arg(long, global = true, value_name = "URL", env = "FREEHOLD_URL", hide_env = true)]
    pub url: Option<String>,
    /// File with the API key; `-` is standard input
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub api_key_file: Option<PathBuf>,
    /// File with the one certificate authority to trust
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "FREEHOLD_CA_FILE",
        hide_env = true,
        value_hint = clap::ValueHint::FilePath
    )]
    pub ca_file: Option<PathBuf>,
    /// Tell nothing but data, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Tell each request and its answer's status
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

/// The commands of a client.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// About objects: they need a controller.
    #[command(flatten)]
    Remote(RemoteCommand),
    /// About the user of this command line.
    #[command(flatten)]
    Personal(PersonalCommand),
}

/// The commands about objects.
#[derive(Debug, Subcommand)]
pub enum RemoteCommand {
    /// Show objects of a kind
    Get(get::GetArgs),
    /// Show everything about one object
    Describe(describe::DescribeArgs),
    /// Create objects, from flags or from documents
    Create(create::CreateArgs),
    /// Change an object
    Update(update::UpdateArgs),
    /// Delete objects
    Delete(delete::DeleteArgs),
    /// Start machines
    Start(power::PowerArgs),
    /// Switch machines off at once, as by pulling the plug
    Stop(power::PowerArgs),
    /// Ask machines to shut down
    Shutdown(power::PowerArgs),
    /// Ask machines to reboot
    Reboot(power::PowerArgs),
    /// Reset machines at once
    Reset(power::PowerArgs),
    /// Freeze machines; their memory stays
    Suspend(power::PowerArgs),
    /// Let frozen machines go on
    Resume(power::PowerArgs),
    /// Show what a machine is doing
    State(state::StateArgs),
    /// Show where the screen of a machine is
    Console(console::ConsoleArgs),
    /// Show what a project uses, beside its quotas
    Usage(project::UsageArgs),
    /// Show what a project costs per month
    Cost(project::CostArgs),
    /// Make a pool, image, subnet or file backend the default
    SetDefault(set_default::SetDefaultArgs),
    /// Move machines to other hypervisors
    Migrate(migrate::MigrateArgs),
    /// Keep new machines off hypervisors, empty them, or let machines return
    #[command(subcommand)]
    Maintenance(maintenance::MaintenanceCommand),
    /// Keep machines apart: the members of an anti-affinity group
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Issue API keys
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Set or reset passwords
    #[command(subcommand)]
    Password(password::PasswordCommand),
    /// Show the controller's version, objects and nodes
    Status(status::StatusArgs),
    /// Show who changed what, and when
    Audit(audit::AuditArgs),
    /// Show the mails that the controller sends
    Outbox(outbox::OutboxArgs),
}

/// The commands about the user of this command line.
#[derive(Debug, Subcommand)]
pub enum PersonalCommand {
    /// Log in with address and password
    Login(login::LoginArgs),
    /// End the session
    Logout,
    /// Show who one is, and where
    Whoami(identity::WhoamiArgs),
    /// Choose the controller, and what is meant when nothing is said
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Show the kinds of objects and their fields
    Explain(explain::ExplainArgs),
}

/// Carries out a command.
pub(crate) fn dispatch(
    command: &Command,
    globals: &Globals,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<ExitCode> {
    let done = match command {
        Command::Remote(command) => {
            return with_session(globals, environment, terminal, |session| converse(command, session));
        }
        Command::Personal(PersonalCommand::Context(command)) => {
            context::run(command, globals, environment, terminal)
        }
        Command::Personal(PersonalCommand::Explain(args)) => explain::run(args, terminal),
        Command::Personal(PersonalCommand::Login(args)) => login::login(args, globals, environment, terminal),
        Command::Personal(PersonalCommand::Logout) => login::logout(globals, environment, terminal),
        Command::Personal(PersonalCommand::Whoami(args)) => {
            identity::whoami(args, globals, environment, terminal)
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn converse(command: &RemoteCommand, session: &Session<'_>) -> Result<ExitCode> {
    use RemoteCommand as C;
    use power::Verb;
    let done = match command {
        C::Get(args) => get::run(args, session),
        C::Describe(args) => describe::run(args, session),
        C::Create(args) => create::run(args, session),
        C::Update(args) => update::run(args, session),
        C::Delete(args) => return delete::run(args, session),
        C::Start(args) => power::run(Verb::Start, args, session),
        C::Stop(args) => power::run(Verb::Stop, args, session),
        C::Shutdown(args) => power::run(Verb::Shutdown, args, session),
        C::Reboot(args) => power::run(Verb::Reboot, args, session),
        C::Reset(args) => power::run(Verb::Reset, args, session),
        C::Suspend(args) => power::run(Verb::Suspend, args, session),
        C::Resume(args) => power::run(Verb::Resume, args, session),
        C::State(args) => state::run(args, session),
        C::Console(args) => console::run(args, session),
        C::Usage(args) => project::usage(args, session),
        C::Cost(args) => project::cost(args, session),
        C::SetDefault(args) => set_default::run(args, session),
        C::Migrate(args) => migrate::run(args, session),
        C::Maintenance(command) => maintenance::run(command, session),
        C::Group(command) => group::run(command, session),
        C::Token(command) => token::run(command, session),
        C::Password(command) => password::run(command, session),
        C::Status(args) => status::run(args, session),
        C::Audit(args) => audit::run(args, session),
        C::Outbox(args) => outbox::run(args, session),
    };
    done.map(|()| ExitCode::SUCCESS)
}

impl Globals {
    /// The flags as overrides of a context, with the API key read from its file.
    fn overrides(&self, terminal: &Terminal) -> Result<Overrides> {
        // An empty variable of the environment is none.
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Overrides {
            context: given(&self.context),
            url: given(&self.url),
            api_key: self.api_key_file.as_deref().map(|path| read_secret(path, terminal)).transpose()?,
            ca_file: self.ca_file.clone().filter(|path| !path.as_os_str().is_empty()),
        })
    }
}

fn with_session<T>(
    globals: &Globals,
    environment: &Environment,
    terminal: &Terminal,
    work: impl FnOnce(&Session<'_>) -> Result<T>,
) -> Result<T> {
    let (connection, origin, defaults) = resolve(&globals.overrides(terminal)?, environment)?;
    if let Origin::Local(path) = &origin {
        terminal.trace(&format!("using {}, as no context is chosen", path.display()));
    }
    let client = Client::new(&connection, terminal)?;
    work(&Session { terminal, client: &client, directory: Directory::new(&client), defaults })
}
