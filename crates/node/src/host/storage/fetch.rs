//! Opens the sources of images: `http:` and `https:` URLs, and `file:` URLs within directories that the
//! operator allowed.
//!
//! Promises: a URL is shown without its user, password and query, which may be secrets; a file is opened
//! only if it is a regular file that really lies in an allowed directory, whatever links lead to it; a
//! server that falls silent is given up on. Opening and reading block.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use http::Uri;
use nix::fcntl::OFlag;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::host::HostError;

/// Time to resolve a name and to connect, TLS included.
const CONNECT: Duration = Duration::from_secs(30);
/// Silence after which a server is given up on.
const SILENCE: Duration = Duration::from_mins(1);
/// Bound on a whole fetch, so that a server that trickles does not hold a place for ever.
const WHOLE: Duration = Duration::from_hours(12);
const REDIRECTS: u32 = 8;

/// Opens sources.
#[derive(Debug)]
pub(super) struct Fetcher {
    directories: Vec<PathBuf>,
    roots: OnceLock<RootCerts>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Http(Uri),
    File(PathBuf),
}

/// An open source.
pub(super) struct Opened {
    pub(super) reader: Box<dyn Read + Send>,
    /// Bytes to come, where known.
    pub(super) total: Option<u64>,
}

impl Source {
    /// Reads the URL of an image. Errors say what to write, and do not repeat the URL.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        const FORMS: &str = "give an http:, https: or file: URL, such as https://images.example/debian.qcow2";
        let (scheme, rest) = url.split_once(':').ok_or_else(|| format!("its source is no URL: {FORMS}"))?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {
                let uri: Uri =
                    url.parse().map_err(|error| format!("its source is no valid URL ({error}): {FORMS}"))?;
                match uri.host() {
                    Some(host) if !host.is_empty() => Ok(Self::Http(uri)),
                    _ => Err(format!("its source names no host: {FORMS}")),
                }
            }
            "file" => file_path(rest).map(Self::File),
            _ => Err(format!("its source has a scheme that images cannot be fetched by: {FORMS}")),
        }
    }

    /// Whether it is fetched over TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Http(uri) if uri.scheme_str() == Some("https"))
    }

    /// The source for people, without secrets.
    pub(super) fn display(&self) -> String {
        match self {
            Self::Http(uri) => {
                let host = uri.host().unwrap_or_default();
                let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}://{host}{port}{}", uri.scheme_str().unwrap_or("http"), uri.path())
            }
            Self::File(path) => format!("file://{}", path.display()),
        }
    }
}

/// The path of a `file:` URL after its colon.
fn file_path(rest: &str) -> Result<PathBuf, String> {
    const FORM: &str = "write it as file:///directory/image.qcow2";
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(format!("its source names a file of another host, or no absolute path: {FORM}"));
    }
    let path =
        percent_decode(path).ok_or_else(|| format!("its source holds a wrong percent code: {FORM}"))?;
    if path.contains('\0') { Err(format!("its source holds a null byte: {FORM}")) } else { Ok(path.into()) }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok())?;
            // The radix parser would take a sign.
            if !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(code, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

impl Fetcher {
    pub(super) fn new(directories: Vec<PathBuf>) -> Self {
        Self { directories, roots: OnceLock::new() }
    }

    /// A client for one fetch, which may be bound to follow no redirect out of TLS. To shut it down ends
    /// the fetch wherever it is. Blocks.
    pub(super) fn agent(&self, encrypted: bool) -> Agent {
        let roots = self.roots.get_or_init(load_roots).clone();
        Agent::config_builder()
            .timeout_global(Some(WHOLE))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .https_only(encrypted)
            .max_redirects(REDIRECTS)
            .max_redirects_will_error(true)
            .user_agent(concat!("freehold/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            .accept_encoding("identity")
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .new_agent()
    }

    /// Opens a source. Blocks.
    pub(super) fn open(&self, source: &Source, agent: &Agent) -> Result<Opened, HostError> {
        match source {
            Source::Http(uri) => open_http(uri, agent),
            Source::File(path) => self.open_file(path),
        }
    }

    fn open_file(&self, path: &Path) -> Result<Opened, HostError> {
        let refused = |why: &str| {
            HostError::Refused(format!(
                "{} {why}: put the image into one of the directories that `image_directories` of the node's configuration names",
                path.display()
            ))
        };
        let failed = |error: std::io::Error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                return refused("does not exist on this host");
            }
            HostError::Failed(format!("{} cannot be read: {error}", path.display()))
        };
        let real = path.canonicalize().map_err(failed)?;
        if !self.allows(&real) {
            return Err(refused("is not in a directory that images may come from"));
        }
        // Not blocking, since the file may have become a pipe; no link, since it may have become one.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(&real)
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(refused("is not a regular file"));
        }
        // What was opened, wherever a directory on the way was moved meanwhile.
        if !opened_path(&file).is_some_and(|opened| self.allows(&opened)) {
            return Err(refused("is not in a directory that images may come from"));
        }
        Ok(Opened { reader: Box::new(file), total: Some(metadata.len()) })
    }

    fn allows(&self, real: &Path) -> bool {
        self.directories
            .iter()
            .filter_map(|directory| directory.canonicalize().ok())
            .any(|directory| real.starts_with(directory))
    }
}

