//! The HTTP client of the public API.
//!
//! Promises: a request ends within its patience; one that may be repeated safely is repeated when the
//! controller cannot be reached or is busy; an answer that is not a success is an [`Error`] of its class.
//! Credentials travel in headers only, never to another host (redirects are not followed), and are never
//! printed. Blocking; may be shared between threads.

mod retry;
mod tls;

use std::time::{Duration, Instant};

use freehold_types::error::ErrorBody;
use freehold_types::wire::BASE_PATH;
use serde_json::Value;
use ureq::http;

use crate::context::{Connection, Credential};
use crate::error::{Error, Failure, Result};
use crate::terminal::Terminal;

pub use retry::Retry;

/// How long an answer may take when nothing is waited for.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How much longer than the wait it was asked for an answer may take.
const GRACE: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const LARGEST: u64 = 256 << 20;

/// The verbs of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether doing it twice is the same as doing it once.
    pub const fn repeatable(self) -> bool {
        matches!(self, Self::Get | Self::Put | Self::Delete)
    }
}

/// What the controller is asked to wait for before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    /// As the controller sees fit.
    #[default]
    Default,
    /// Not at all: answer once the intent is stored.
    No,
    /// Until it is done, this long at most.
    UpTo(Duration),
}

/// One request. The path is below the API's base path.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub method: Method,
    pub path: String,
    /// Pairs of the query, not yet encoded.
    pub query: Vec<(String, String)>,
    pub body: Option<Value>,
    pub wait: Wait,
}

impl Request {
    /// A request without query and body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None, wait: Wait::Default }
    }

    /// Reads something.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path)
    }

    /// Adds a pair to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sets what is waited for.
    #[must_use]
    pub const fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Path and query, as they are sent.
    pub fn target(&self) -> String {
        let pairs: Vec<_> =
            self.query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{BASE_PATH}{}{mark}{}", self.path, pairs.join("&"))
    }
}

/// Percent-encodes all but the unreserved characters.
pub fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
            encoded.push('%');
            encoded.extend(digits);
        }
    }
    encoded
}

/// A success.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// 2xx.
    pub status: u16,
    /// `null` when there was no body.
    pub body: Value,
}

/// Talks to one controller.
#[derive(Debug)]
pub struct Client<'a> {
    agent: ureq::Agent,
    url: String,
    credential: Option<Credential>,
    retry: Retry,
    terminal: &'a Terminal,
}

impl<'a> Client<'a> {
    /// A client for a connection; nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is not one, or the certificates cannot be read.
    pub fn new(connection: &Connection, terminal: &'a Terminal) -> Result<Self> {
        let url = connection.url.trim_end_matches('/').to_owned();
        check_url(&url)?;
        if connection.credential.is_some() && sends_in_clear(&url) {
            terminal.warn(&format!("credentials travel unencrypted to {url}; use https"));
        }
        let config = ureq::Agent::config_builder()
            .tls_config(tls::config(connection)?)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .user_agent(concat!("freehold/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.into(),
            url,
            credential: connection.credential.clone(),
            retry: Retry::default(),
            terminal,
        })
    }

    /// Other pauses between tries.
    #[must_use]
    pub const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Where requests go.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads a path.
    pub fn get(&self, path: impl Into<String>) -> Result<Value> {
        self.send(&Request::get(path)).map(|answer| answer.body)
    }

    /// Sends a request, repeating it where that is safe.
    ///
    /// # Errors
    /// What the controller or the way to it said, as a class.
    pub fn send(&self, request: &Request) -> Result<Answer> {
        let mut tries = 0;
        loop {
            let outcome = self.send_once(request);
            let pause = match &outcome {
                Err(trouble) if request.method.repeatable() && trouble.passing() => {
                    self.retry.pause(tries, trouble.retry_after())
                }
                // An earlier try of this very deletion may have got through.
                Err(Trouble::Refused { status: 404, .. })
                    if tries > 0 && request.method == Method::Delete =>
                {
                    return Ok(Answer { status: 200, body: Value::Null });
                }
                _ => None,
            };
            match (pause, outcome) {
                (_, Ok(answer)) => return Ok(answer),
                (None, Err(trouble)) => return Err(trouble.into_error(request, &self.url)),
                (Some(pause), Err(_)) => {
                    tries += 1;
                    self.terminal.trace(&format!("  trying again in {pause:?}"));
                    std::thread::sleep(pause);
                }
            }
        }
    }

