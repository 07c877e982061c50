//! Running programs: always with arguments as they are, never through a shell, and with an error that says what happened.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::ImageError;

/// How much of a program's last words goes into an error.
const LAST_LINES: usize = 6;

/// Makes a command with plain output: no colours, no translation.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

/// Runs it and returns standard output. `package` is what to install when the program is absent.
pub(crate) fn run(command: &mut Command, package: &str) -> Result<String, ImageError> {
    let output = output(command, package)?;
    finish(command, &output)
}

/// Runs it with `input` on standard input and returns standard output.
pub(crate) fn run_with_input(
    command: &mut Command,
    package: &str,
    input: &[u8],
) -> Result<String, ImageError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, package, &error))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that ends without reading says why itself.
        let _ = pipe.write_all(input);
    }
    let output = child.wait_with_output().map_err(|error| cannot_start(command, package, &error))?;
    finish(command, &output)
}

/// Runs it and returns all that it said, whatever its exit status.
pub(crate) fn output(command: &mut Command, package: &str) -> Result<Output, ImageError> {
    command.output().map_err(|error| cannot_start(command, package, &error))
}

fn finish(command: &Command, output: &Output) -> Result<String, ImageError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines: Vec<&str> =
        said.lines().rev().filter(|line| !line.trim().is_empty()).take(LAST_LINES).collect();
    lines.reverse();
    let reason = if lines.is_empty() { output.status.to_string() } else { lines.join("; ") };
    Err(ImageError::Command { command: describe(command), reason })
}

fn cannot_start(command: &Command, package: &str, error: &std::io::Error) -> ImageError {
    if error.kind() == std::io::ErrorKind::NotFound {
        let program = command.get_program().to_string_lossy().into_owned();
        return ImageError::Missing { program, package: package.to_owned() };
    }
    ImageError::Command { command: describe(command), reason: error.to_string() }
}

/// The program and its first words: enough to know which call it was.
fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().take(4).map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_program_names_its_package() {
        let error = run(&mut program("freehold-no-such-program"), "nothing").unwrap_err();
        assert_eq!(
            error.to_string(),
            "freehold-no-such-program is not installed: install the package nothing"
        );
    }

    #[test]
    fn a_failure_tells_the_last_words() {
        let error = run(program("sh").args(["-c", "echo broken >&2; exit 3"]), "dash").unwrap_err();
        assert!(error.to_string().ends_with("failed: broken"), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(run_with_input(&mut program("cat"), "coreutils", b"text").unwrap(), "text");
    }
}
