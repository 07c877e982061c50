//! Where images come from: checks of their source. Pure.

use freehold_types::ApiError;
use url::Url;

/// Longest source, in bytes.
const LIMIT: usize = 2_048;

/// What the fragment of a source starts with.
const CHECKSUM: &str = "sha256=";

/// Checks the source of an image: an `https:` URL, a `file:` URL of the node, or `http:` where that is allowed;
/// with the checksum of the file as its fragment, if any. Messages do not repeat what might be a password.
///
/// # Errors
/// 400 for an empty one, 422 otherwise.
pub(super) fn check_source(source: &str, plain_allowed: bool) -> Result<(), ApiError> {
    if source.is_empty() {
        return Err(ApiError::malformed("the image needs a `source`, the URL of a raw or qcow2 file"));
    }
    if source.len() > LIMIT || source.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refused(&format!("is longer than {LIMIT} bytes, or has blanks or control characters in it"));
    }
    let Ok(url) = Url::parse(source) else {
        return refused("is not a URL such as https://example.org/image.qcow2");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refused(
            "has credentials in it, which everybody would see; serve the file without, or as file:",
        );
    }
    match url.scheme() {
        "https" => {}
        "http" if plain_allowed => {}
        "http" => return refused("is plain http, which this controller does not accept; use https"),
        "file" => check_file(source, &url)?,
        _ => return refused("must start with https:, http: or file:"),
    }
    check_fragment(&url)
}

fn check_file(source: &str, url: &Url) -> Result<(), ApiError> {
    if !source.starts_with("file:///") || url.path().ends_with('/') || url.query().is_some() {
        return refused("does not name a file on the host; write file:///path/to/image.qcow2");
    }
    // A URL drops these when it is parsed, but nodes compare the path with their allow-list.
    if source.split(['/', '#']).any(|part| part == "..") {
        return refused("leads upwards; write the path without `..`");
    }
    Ok(())
}

fn check_fragment(url: &Url) -> Result<(), ApiError> {
    let Some(fragment) = url.fragment() else { return Ok(()) };
    match fragment.strip_prefix(CHECKSUM) {
        Some(digest) if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(()),
        _ => refused("has a fragment that is not `#sha256=` and 64 hexadecimal digits"),
    }
}

fn refused(why: &str) -> Result<(), ApiError> {
    Err(ApiError::invalid(format!("`source` {why}")))
}
