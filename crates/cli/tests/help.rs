//! The help texts: they fit a terminal, and say what there is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use clap::{CommandFactory, Parser};

#[derive(Parser)]
#[command(name = "freehold", about = "Own a cloud instead of renting one")]
struct CommandLine {
    #[command(flatten)]
    _globals: freehold_cli::Globals,
    #[command(subcommand)]
    _command: freehold_cli::Command,
}

fn command_line() -> clap::Command {
    CommandLine::command().term_width(80)
}

/// Visits every command with its path.
fn visit(command: &clap::Command, path: &str, check: &mut impl FnMut(&str, &clap::Command)) {
    check(path, command);
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        visit(inner, &format!("{path} {}", inner.get_name()), check);
    }
}

/// What `freehold PATH --help` prints.
fn help_of(path: &[&str]) -> String {
    let words = ["freehold"].iter().chain(path).chain(&["--help"]);
    command_line().try_get_matches_from(words).unwrap_err().to_string()
}

#[test]
fn the_command_line_is_consistent() {
    command_line().debug_assert();
}

#[test]
fn every_help_fits_80_columns() {
    let mut command = command_line();
    command.build();
    visit(&command, "freehold", &mut |path, command| {
        for help in [command.clone().render_help(), command.clone().render_long_help()] {
            for line in help.to_string().lines() {
                assert!(line.chars().count() <= 80, "{path}: {line}");
            }
        }
    });
}

#[test]
fn every_argument_is_explained() {
    let mut command = command_line();
    command.build();
    visit(&command, "freehold", &mut |path, command| {
        assert!(command.get_about().is_some(), "{path}");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
        }
    });
}

#[test]
fn no_flag_takes_a_secret() {
    let mut command = command_line();
    command.build();
    visit(&command, "freehold", &mut |path, command| {
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            let secret = ["password", "key", "token", "secret"].iter().any(|word| flag.contains(word));
            let public = flag.ends_with("-file")
                || ["bootstrap-pubkey", "ceph-secret-uuid", "rekey-time", "show-secrets"].contains(&flag);
            assert!(!secret || public, "{path} --{flag}");
        }
    });
}

#[test]
fn helps_are_as_they_were() {
    for path in [
        &[][..],
        &["get"],
        &["create"],
        &["create", "compute"],
        &["create", "gateway"],
        &["create", "ipsec-connection"],
        &["create", "load-balancer"],
        &["create", "dns-record"],
        &["create", "file-backend"],
        &["create", "file-share"],
        &["update", "project"],
        &["delete"],
        &["context", "add"],
    ] {
        let name = if path.is_empty() { "freehold".to_owned() } else { path.join("_") };
        insta::assert_snapshot!(format!("help_{name}"), help_of(path));
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in [freehold_cli::Shell::Bash, freehold_cli::Shell::Zsh, freehold_cli::Shell::Fish] {
        let mut script = Vec::new();
        freehold_cli::completions(shell, command_line(), &mut script);
        let script = String::from_utf8(script).unwrap();
        for kind in freehold_cli::kind::KINDS {
            assert!(script.contains(kind.name), "{shell}: {}", kind.name);
        }
    }
}
