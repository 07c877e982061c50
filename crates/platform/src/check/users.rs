//! Accounts: numbered once, and able to log in.

use std::collections::BTreeMap;

use freehold_types::Secret;

use super::Context;
use crate::fault::Fault;
use crate::path::{Path, path_to};
use crate::words::{SecretText, SshKey};

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut uids = BTreeMap::new();
    for (name, user) in &context.platform.users {
        let at = path_to!["users", name];
        if name.as_str() == "root" {
            faults.push(
                Fault::key(at.clone(), "root is not an account of its own here")
                    .hint("set `root_password_hash` of machines, and `sshd.root`"),
            );
        }
        if let Some(uid) = user.uid
            && let Some(first) = uids.insert(uid, name)
        {
            faults.push(
                Fault::value(at.then("uid"), format!("`{first}` and `{name}` have the same number: {uid}"))
                    .also(path_to!["users", first, "uid"], "the other one"),
            );
        }
        let placeholders = user.keys.iter().enumerate();
        faults.extend(placeholders.filter_map(|(index, key)| placeholder(at.then("keys").then(index), key)));
        if user.keys.is_empty() && user.password_hash.is_none() && !user.locked {
            faults.push(
                Fault::key(
                    at.clone(),
                    format!("nobody can log in as `{name}`: it has neither keys nor a password"),
                )
                .hint("add `keys`, or say `locked: true`")
                .warning()
                .absence(),
            );
        }
        faults.extend(hash(at.then("password_hash"), user.password_hash.as_ref()));
    }
    if let Some(freehold) = &context.platform.services.freehold {
        let at = path_to!["services", "freehold", "bootstrap", "public_key"];
        faults.extend(placeholder(at, &freehold.bootstrap.public_key));
    }
    for (name, machine, _) in &context.machines {
        faults.extend(hash(
            path_to!["machines", name, "root_password_hash"],
            machine.root_password_hash.as_ref(),
        ));
    }
    faults
}

/// The examples' key, whose private half nobody has.
fn placeholder(path: Path, key: &SshKey) -> Option<Fault> {
    key.as_str().contains(" AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAA").then(|| {
        Fault::value(path, "this key only holds the place of yours: nobody can log in with it")
            .hint("put your own public key here, such as that of ~/.ssh/id_ed25519.pub")
            .warning()
    })
}

/// A hash is in the form of crypt(3); what is not may be the password itself.
fn hash(path: Path, value: Option<&SecretText>) -> Option<Fault> {
    let value: &Secret<String> = match value? {
        SecretText::Value(value) => value,
        SecretText::Named(_) => return None,
    };
    let known = ["$6$", "$5$", "$y$", "$2b$", "$argon2id$"];
    let text = value.expose();
    let is_hash = known.iter().any(|prefix| text.starts_with(prefix)) && text.matches('$').count() >= 3;
    (!is_hash).then(|| {
        Fault::key(path, "this is not the hash of a password")
            .hint("make one with `mkpasswd -m yescrypt` or `openssl passwd -6`")
    })
}
