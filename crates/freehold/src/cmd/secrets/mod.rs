//! `freehold secrets`: encrypted files, what is in them, and certificates. The work is done by [`freehold_secrets`];
//! here are the words, the files and the terminal.
//!
//! Values reach standard output with `view` and `decrypt` only. Everything that is told goes to standard error.

mod certificates;
mod edit;
mod init;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueHint};
use freehold_secrets::age::Recipient;
use freehold_secrets::keys::{Environment, Keyring};
use freehold_secrets::sops::{self, Config, Format, Opened, Policy};
use freehold_secrets::{catalogue, file};
use freehold_types::Secret;

/// Keep secrets in encrypted files, make them, and issue certificates.
///
/// Files are those of SOPS with age keys, so `sops` reads and writes them too. Keys are looked for in `SOPS_AGE_KEY`,
/// `SOPS_AGE_KEY_FILE`, `FREEHOLD_SECRETS_KEY` (a reference) and SOPS's default file.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Use the key from here and nowhere else: `env://NAME`, `file://PATH`, `prompt://WHAT`,
    /// `vault://MOUNT/PATH#FIELD`, `aws://NAME`
    #[arg(long, value_name = "REFERENCE", global = true)]
    key: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key, and the rules for whom files are encrypted
    Init(init::Arguments),
    /// Open a file in $EDITOR and encrypt it again; a file that is not there is begun
    Edit {
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Print what is in a file
    View {
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Print this value alone, such as `ceph.fsid`
        #[arg(long, value_name = "NAME")]
        path: Option<String>,
        /// Print JSON
        #[arg(long, conflicts_with = "path")]
        json: bool,
    },
    /// Encrypt a plain file
    Encrypt {
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Write here instead of replacing the file
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Encrypt for these public keys instead of those in .sops.yaml
        #[arg(long, value_name = "AGE1...")]
        recipient: Vec<Recipient>,
    },
    /// Decrypt a file
    Decrypt {
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Write here, for the owner alone, instead of printing
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Give files a new data key, and let people in or out
    Rotate {
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// Public key of somebody who may read from now on
        #[arg(long, value_name = "AGE1...")]
        add: Vec<Recipient>,
        /// Public key of somebody who may not any more
        #[arg(long, value_name = "AGE1...")]
        remove: Vec<Recipient>,
    },
    /// Make the secrets that are missing; nothing that is there changes
    Generate {
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Parts of the platform, such as kubernetes,ceph; those that the file has are filled in any case
        #[arg(long = "for", value_name = "SETS", value_delimiter = ',')]
        sets: Vec<String>,
        /// Make this one anew, such as `node.root_password`
        #[arg(long, value_name = "NAME")]
        rotate: Vec<String>,
        /// Tell in JSON what was made, without values
        #[arg(long)]
        json: bool,
    },
    /// Show when certificates end, issue what is missing, renew, and write their files
    Certificates(certificates::Arguments),
}

/// Where keys are looked for, and who is told.
struct Context<'a> {
    environment: Environment,
    key: Option<&'a str>,
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, quiet: bool) -> Result<ExitCode> {
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let environment = Environment::of_process(can_ask.then_some(ask));
    let context = Context { environment, key: arguments.key.as_deref(), quiet };
    match &arguments.command {
        Command::Init(arguments) => init::run(&context, arguments)?,
        Command::Edit { file } => edit::run(&context, file)?,
        Command::View { file, path, json } => view(&context, file, path.as_deref(), *json)?,
        Command::Encrypt { file, output, recipient } => {
            encrypt(&context, file, output.as_deref(), recipient)?;
        }
        Command::Decrypt { file, output } => decrypt(&context, file, output.as_deref())?,
        Command::Rotate { files, add, remove } => rotate(&context, files, add, remove)?,
        Command::Generate { file, sets, rotate, json } => generate(&context, file, sets, rotate, *json)?,
        Command::Certificates(arguments) => return certificates::run(&context, arguments),
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(what: &str) -> std::io::Result<String> {
    rpassword::prompt_password(format!("{what}: "))
}

impl Context<'_> {
    fn keys(&self) -> Result<Keyring> {
        let keys = match self.key {
            Some(reference) => Keyring::find_at(reference, &self.environment)?,
            None => Keyring::find(&self.environment)?,
        };
        for warning in keys.warnings() {
            self.tell(&format!("warning: {warning}"))?;
        }
        Ok(keys)
    }

    fn open(&self, path: &Path) -> Result<Opened> {
        let text = file::read(path)?;
        Ok(sops::open(&path.display().to_string(), Format::of(path)?, text.expose(), &self.keys()?)?)
    }

    /// The rules for a new file.
    fn policy(path: &Path) -> Result<Policy> {
        match Config::find(path)? {
            Some(config) => Ok(config.policy(path)?),
            None => bail!(
                "nobody is named to encrypt {} for: there is no {} beside or above it; make one with `freehold secrets \
                 init`",
                path.display(),
                sops::CONFIG_FILE
            ),
        }
    }

    fn tell(&self, text: &str) -> Result<()> {
        if !self.quiet {
            writeln!(anstream::stderr(), "{text}")?;
        }
        Ok(())
    }
}

/// Prints on standard output what was asked for.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    Ok(stdout.flush()?)
}

