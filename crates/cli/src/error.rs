//! What goes wrong on the command line, and the exit code it ends with.
//!
//! Promises: a message names its subject; what to do about it stands in hints, one per line; no message
//! holds a secret. Callers branch on [`Failure`], never on text.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use freehold_types::error::ErrorBody;

/// The classes of failure, each with one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// 0: the reader of our output went away; nothing is wrong.
    Closed,
    /// 1: anything that has no class of its own.
    General,
    /// 2: the command line, a document or the configuration cannot be used as written.
    Usage,
    /// 3: no such object.
    NotFound,
    /// 4: not logged in, or not allowed.
    Denied,
    /// 5: it conflicts with what exists.
    Conflict,
    /// 6: it did not happen in time.
    TimedOut,
    /// 7: the controller understood the request and refuses it.
    Invalid,
    /// 8: a quota or the capacity is used up.
    NoRoom,
    /// 9: the controller cannot be reached.
    Unreachable,
}

impl Failure {
    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::General => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Denied => 4,
            Self::Conflict => 5,
            Self::TimedOut => 6,
            Self::Invalid => 7,
            Self::NoRoom => 8,
            Self::Unreachable => 9,
        }
    }
}

/// A failure, ready to be told.
#[derive(Debug)]
pub struct Error {
    failure: Failure,
    message: String,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What this crate's functions answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of a class, with a message that names its subject.
    pub fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into(), hints: Vec::new(), source: None }
    }

    /// A fault in what the user wrote.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Failure::Usage, message)
    }

    /// A failure to read or write a file or stream.
    pub fn io(subject: impl std::fmt::Display, error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(Failure::Closed, "the output was closed");
        }
        Self::new(Failure::General, subject.to_string()).because(error)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the error beneath, printed after the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn during(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The class.
    pub const fn failure(&self) -> Failure {
        self.failure
    }

    /// What the answer of the controller means here. `request` is `METHOD path`, `request_id` the name
    /// under which the controller logged it.
    pub fn from_answer(
        status: u16,
        body: Option<&ErrorBody>,
        request: &str,
        request_id: Option<&str>,
    ) -> Self {
        let reason = body.map(|body| body.reason.as_str()).filter(|reason| !reason.is_empty());
        let message = match (reason, body) {
            (Some(reason), _) => reason.to_owned(),
            (None, Some(body)) if !body.error.is_empty() => body.error.clone(),
            _ => format!("the server answered {status} to {request}, without saying why"),
        };
        let (failure, hint) = match status {
            400 | 413 | 415 | 422 => (Failure::Invalid, None),
            401 => {
                (Failure::Denied, Some("log in with `freehold login`, or give a key with `--api-key-file`"))
            }
            403 => (Failure::Denied, Some("see who you are with `freehold whoami`")),
            404 => (Failure::NotFound, None),
            405 | 501 => (
                Failure::General,
                Some("compare the versions with `freehold status` and `freehold --version`"),
            ),
            409 => (Failure::Conflict, None),
            408 | 504 => (Failure::TimedOut, None),
            429 => (Failure::General, Some("wait a minute before the next try")),
            502 | 503 => {
                (Failure::Unreachable, Some("the controller may be starting: try again in a moment"))
            }
            507 => (Failure::NoRoom, Some("compare `freehold usage PROJECT` with the quotas")),
            _ => (Failure::General, None),
        };
        let mut error = Self::new(failure, message);
        if let Some(id) = request_id
            && status >= 500
            && status != 507
        {
            error = error.hint(format!("the controller's log tells more under request id {id}"));
        }
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// The exit code of a process that ends with it.
    pub const fn code(&self) -> u8 {
        self.failure.code()
    }

    /// What is told on standard error: as [`Error::tell`], coloured only where that is a terminal which
    /// wants it.
    pub fn report(&self) -> String {
        let mut stream =
            anstream::AutoStream::new(Vec::new(), anstream::AutoStream::choice(&std::io::stderr()));
        // Writing to memory does not fail.
        drop(self.tell(&mut stream));
        String::from_utf8_lossy(&stream.into_inner()).into_owned()
    }

    /// Prints `error: …` and `hint: …` lines. Colour is up to the stream.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn tell(&self, stream: &mut dyn Write) -> std::io::Result<()> {
        if self.failure == Failure::Closed {
            return Ok(());
        }
        label(stream, AnsiColor::Red, "error", &self.to_string())?;
        for hint in &self.hints {
            label(stream, AnsiColor::Cyan, "hint", hint)?;
        }
        Ok(())
    }
}

/// Prints a labelled message, further lines indented below the first.
pub(crate) fn label(
    stream: &mut dyn Write,
    color: AnsiColor,
    label: &str,
    text: &str,
) -> std::io::Result<()> {
    let style = Style::new().bold().fg_color(Some(color.into()));
    let indented = text.trim_end().replace('\n', "\n  ");
    writeln!(stream, "{style}{label}:{style:#} {indented}")
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        let mut next = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(source) = next {
            write!(f, ": {source}")?;
            next = source.source();
        }
        Ok(())
    }
}

// The chain is part of `Display`, so that it is told once wherever this error is printed.
impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: &Error) -> String {
        let mut stream = anstream::StripStream::new(Vec::new());
        error.tell(&mut stream).unwrap();
        String::from_utf8(stream.into_inner()).unwrap()
    }

    #[test]
    fn answers_map_to_classes_and_hints() {
        let body = |status, reason: &str| ErrorBody { status, error: "short".into(), reason: reason.into() };
        let mut all = Vec::new();
        for (status, reason) in [
            (400, "the field `memry` is unknown"),
            (401, "the session has expired"),
            (403, "role user may not create regions"),
            (404, "there is no volume 0123"),
            (409, "a team `ops` exists"),
            (422, "the subnet has no free address"),
            (429, "too many tries"),
            (500, "unexpected"),
            (503, "shutting down"),
            (507, "the quota of 8 vCPUs is used up"),
        ] {
            let error = Error::from_answer(status, Some(&body(status, reason)), "GET /x", Some("7f3a"));
            all.push(format!("{status} exit {}\n{}", error.failure().code(), told(&error)));
        }
        insta::assert_snapshot!(all.concat());
    }

    #[test]
    fn an_answer_without_reason_is_still_a_sentence() {
        let error = Error::from_answer(418, None, "GET /api/v1/region", None);
        assert_eq!(
            told(&error),
            "error: the server answered 418 to GET /api/v1/region, without saying why\n"
        );
    }

    #[test]
    fn the_chain_is_told_once() {
        let beneath = std::io::Error::other("disk on fire");
        let error = Error::io("cannot read a.yaml", beneath).during("create").hint("look at it");
        assert_eq!(told(&error), "error: create: cannot read a.yaml: disk on fire\nhint: look at it\n");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = Error::io("x", std::io::ErrorKind::BrokenPipe.into());
        assert_eq!((error.failure().code(), told(&error).as_str()), (0, ""));
    }
}
