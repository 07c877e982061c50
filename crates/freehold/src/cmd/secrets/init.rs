//! `freehold secrets init`: a key for this person, and the rules for this directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueHint;
use freehold_secrets::age::{Identity, Recipient};
use freehold_secrets::file;
use freehold_secrets::sops::CONFIG_FILE;
use freehold_types::Timestamp;

use super::Context;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Directory of the files of secrets
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    /// Where the key is kept; `SOPS_AGE_KEY_FILE`, or the file where `sops` looks
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
    /// Encrypt for these public keys as well
    #[arg(long, value_name = "AGE1...")]
    recipient: Vec<Recipient>,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let config = arguments.dir.join(CONFIG_FILE);
    if config.exists() {
        bail!("{} is there already; add recipients to its `age` instead", config.display());
    }
    let own = match context.key {
        Some(_) => context.keys()?.identities().first().map(|key| key.recipient().clone()),
        None => Some(key(context, arguments)?),
    };
    let own = own.context("the reference names no key")?;
    let mut recipients = vec![own];
    for recipient in &arguments.recipient {
        if !recipients.contains(recipient) {
            recipients.push(recipient.clone());
        }
    }
    let lines: Vec<String> =
        recipients.iter().map(|recipient| format!("          - {recipient}\n")).collect();
    let lines = lines.concat();
    let rules = format!(
        "# For whom files of secrets are encrypted: public keys of age. The first rule that fits a path counts.\n\
         creation_rules:\n    - path_regex: (^|/)secrets\\.ya?ml$|\\.sops\\.(ya?ml|json|env)$\n      key_groups:\n        - age:\n{lines}"
    );
    file::create(&config, &rules, 0o644)?;
    context.tell(&format!(
        "wrote {}; next: `freehold secrets generate secrets.yaml --for node`",
        config.display()
    ))
}

/// The person's key: the one that is there, or a new one.
fn key(context: &Context<'_>, arguments: &Arguments) -> Result<Recipient> {
    let path = match &arguments.key_file {
        Some(path) => path.clone(),
        None => std::env::var_os("SOPS_AGE_KEY_FILE")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .or_else(|| context.environment.default_key_file())
            .context("there is no HOME to keep a key in; say where with --key-file")?,
    };
    if path.exists() {
        let keys = Identity::parse_file(file::read(&path)?.expose())
            .with_context(|| format!("{} cannot be used", path.display()))?;
        let key = keys.first().with_context(|| format!("{} holds no key", path.display()))?;
        context.tell(&format!("using the key in {}: {}", path.display(), key.recipient()))?;
        return Ok(key.recipient().clone());
    }
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        make_directory(directory)?;
    }
    let key = Identity::generate();
    file::create(&path, key.to_key_file(&Timestamp::now().to_string())?.expose(), 0o600)?;
    context.tell(&format!("made a key in {}: {}", path.display(), key.recipient()))?;
    context.tell(
        "keep a copy of it in a safe place: without it, nothing that is encrypted for it alone can be read",
    )?;
    Ok(key.recipient().clone())
}

fn make_directory(directory: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("the directory {} cannot be made", directory.display()))
}
