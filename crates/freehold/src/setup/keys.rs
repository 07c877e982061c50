//! The SSH key with which the first user enters machines.

use anyhow::{Context, Result};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

use crate::files;
use crate::home::Home;

/// The public key, as a line of `authorized_keys`; the pair is made at the first call.
pub(crate) fn ensure(home: &Home) -> Result<String> {
    let path = home.ssh_key();
    let public = path.with_extension("pub");
    if path.exists() && public.exists() {
        return Ok(files::read(&public)?.trim().to_owned());
    }
    if let Some(directory) = path.parent() {
        files::make_directory(directory, 0o700)?;
    }
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).context("an SSH key cannot be made")?;
    key.set_comment("freehold");
    let line = key.public_key().to_openssh().context("the SSH key has no public form")?;
    files::write_private(
        &path,
        key.to_openssh(LineEnding::LF).context("the SSH key has no text form")?.as_bytes(),
    )?;
    files::write_public(&public, line.as_bytes())?;
    Ok(line)
}