    fn send_once(&self, request: &Request) -> Result<Answer, Trouble> {
        let target = request.target();
        let method = request.method.as_str();
        self.terminal.trace(&format!("> {method} {}{target}", self.url));
        let started = Instant::now();
        let response = self.exchange(request, &target).inspect_err(|error| {
            self.terminal.trace(&format!("< {error}"));
        })?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let request_id = header("x-request-id");
        let retry_after = header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        self.terminal.trace(&format!(
            "< {status} in {} ms{}",
            started.elapsed().as_millis(),
            request_id.as_deref().map(|id| format!(", request id {id}")).unwrap_or_default()
        ));
        let text = response.into_body().into_with_config().limit(LARGEST).read_to_string()?;
        if (200..300).contains(&status) {
            let body = if text.trim().is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text) };
            return body.map(|body| Answer { status, body }).map_err(Trouble::NotJson);
        }
        Err(Trouble::Refused { status, body: serde_json::from_str(&text).ok(), request_id, retry_after })
    }

    fn exchange(&self, request: &Request, target: &str) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("{}{target}", self.url))
            .header("accept", "application/json");
        builder = match &self.credential {
            Some(Credential::ApiKey(key)) => builder.header("x-api-key", key.expose()),
            Some(Credential::Session { token, .. }) => {
                builder.header("authorization", format!("Bearer {}", token.expose()))
            }
            None => builder,
        };
        let patience = match request.wait {
            Wait::Default => PATIENCE + GRACE,
            Wait::No => PATIENCE,
            Wait::UpTo(wait) => wait + GRACE,
        };
        builder = match request.wait {
            Wait::Default => builder,
            Wait::No => builder.header("prefer", "respond-async, wait=0"),
            Wait::UpTo(wait) => builder.header("prefer", format!("wait={}", wait.as_secs().max(1))),
        };
        if let Some(body) = &request.body {
            let request = builder.header("content-type", "application/json").body(body.to_string())?;
            self.agent.run(self.agent.configure_request(request).timeout_global(Some(patience)).build())
        } else {
            let request = builder.body(())?;
            self.agent.run(self.agent.configure_request(request).timeout_global(Some(patience)).build())
        }
    }
}

/// Why a try did not succeed.
#[derive(Debug)]
enum Trouble {
    /// The controller answered with something else than a success.
    Refused {
        status: u16,
        body: Option<ErrorBody>,
        request_id: Option<String>,
        retry_after: Option<Duration>,
    },
    /// The success has a body that is no JSON.
    NotJson(serde_json::Error),
    /// There was no answer.
    Way(ureq::Error),
}

impl From<ureq::Error> for Trouble {
    fn from(error: ureq::Error) -> Self {
        Self::Way(error)
    }
}

impl Trouble {
    /// Whether the next try may fare better.
    fn passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 502 | 503),
            Self::NotJson(_) => false,
            Self::Way(error) => {
                matches!(error, ureq::Error::Io(error) if !tls::distrust(error))
                    || matches!(
                        error,
                        ureq::Error::ConnectionFailed | ureq::Error::Timeout(ureq::Timeout::Connect)
                    )
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::NotJson(_) | Self::Way(_) => None,
        }
    }

    fn into_error(self, request: &Request, url: &str) -> Error {
        let sent = format!("{} {}", request.method.as_str(), request.target());
        match self {
            Self::Refused { status, body, request_id, .. } => {
                let error = Error::from_answer(status, body.as_ref(), &sent, request_id.as_deref());
                if body.is_none() {
                    error.hint(format!("check that {url} is a Freehold controller"))
                } else {
                    error
                }
            }
            Self::NotJson(error) => {
                Error::new(Failure::General, format!("{url} answered {sent} with something that is not JSON"))
                    .hint(format!("check that {url} is a Freehold controller"))
                    .because(error)
            }
            Self::Way(ureq::Error::Timeout(limit)) if !matches!(limit, ureq::Timeout::Connect) => {
                Error::new(Failure::TimedOut, format!("{url} did not answer {sent} in time"))
                    .hint("the controller may still carry it out: look before you repeat it")
            }
            Self::Way(error) if tls::untrusted(&error) => {
                Error::new(Failure::Unreachable, format!("the certificate of {url} is not trusted"))
                    .hint("give the authority's certificate with `--ca-file` or in the context")
                    .because(error)
            }
            Self::Way(error) => Error::new(Failure::Unreachable, format!("cannot reach {url}"))
                .hint("see which controller is asked with `freehold context show`")
                .because(error),
        }
    }
}

/// Whether credentials sent to this URL could be read on the way.
fn sends_in_clear(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    host != "localhost" && !host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses what is no URL of a controller.
///
/// # Errors
/// Usage, with an example.
pub fn check_url(url: &str) -> Result<()> {
    let uri = url.parse::<http::Uri>().ok();
    let fit = uri.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.query().is_none()
    });
    if fit {
        return Ok(());
    }
    Err(Error::usage(format!("`{url}` is not the URL of a controller"))
        .hint("write it as https://cloud.example.org, without credentials and without /api/v1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_encoded() {
        let request = Request::get("/events").query("since", "2027-01-01T00:00:00+01:00").query("a b", "ü");
        assert_eq!(request.target(), "/api/v1/events?since=2027-01-01T00%3A00%3A00%2B01%3A00&a%20b=%C3%BC");
    }

    #[test]
    fn urls_are_checked() {
        for url in ["https://cloud.example.org", "http://127.0.0.1:8080", "https://[::1]/sub"] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in ["cloud.example.org", "ftp://x", "https://me:secret@x", "https://x?y", "", "https://"] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn credentials_in_clear_are_noticed() {
        for url in ["http://10.0.0.1", "http://cloud:80/x"] {
            assert!(sends_in_clear(url), "{url}");
        }
        for url in ["https://cloud", "http://localhost:1", "http://127.0.0.9:80", "http://[::1]:80/"] {
            assert!(!sends_in_clear(url), "{url}");
        }
    }
}
