//! What people read on standard error: failures with their causes and remedies, and progress.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Prints a failure with all its causes, and gives the exit code for it.
pub(crate) fn failure(failure: &anyhow::Error) -> ExitCode {
    let mut stderr = anstream::stderr().lock();
    if let Some(error) = failure.downcast_ref::<freehold_cli::Error>() {
        // When standard error is gone, nobody is left to tell.
        let _ = error.tell(&mut stderr);
        return ExitCode::from(error.code());
    }
    let is_broken_pipe = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    if failure.root_cause().downcast_ref().is_some_and(is_broken_pipe) {
        // The reader, such as `head`, has seen enough.
        return ExitCode::SUCCESS;
    }
    // When standard error is gone, nobody is left to tell.
    let _ = writeln!(stderr, "error: {failure}");
    for cause in failure.chain().skip(1) {
        let _ = writeln!(stderr, "  because: {cause}");
    }
    ExitCode::FAILURE
}

/// Tells how far long work has come: a spinner on a terminal, lines elsewhere, and lines in a file for
/// whoever waits for a process in the background.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    file: Option<PathBuf>,
    quiet: bool,
}

impl Progress {
    /// Tells on standard error.
    pub(crate) fn on_terminal(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, file: None, quiet }
    }

    /// Tells in a file, one line per step.
    pub(crate) fn in_file(path: PathBuf) -> Self {
        Self { bar: None, file: Some(path), quiet: true }
    }

    /// Begins a step.
    pub(crate) fn step(&self, text: &str) {
        tracing::debug!(step = text, "progress");
        if let Some(path) = &self.file {
            let line = std::fs::OpenOptions::new().create(true).append(true).open(path);
            // Progress that cannot be told must not stop the work.
            let _ = line.and_then(|mut file| writeln!(file, "{text}"));
        }
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if !self.quiet => {
                // When standard error is gone, nobody is left to tell.
                let _ = writeln!(std::io::stderr().lock(), "- {text}");
            }
            None => {}
        }
    }

    /// Ends the telling.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
