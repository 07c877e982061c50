//! `freehold secrets edit`: the plain text is in a private file in memory while the editor runs, and gone afterwards,
//! also when the program is told to end.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use freehold_secrets::file::{self, Private};
use freehold_secrets::sops::{self, Format, Opened};
use freehold_types::Secret;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::Context;

pub(super) fn run(context: &Context<'_>, path: &Path) -> Result<()> {
    let format = Format::of(path)?;
    let (opened, plain) = if path.exists() {
        let opened = context.open(path)?;
        let plain = opened.text().clone();
        (Some(opened), plain)
    } else {
        Context::policy(path)?;
        (None, Secret::default())
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    let private = Private::create(&name, &plain, runtime.as_deref())?;
    if !private.is_in_memory() {
        context.tell(
            "warning: this system has no file system in memory; the plain text is on a disk while you edit",
        )?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sealed = loop {
        runtime.block_on(edit(private.path()))?;
        let changed = file::read(private.path())?;
        if changed == plain {
            break None;
        }
        match seal(path, format, opened.as_ref(), &changed) {
            Ok(text) => break Some(text),
            Err(fault) if std::io::stdin().is_terminal() => {
                context.tell(&format!("error: {fault}\nEnter opens the editor again, Ctrl-C gives up"))?;
                std::io::stdin().lock().read_line(&mut String::new())?;
            }
            Err(fault) => return Err(fault.context(format!("{} stays as it was", path.display()))),
        }
    };
    private.remove()?;
    let Some(text) = sealed else { return context.tell(&format!("{} is unchanged", path.display())) };
    file::write(path, &text, 0o644)?;
    context.tell(&format!("wrote {}", path.display()))
}

fn seal(path: &Path, format: Format, opened: Option<&Opened>, plain: &Secret<String>) -> Result<String> {
    Ok(match opened {
        Some(opened) => opened.seal(plain)?,
        None => sops::encrypt(&path.display().to_string(), format, plain, &Context::policy(path)?)?,
    })
}

/// Runs the editor to its end. Signals do not end this program before the private file is removed.
async fn edit(file: &Path) -> Result<()> {
    let editor = ["SOPS_EDITOR", "VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "vi".into());
    let (mut interrupt, mut terminate, mut hangup) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    // The variable may hold arguments; the shell splits them, and the path is never part of the command.
    let mut child = Command::new("sh")
        .args(["-c", "exec $0 \"$1\""])
        .arg(&editor)
        .arg(file)
        .kill_on_drop(true)
        .spawn()
        .context("the editor cannot be started")?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.context("the editor cannot be waited for")?;
                if status.success() {
                    return Ok(());
                }
                bail!("the editor `{}` ended with {status}; nothing was changed", editor.to_string_lossy());
            }
            // The editor has its own meaning for it.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => bail!("ended by a signal; nothing was changed"),
            _ = hangup.recv() => bail!("the terminal was closed; nothing was changed"),
        }
    }
}