fn view(context: &Context<'_>, path: &Path, name: Option<&str>, json: bool) -> Result<()> {
    let opened = context.open(path)?;
    if let Some(name) = name {
        let Some(value) = opened.find(name) else {
            bail!("{} has no value `{name}`", path.display());
        };
        return print(value.expose());
    }
    if !json {
        return print(opened.text().expose());
    }
    let value: serde_json::Value = match Format::of(path)? {
        Format::Yaml => serde_norway::from_str(opened.text().expose())?,
        Format::Json => serde_json::from_str(opened.text().expose())?,
        Format::Dotenv => {
            let names = opened.values().map(|(path, _)| path.join("."));
            let value = |name: String| {
                let value = opened.find(&name).map(Secret::into_inner);
                (name, serde_json::Value::from(value))
            };
            names.map(value).collect()
        }
    };
    print(&serde_json::to_string_pretty(&value)?)
}

fn encrypt(
    context: &Context<'_>,
    path: &Path,
    output: Option<&Path>,
    recipients: &[Recipient],
) -> Result<()> {
    let target = output.unwrap_or(path);
    let mut policy = if recipients.is_empty() { Context::policy(target)? } else { Policy::default() };
    if !recipients.is_empty() {
        policy.recipients = recipients.to_vec();
    }
    let plain = file::read(path)?;
    let text = sops::encrypt(&path.display().to_string(), Format::of(path)?, &plain, &policy)?;
    file::write(target, &text, 0o644)?;
    context.tell(&format!("encrypted {} for {}", target.display(), names(&policy.recipients)))
}

fn names(recipients: &[Recipient]) -> String {
    recipients.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn decrypt(context: &Context<'_>, path: &Path, output: Option<&Path>) -> Result<()> {
    let opened = context.open(path)?;
    match output {
        None => print(opened.text().expose()),
        Some(output) => {
            file::write(output, opened.text().expose(), 0o600)?;
            context
                .tell(&format!("wrote {} in plain text; remove it when it is not needed", output.display()))
        }
    }
}

fn rotate(context: &Context<'_>, files: &[PathBuf], add: &[Recipient], remove: &[Recipient]) -> Result<()> {
    // All are prepared before any is written, so that a fault in one leaves all as they were.
    let mut prepared = Vec::new();
    for path in files {
        prepared.push((path, context.open(path)?.rotate(add, remove)?));
    }
    for (path, text) in prepared {
        file::write(path, &text, 0o644)?;
        context.tell(&format!("gave {} a new data key", path.display()))?;
    }
    if !add.is_empty() || !remove.is_empty() {
        context.tell("change the recipients in .sops.yaml too: new files are encrypted for those")?;
    }
    if !remove.is_empty() {
        context.tell(
            "whoever was removed may have kept what they read; renew those secrets with `freehold secrets generate \
             --rotate NAME`",
        )?;
    }
    Ok(())
}

fn generate(
    context: &Context<'_>,
    path: &Path,
    sets: &[String],
    rotate: &[String],
    json: bool,
) -> Result<()> {
    let current = Current::open(context, path)?;
    let subject = path.display().to_string();
    let filled = catalogue::fill(&subject, &current.plain, sets, rotate)?;
    if sets.is_empty() && filled.added.is_empty() && filled.rotated.is_empty() && current.is_new() {
        bail!("{subject} is not there; say what it is for with `--for`: {}", catalogue::sets().join(", "));
    }
    current.save(path, &filled.text)?;
    if json {
        let report = serde_json::json!({
            "added": filled.added, "rotated": filled.rotated, "to_be_given": filled.to_be_given,
        });
        return print(&serde_json::to_string_pretty(&report)?);
    }
    for (what, list) in [("added", &filled.added), ("renewed", &filled.rotated)] {
        for name in list {
            context.tell(&format!("{what} {name}"))?;
        }
    }
    for name in &filled.to_be_given {
        context.tell(&format!(
            "missing {name}: it comes from outside; put it in with `freehold secrets edit`"
        ))?;
    }
    if filled.added.is_empty() && filled.rotated.is_empty() {
        context.tell(&format!("nothing was missing in {subject}"))?;
    }
    Ok(())
}

/// A YAML file of secrets, there or not yet.
struct Current {
    opened: Option<Opened>,
    plain: Secret<String>,
}

impl Current {
    fn open(context: &Context<'_>, path: &Path) -> Result<Self> {
        if Format::of(path)? != Format::Yaml {
            bail!("{} is no YAML; secrets are made in files called .yaml or .yml", path.display());
        }
        if !path.exists() {
            // Better now than after the work.
            Context::policy(path)?;
            return Ok(Self { opened: None, plain: Secret::default() });
        }
        let opened = context.open(path)?;
        let plain = opened.text().clone();
        Ok(Self { opened: Some(opened), plain })
    }

    const fn is_new(&self) -> bool {
        self.opened.is_none()
    }

    /// Encrypts and writes, when there is a change.
    fn save(&self, path: &Path, plain: &Secret<String>) -> Result<()> {
        if *plain == self.plain {
            return Ok(());
        }
        let text = match &self.opened {
            Some(opened) => opened.seal(plain)?,
            None => sops::encrypt(&path.display().to_string(), Format::Yaml, plain, &Context::policy(path)?)?,
        };
        Ok(file::write(path, &text, 0o644)?)
    }
}
