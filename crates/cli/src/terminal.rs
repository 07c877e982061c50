//! Standard output, standard error, and the person before them.
//!
//! Promises: data goes to standard output, everything else to standard error; colour only where the
//! stream is a terminal and neither `NO_COLOR` nor `TERM=dumb` objects; a closed pipe ends the command
//! quietly. Threads of one command may share it.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstream::AutoStream;
use anstyle::AnsiColor;
use freehold_types::Secret;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, Result, label};

/// Where a command talks.
pub struct Terminal {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    input: Mutex<Box<dyn BufRead + Send>>,
    /// Whether questions can be asked.
    interactive: bool,
    /// Whether a spinner makes sense.
    animated: bool,
    quiet: bool,
    verbose: bool,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal")
            .field("quiet", &self.quiet)
            .field("verbose", &self.verbose)
            .finish_non_exhaustive()
    }
}

impl Terminal {
    /// The streams of the process.
    pub fn of_process(quiet: bool, verbose: bool) -> Self {
        let err = std::io::stderr();
        Self {
            interactive: std::io::stdin().is_terminal() && err.is_terminal(),
            animated: err.is_terminal() && !quiet && !verbose,
            out: Mutex::new(Box::new(AutoStream::auto(std::io::stdout()))),
            err: Mutex::new(Box::new(AutoStream::auto(err))),
            input: Mutex::new(Box::new(BufReader::new(std::io::stdin()))),
            quiet,
            verbose,
        }
    }

    /// Streams of the caller's choice, without questions, animation or colour.
    pub fn plain(
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
        input: Box<dyn BufRead + Send>,
        quiet: bool,
        verbose: bool,
    ) -> Self {
        let plain = |stream: Box<dyn Write + Send>| -> Mutex<Box<dyn Write + Send>> {
            Mutex::new(Box::new(anstream::StripStream::new(stream)))
        };
        let input = Mutex::new(input);
        Self { out: plain(out), err: plain(err), input, interactive: false, animated: false, quiet, verbose }
    }

    /// Writes data.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        write!(out, "{text}{ended}")
            .and_then(|()| out.flush())
            .map_err(|e| Error::io("cannot write the output", e))
    }

    /// Tells what was done; silent with `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.tell(|err| writeln!(err, "{text}"));
        }
    }

    /// Tells what deserves attention.
    pub fn warn(&self, text: &str) {
        self.tell(|err| label(err, AnsiColor::Yellow, "warning", text));
    }

    /// Tells what happens beneath; only with `--verbose`.
    pub fn trace(&self, text: &str) {
        if self.verbose {
            self.tell(|err| writeln!(err, "{text}"));
        }
    }

    /// Tells an error.
    pub fn report(&self, error: &Error) {
        self.tell(|err| error.tell(err));
    }

    fn tell(&self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nobody left to tell that standard error is closed.
        drop(write(&mut *err));
    }

    /// Asks a yes-or-no question; `None` when nobody can answer.
    pub fn confirm(&self, question: &str) -> Result<Option<bool>> {
        if !self.interactive {
            return Ok(None);
        }
        self.tell(|err| write!(err, "{question} [y/N] ").and_then(|()| err.flush()));
        let mut answer = String::new();
        self.input().read_line(&mut answer).map_err(|e| Error::io("cannot read the answer", e))?;
        if !answer.ends_with('\n') {
            self.tell(|err| writeln!(err));
        }
        Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
    }

    /// Asks for a line, or takes the next one of standard input when that is no terminal.
    pub fn ask(&self, question: &str) -> Result<String> {
        if self.interactive {
            self.tell(|err| write!(err, "{question}: ").and_then(|()| err.flush()));
        }
        first_line(&mut *self.input(), question)
    }

    /// Reads all that is left of standard input.
    pub fn read_input(&self) -> std::io::Result<String> {
        std::io::read_to_string(&mut *self.input())
    }

    fn input(&self) -> std::sync::MutexGuard<'_, Box<dyn BufRead + Send>> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a secret without echo, or takes the next line of standard input when that is no
    /// terminal. With `twice` a person types it twice.
    pub fn ask_secret(&self, question: &str, twice: bool) -> Result<Secret<String>> {
        if !self.interactive {
            return first_line(&mut *self.input(), question).map(Secret::new);
        }
        let prompt = |text: &str| {
            rpassword::prompt_password(format!("{text}: "))
                .map_err(|e| Error::io(format!("cannot read the {}", question.to_lowercase()), e))
        };
        let secret = prompt(question)?;
        if twice && prompt("Again")? != secret {
            return Err(Error::usage("the two entries differ").hint("run the command again"));
        }
        Ok(Secret::new(secret))
    }

    /// Starts a spinner that says what is waited for, until it is dropped.
    pub fn spinner(&self, text: String) -> Spinner {
        let bar = if self.animated {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(text);
        if self.animated {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Spinner(bar)
    }
}

fn first_line(input: &mut dyn BufRead, subject: &str) -> Result<String> {
    let subject = subject.to_lowercase();
    let mut line = String::new();
    input.read_line(&mut line).map_err(|e| Error::io(format!("cannot read the {subject}"), e))?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(Error::usage(format!("no {subject} was given"))
            .hint(format!("type the {subject} at the prompt, or pipe it into standard input")));
    }
    Ok(line.to_owned())
}

/// A sign of life while something is waited for.
#[derive(Debug)]
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Replaces the text.
    pub fn say(&self, text: String) {
        self.0.set_message(text);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_taken_without_its_end() {
        assert_eq!(first_line(&mut &b"pass word \r\nrest"[..], "Password").unwrap(), "pass word ");
        assert!(first_line(&mut &b"\n"[..], "Password").is_err());
    }
}
