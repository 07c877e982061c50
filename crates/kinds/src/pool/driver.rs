//! How a pool stores volumes, as its text says. Pure.
//!
//! `dir:PATH` is a directory of each host, `logical:VG` a volume group of each host, anything else the name of
//! a Ceph pool.

use std::net::IpAddr;

use freehold_types::ApiError;
use freehold_types::agent::PoolDriver;

use super::Pool;
use crate::text;

const DIRECTORY: &str = "dir:";
const LOGICAL: &str = "logical:";

/// Longest path that Linux takes, in bytes.
const PATH_LIMIT: usize = 4_095;
/// Longest name of a volume group or Ceph pool, in bytes.
const NAME_LIMIT: usize = 127;

/// Where the monitor is when the pool says nothing.
const DEFAULT_MONITOR: &str = "localhost";

/// Whether each host has a part of the pool that the others do not see.
pub(super) fn is_local(pool: &str) -> bool {
    pool.starts_with(DIRECTORY) || pool.starts_with(LOGICAL)
}

/// What the text of a pool means.
///
/// # Errors
/// 400 for an empty one, 422 otherwise.
pub(super) fn parse(pool: &Pool) -> Result<PoolDriver, ApiError> {
    let text = pool.pool.as_str();
    if text.is_empty() {
        return Err(ApiError::malformed(
            "the storage pool needs a `pool`: dir:PATH, logical:VG, or the name of a Ceph pool",
        ));
    }
    if let Some(path) = text.strip_prefix(DIRECTORY) {
        return Ok(PoolDriver::Directory { path: normal_path(path)? });
    }
    if let Some(group) = text.strip_prefix(LOGICAL) {
        check_name("volume group", group, b"+_.-")?;
        return Ok(PoolDriver::Logical { group: group.to_owned() });
    }
    check_name("Ceph pool", text, b"_.-")?;
    check_monitor(&pool.ceph_address)?;
    let monitor = if pool.ceph_address.is_empty() { DEFAULT_MONITOR } else { &pool.ceph_address };
    if let Some(secret) = &pool.ceph_secret_uuid {
        check_uuid(secret)?;
    }
    Ok(PoolDriver::Rbd {
        pool: text.to_owned(),
        monitor: monitor.to_owned(),
        port: pool.ceph_port,
        secret: pool.ceph_secret_uuid.clone(),
    })
}

/// The directory that a text such as `dir:/srv/files` names; `None` when it names something else.
pub(crate) fn directory(text: &str) -> Option<Result<String, ApiError>> {
    text.strip_prefix(DIRECTORY).map(normal_path)
}

/// The path without empty parts and dots; it does not lead upwards, and is not the root.
fn normal_path(path: &str) -> Result<String, ApiError> {
    let refused = |why: &str| {
        Err(ApiError::invalid(format!(
            "the path `{path}` {why}; write an absolute path such as dir:/var/lib/freehold/pools/main"
        )))
    };
    if !path.starts_with('/') {
        return refused("is not absolute");
    }
    if path.len() > PATH_LIMIT || path.chars().any(char::is_control) {
        return refused("is too long, or has control characters in it");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return refused("leads upwards");
    }
    if parts.is_empty() {
        return refused("is the root of the file system");
    }
    Ok(format!("/{}", parts.join("/")))
}

fn check_name(noun: &str, name: &str, marks: &[u8]) -> Result<(), ApiError> {
    let known = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte));
    if known && (1..=NAME_LIMIT).contains(&name.len()) && !name.starts_with(['-', '.']) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "`pool`: `{name}` cannot be the name of a {noun}; write dir:PATH, logical:VG, or the name of a Ceph pool, \
         with letters, digits and inner `-`, `_` and `.`"
    )))
}

/// A monitor is an address or a host name; an empty one is that of the host itself.
fn check_monitor(address: &str) -> Result<(), ApiError> {
    if address.is_empty() || address.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    text::domain("ceph_address", address)
}

fn check_uuid(secret: &str) -> Result<(), ApiError> {
    let parts: Vec<&str> = secret.split('-').collect();
    let lengths = parts.iter().map(|part| part.len());
    if lengths.eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Ok(());
    }
    // Not shown: somebody may have put the secret itself there.
    Err(ApiError::invalid(
        "`ceph_secret_uuid` is not a UUID such as f5ff2d7a-0cd1-4b2e-9e0c-6f0f4a7f1c11; give that of the libvirt \
         secret, not the key",
    ))
}
