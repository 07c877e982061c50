//! Checks of a file backend. Pure.

use freehold_types::ApiError;

use super::FileBackend;
use crate::kind::Kind;
use crate::{pool, text};

/// Longest list of backends, longest name of a file system in bytes.
const BACKEND_LIMIT: usize = 64;
const NAME_LIMIT: usize = 127;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Store {
    /// A directory of a host.
    Directory(String),
    /// A CephFS.
    CephFs(String),
}

/// What the text of a backend's file system means.
///
/// # Errors
/// 422.
pub(crate) fn store(fs: &str) -> Result<Store, ApiError> {
    if let Some(path) = pool::directory(fs) {
        return path.map(Store::Directory);
    }
    let is_name = (1..=NAME_LIMIT).contains(&fs.len())
        && fs.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if is_name {
        return Ok(Store::CephFs(fs.to_owned()));
    }
    Err(ApiError::invalid(format!("`fs`: `{fs}` is neither dir:PATH nor the name of a CephFS")))
}

/// Checks what create and update have in common.
///
/// # Errors
/// 400 or 422.
pub(super) fn check(spec: &FileBackend) -> Result<(), ApiError> {
    text::name(FileBackend::NOUN, &spec.name)?;
    if spec.endpoint.is_empty() {
        return Err(ApiError::malformed(
            "the file backend needs an `endpoint`, the address that people mount from",
        ));
    }
    text::free("endpoint", &spec.endpoint)?;
    if spec.backends.is_empty() {
        return Err(ApiError::malformed("the file backend needs `backends`, at least one host"));
    }
    if spec.backends.len() > BACKEND_LIMIT {
        return Err(ApiError::invalid(format!("a file backend has at most {BACKEND_LIMIT} `backends`")));
    }
    spec.backends.iter().try_for_each(|backend| text::name("backend", backend))?;
    if spec.port == 0 {
        return Err(ApiError::malformed("`port` is 0, and must be 1 to 65535"));
    }
    store(&spec.fs).map(drop)
}