fn opened_path(file: &File) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

fn open_http(uri: &Uri, agent: &Agent) -> Result<Opened, HostError> {
    let response = agent.get(uri).call().map_err(http_failure)?;
    let body = response.into_body();
    let total = body.content_length();
    Ok(Opened { reader: Box::new(body.into_with_config().limit(u64::MAX).reader()), total })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the list of errors is long and open")]
fn http_failure(error: Error) -> HostError {
    match error {
        Error::StatusCode(status @ (401 | 403)) => HostError::Refused(format!(
            "the server answers with status {status}: see that the image may be fetched without a login"
        )),
        Error::StatusCode(status @ (404 | 410)) => HostError::Refused(format!(
            "the server answers with status {status}: correct the URL of the image"
        )),
        Error::StatusCode(status) => HostError::Failed(format!("the server answers with status {status}")),
        Error::RedirectFailed | Error::TooManyRedirects => HostError::Refused(format!(
            "the server redirects in a way that cannot be followed within {REDIRECTS} steps: correct the URL of the image"
        )),
        Error::RequireHttpsOnly(_) => HostError::Refused(
            "the server redirects to an address without TLS: give the checksum of the image, or the final URL".to_owned(),
        ),
        Error::HostNotFound => HostError::Failed("the name of the server cannot be resolved".to_owned()),
        Error::BadUri(_) => HostError::Refused("the URL of the image cannot be used: correct it".to_owned()),
        other => HostError::Failed(other.to_string()),
    }
}

/// The authorities that the operating system trusts, so that an operator's own count; those of Mozilla
/// where the system has none.
fn load_roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "an authority of the operating system cannot be read");
    }
    if found.certs.is_empty() {
        return RootCerts::WebPki;
    }
    let certificates: Vec<Certificate<'static>> =
        found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        assert_eq!(Source::parse("file:///a/b%20c"), Ok(Source::File("/a/b c".into())));
        assert_eq!(Source::parse("file://localhost/a"), Ok(Source::File("/a".into())));
        assert!(matches!(Source::parse("HTTPS://h/x"), Ok(Source::Http(_))));
        for wrong in
            ["", "/a", "ftp://h/x", "file:a", "file://other/a", "file:///%+1", "file:///%00", "http:///x"]
        {
            assert!(Source::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_in_urls_are_not_shown() {
        let source = Source::parse("https://user:secret@h:8443/a.qcow2?token=secret").unwrap();
        assert_eq!(source.display(), "https://h:8443/a.qcow2");
        let wrong = Source::parse("https://user:secret@ h/").unwrap_err();
        assert!(!wrong.contains("secret"), "{wrong}");
    }

    #[test]
    fn an_encrypted_fetch_stays_encrypted() {
        let uri: Uri = "http://192.0.2.1/image".parse().unwrap();
        let error = open_http(&uri, &Fetcher::new(Vec::new()).agent(true)).map(|_| ()).unwrap_err();
        assert!(matches!(&error, HostError::Refused(text) if text.contains("checksum")), "{error}");
        assert!(Source::parse("HTTPS://h/x").unwrap().is_encrypted());
    }

    #[test]
    fn only_regular_files_in_allowed_directories_are_opened() {
        let allowed = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        std::fs::write(allowed.path().join("image"), b"disk").unwrap();
        std::fs::write(other.path().join("secret"), b"secret").unwrap();
        std::os::unix::fs::symlink(other.path().join("secret"), allowed.path().join("link")).unwrap();
        std::os::unix::fs::symlink(allowed.path().join("image"), other.path().join("link")).unwrap();
        let fetcher = Fetcher::new(vec![allowed.path().to_owned()]);
        let open = |path: PathBuf| fetcher.open_file(&path).map(|opened| opened.total);
        assert_eq!(open(allowed.path().join("image")).unwrap(), Some(4));
        assert_eq!(open(other.path().join("link")).unwrap(), Some(4));
        for path in [
            allowed.path().join("link"),
            allowed.path().to_owned(),
            allowed.path().join("absent"),
            allowed.path().join("../").join(other.path().file_name().unwrap()).join("secret"),
            other.path().join("secret"),
        ] {
            let error = open(path.clone()).unwrap_err();
            assert!(
                matches!(&error, HostError::Refused(text) if text.contains("image_directories")),
                "{error}"
            );
        }
        assert!(Fetcher::new(Vec::new()).open_file(&allowed.path().join("image")).is_err());
    }
}
