//! What the tests of the platform file share.

use freehold_platform::load::{Loaded, Options, assemble};
use freehold_platform::{Input, Kind, Look};

/// A public key for accounts of examples.
pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7oNpZ1lT4sYJr8vWqf0uXkE3mC5bD9aHhG2cK6oP1Q test";

/// The variables of tests.
pub(crate) fn variables(name: &str) -> Option<String> {
    match name {
        "FREEHOLD_SSH_KEY" => Some(KEY.to_owned()),
        "PORT" => Some("2222".to_owned()),
        _ => None,
    }
}

/// A file of a platform.
pub(crate) fn plain(name: &str, text: &str) -> Input {
    Input { name: name.to_owned(), text: text.to_owned(), kind: Kind::Plain }
}

/// A file of secrets.
pub(crate) fn secret(name: &str, text: &str) -> Input {
    Input { name: name.to_owned(), text: text.to_owned(), kind: Kind::Secrets }
}

/// A platform of files.
pub(crate) fn load(inputs: Vec<Input>, profiles: &[&str]) -> Loaded {
    let profiles: Vec<String> = profiles.iter().map(|name| (*name).to_owned()).collect();
    assemble(inputs, Options { profiles: &profiles, variables: &variables })
}

/// What is told of its faults, without colours.
pub(crate) fn report(loaded: &Loaded) -> String {
    loaded.faults().render(loaded.sources(), Look { colour: false, width: 100 })
}
